package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/internal/identity"
)

// TestImportAndExport brings many accounts into a bank by CSV and by a folder of
// certificates, again after an interruption, out again, and into another bank.
func TestImportAndExport(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var text strings.Builder
	text.WriteString("\ufeffname,Pin,credit,colour\n")
	for i := range 2500 {
		fmt.Fprintf(&text, "cam-%d,%064x,%d,blue\n", i, i+1, i%7)
	}
	fmt.Fprintf(&text, "cam-7,%064x,1,\n\"cam 8\",%064x,1,\ncam-9,zz,1,\ncam-x,%064x,many,\nshort\n", 9001, 9002, 9003)
	cams := write("cams.csv", text.String())
	for i, want := range []string{"2500 accounts added, 0 were there already, 5 refused", "0 accounts added, 2500 were there already, 5 refused"} {
		code, out, stderr := ecoin(t, "trust", "import", cams, "--role", "collector", "--dir", b.dir)
		if code != 1 || !strings.Contains(out, want) {
			t.Fatalf("import %d: exit code %d, %s%s", i, code, out, stderr)
		}
		for _, line := range []string{"line 2502: an account has this name already", "line 2503: the name must be", "line 2504: the pin must be", "line 2505: the credit", "line 2506: wrong number of fields"} {
			if !strings.Contains(stderr, line) {
				t.Errorf("import %d lacks %q:\n%s", i, line, stderr)
			}
		}
	}
	if out := mustEcoin(t, "trust", "list", "cam-2499", "cam-6", "--dir", b.dir); strings.Count(out, "\n") != 3 || !strings.Contains(out, "collector") || !strings.Contains(out, "active") {
		t.Errorf("list says:\n%s", out)
	}

	certs := filepath.Join(dir, "certs")
	for _, name := range []string{"lab-1", "lab-2"} {
		mustEcoin(t, "keys", "client", name, "--dir", certs)
	}
	if err := os.WriteFile(filepath.Join(certs, "broken.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := ecoin(t, "trust", "import", certs, "--role", "analyst", "--dir", b.dir); code != 1 || !strings.Contains(out, "2 accounts added, 0 were there already, 1 refused") || !strings.Contains(stderr, "broken.pem") {
		t.Errorf("folder: %d, %s%s", code, out, stderr)
	}
	named := write("named.csv", "name,role,cert\nlab-3,analyst,certs/lab-1.crt\nlab-1,analyst,certs/lab-1.crt\n")
	if code, out, stderr := ecoin(t, "trust", "import", named, "--dir", b.dir); code != 1 || !strings.Contains(out, "0 accounts added, 1 were there already, 1 refused") || !strings.Contains(stderr, "line 2: an account has this key already") {
		t.Errorf("certificates by name: %d, %s%s", code, out, stderr)
	}

	for name, args := range map[string][]string{
		"no such file": {filepath.Join(dir, "none")}, "no roles": {cams}, "a folder without a role": {certs},
		"no columns": {write("a.csv", "name,role\n")}, "both keys": {write("b.csv", "name,role,pin,cert\n")}, "empty": {write("c.csv", "")},
	} {
		if code, out, stderr := ecoin(t, append([]string{"trust", "import", "--dir", b.dir}, args...)...); code != 1 || stderr == "" || strings.Contains(out, "added") {
			t.Errorf("%s: %d, %s%s", name, code, out, stderr)
		}
	}

	mustEcoin(t, "trust", "remove", "cam-0", "--dir", b.dir)
	mustEcoin(t, "trust", "suspend", "cam-1", "--dir", b.dir)
	list := filepath.Join(dir, "list.csv")
	mustEcoin(t, "trust", "export", list, "--dir", b.dir)
	if code, _, _ := ecoin(t, "trust", "export", list, "--dir", b.dir); code != 1 {
		t.Error("an export wrote over a file")
	}
	f, err := os.Open(list)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 1+2500-1+2 {
		t.Fatalf("export of %d lines, %v", len(rows), err)
	}
	other := newBank(t)
	if out := mustEcoin(t, "trust", "import", list, "--dir", other.dir); !strings.Contains(out, "2501 accounts added, 0 were there already, 0 refused") {
		t.Errorf("into another bank: %s", out)
	}
	again := mustEcoin(t, "trust", "export", "-", "--dir", other.dir)
	sum := func(text string) (credit int) {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			var n int
			fmt.Sscan(row[3], &n)
			credit += n
		}
		return credit
	}
	first, err := os.ReadFile(list)
	if err != nil || sum(again) != sum(string(first)) || sum(again) == 0 {
		t.Errorf("the credit of all was %d and is %d, %v", sum(string(first)), sum(again), err)
	}
	mustEcoin(t, "audit", "--dir", b.dir)
	mustEcoin(t, "audit", "--dir", other.dir)
}

// TestChangeOfClientKey changes the key of a client that works, by the command line.
func TestChangeOfClientKey(t *testing.T) {
	b := newBank(t)
	b.newClient("cam", "collector", 10)
	dir := t.TempDir()
	mustEcoin(t, "keys", "client", "next", "--dir", dir)
	cert := filepath.Join(dir, "next.crt")
	if code, _, stderr := ecoin(t, "trust", "drop-key", "cam", "--dir", b.dir); code != 1 || !strings.Contains(stderr, "one key only") {
		t.Errorf("drop the only key: %d, %s", code, stderr)
	}
	if out := mustEcoin(t, "trust", "add-key", "cam", "--cert", cert, "--dir", b.dir); !strings.Contains(out, "until it is dropped") {
		t.Errorf("add-key says %s", out)
	}
	pin, err := identity.ReadPin(cert)
	if err != nil {
		t.Fatal(err)
	}
	if out := mustEcoin(t, "trust", "drop-key", "cam", "--dir", b.dir); !strings.Contains(out, fmt.Sprintf("%x", pin)) {
		t.Errorf("drop-key says %s", out)
	}
	if out := mustEcoin(t, "trust", "list", "cam", "--json", "--dir", b.dir); !strings.Contains(out, fmt.Sprintf(`"pin":"%x"`, pin)) || strings.Contains(out, "old_pin") {
		t.Errorf("list says %s", out)
	}
}

// TestSuspend keeps a client out and lets it in again.
func TestSuspend(t *testing.T) {
	b := newBank(t)
	c := b.newClient("cam", "collector", 10)
	ctx := context.Background()
	if _, err := c.Account(ctx); err != nil {
		t.Fatal(err)
	}
	if out := mustEcoin(t, "trust", "suspend", "cam", "--dir", b.dir); !strings.Contains(out, "connections cut: 1") {
		t.Errorf("suspend says %s", out)
	}
	if a, err := c.Account(ctx); err == nil {
		t.Errorf("a suspended client got %v", a)
	}
	mustEcoin(t, "trust", "resume", "cam", "--dir", b.dir)
	if _, err := c.Account(ctx); err != nil {
		t.Errorf("resumed: %v", err)
	}
	if code, _, stderr := ecoin(t, "trust", "resume", "nobody", "--dir", b.dir); code != 1 || !strings.Contains(stderr, "no such account") {
		t.Errorf("resume nobody: %d, %s", code, stderr)
	}
}
