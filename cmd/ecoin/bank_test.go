package main

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecoin/internal/identity"
)

// TestServiceManager plays systemd: it hears when the bank serves, reloads, lives and
// stops.
func TestServiceManager(t *testing.T) {
	dir, err := os.MkdirTemp("", "ecoin-notify-") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "100000")
	hears := func(want string) {
		t.Helper()
		b := make([]byte, 1000)
		_ = manager.SetReadDeadline(time.Now().Add(30 * time.Second))
		for {
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("the manager does not hear %s: %v", want, err)
			}
			if got := strings.TrimSpace(string(b[:n])); got == want {
				return
			} else if got != "WATCHDOG=1" {
				t.Fatalf("the manager hears %s, want %s", got, want)
			}
		}
	}
	b := newBank(t)
	hears("READY=1")
	b.newClient("cam", "collector", 10)
	hears("WATCHDOG=1")
	b.cmd.Process.Signal(syscall.SIGHUP)
	hears("RELOADING=1")
	hears("READY=1")
	b.cmd.Process.Signal(syscall.SIGTERM)
	hears("STOPPING=1")
	if code := b.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestCertificateReload gives a running bank another certificate, and then a broken one.
func TestCertificateReload(t *testing.T) {
	b := newBank(t)
	cert, key := b.party("cam", "collector", 10)
	shown := func() string {
		t.Helper()
		id, err := identity.Load(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tls.Dial("tcp", b.listen, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{id.Certificate}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	mustEcoin(t, "keys", "client", "tls", "--dir", t.TempDir()) // any pair for the same names will do
	dir := t.TempDir()
	mustEcoin(t, "keys", "client", "tls", "--dir", dir)
	for _, name := range []string{"tls.crt", "tls.key"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, "keys", name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.cmd.Process.Signal(syscall.SIGHUP)
	b.says("TLS certificate reloaded")
	after := shown()
	if after == before {
		t.Error("the bank shows the certificate of before")
	}
	if err := os.WriteFile(filepath.Join(b.dir, "keys", "tls.crt"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cmd.Process.Signal(syscall.SIGHUP)
	b.says("TLS certificate not reloaded, the old one stays")
	if got := shown(); got != after {
		t.Error("a broken certificate changed the one that is shown")
	}
	if out := mustEcoin(t, "journal", "--print", "--dir", b.dir); strings.Count(out, "TLS certificate reloaded") != 1 || !strings.Contains(out, "bank started") {
		t.Errorf("the journal says:\n%s", out)
	}
}

// TestCheckConfig: what is well is said, what is not is named, and nothing is made.
func TestCheckConfig(t *testing.T) {
	b := newBank(t)
	check := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, out, stderr := ecoin(t, append([]string{"bank", "--check-config"}, args...)...)
		if code != wantCode || !strings.Contains(out+stderr, want) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s%s", args, code, wantCode, want, out, stderr)
		}
	}
	running := []string{"--dir", b.dir, "--listen", b.listen}
	check(0, "a bank is running", running...)
	check(0, "valid until", running...)
	check(1, "BAD  ledger settings", append(running, "--shards", "3")...)
	check(1, "BAD  keys", append(running, "--tls-cert", "/nowhere", "--tls-key", "/nowhere")...)
	check(1, "BAD  --listen", "--dir", b.dir, "--listen", "nonsense")
	check(2, "--max-conns", append(running, "--max-conns", "0")...)
	check(2, "--max-conns-per-address", append(running, "--max-conns-per-address", "-1")...)
	check(2, "--rate", append(running, "--rate", "-1")...)
	b.terminate()
	check(0, "is free", "--dir", b.dir, "--listen", b.listen, "--health", "127.0.0.1:0")
	taken, err := net.Listen("tcp", b.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	check(1, "BAD  --listen", "--dir", b.dir, "--listen", b.listen, "--health", "127.0.0.1:0")

	fresh := filepath.Join(t.TempDir(), "bank")
	check(0, "the first start makes them", "--dir", fresh, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0")
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("the check made %s", fresh)
	}
	if err := os.RemoveAll(filepath.Join(b.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	check(1, "restore them from the backup", "--dir", b.dir, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(1, "is not a folder", "--dir", fresh, "--disk", file, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0")
}

// TestJournalCommand: the checker finds a changed journal, and one that lost its end.
func TestJournalCommand(t *testing.T) {
	b := newBank(t)
	b.newClient("cam", "collector", 10)
	head := func(out string) string { return strings.TrimSpace(out[strings.LastIndex(out, " ")+1:]) }
	noted := head(mustEcoin(t, "journal", "--dir", b.dir))
	mustEcoin(t, "trust", "credit", "cam", "5", "--dir", b.dir)
	out := mustEcoin(t, "journal", "--dir", b.dir, "--head", noted)
	if !strings.HasPrefix(out, "3 lines") || head(out) == noted {
		t.Errorf("the journal: %s", out)
	}
	path := filepath.Join(b.dir, "journal.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for name, changed := range map[string]string{
		"end cut off": lines[0], "credit changed": strings.Replace(string(text), `"credit":10`, `"credit":11`, 1), "line taken out": lines[0] + lines[2], "half a line": string(text[:len(text)-9]),
	} {
		file := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, stderr := ecoin(t, "journal", "--file", file, "--head", noted); code != 1 {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, stderr)
		}
	}
	if code, _, stderr := ecoin(t, "journal", "--dir", t.TempDir()); code != 1 || !strings.Contains(stderr, "there is no journal") {
		t.Errorf("no journal: %d, %s", code, stderr)
	}
}
