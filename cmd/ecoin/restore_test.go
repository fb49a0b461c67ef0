package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/backup"
)

// refundAll asks for the credit of coins and returns how many were given it.
func refundAll(t *testing.T, c *client.Client, coins []core.Coin) (ok int) {
	t.Helper()
	out, err := c.Refund(context.Background(), coins)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out {
		if r.Status == core.StatusOK {
			ok++
		}
	}
	return ok
}

// TestRestore takes copies of a bank that runs and of one that does not, and goes back
// to them: what was live then is live, and the operator is told what that means.
func TestRestore(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t)
	c := b.newClient("cam", "collector", 100)
	old, err := c.Withdraw(context.Background(), [16]byte{1}, 40)
	if err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	online, offline := filepath.Join(store, "online"), filepath.Join(store, "offline")
	out := mustEcoin(t, "ledger", "backup", "--copy", online, "--dir", b.dir)
	if !strings.HasPrefix(out, online+"\n") || !strings.Contains(out, "keys are not in it") {
		t.Errorf("backup says: %s", out)
	}
	fails := func(what, says string, args ...string) {
		t.Helper()
		code, out, stderr := ecoin(t, args...)
		if code != 1 || !strings.Contains(out+stderr, says) {
			t.Errorf("%s: exit code %d, no %q:\n%s%s", what, code, says, out, stderr)
		}
	}
	fails("backup into a folder that exists", "exists already", "ledger", "backup", "--copy", online, "--dir", b.dir)
	fails("restore under a bank", "stop it first", "ledger", "restore", online, "--dir", b.dir, "--move-aside")
	fails("verify under a bank", "another process", "ledger", "verify", "--dir", b.dir)

	// After the backup 10 coins are spent and 20 made.
	if n := refundAll(t, c, old[:10]); n != 10 {
		t.Fatalf("%d refunds", n)
	}
	young, err := c.Withdraw(context.Background(), [16]byte{2}, 20)
	if err != nil {
		t.Fatal(err)
	}
	b.terminate()
	mustEcoin(t, "ledger", "backup", "--copy", offline, "--dir", b.dir)
	linked := filepath.Join(store, "linked")
	mustEcoin(t, "ledger", "backup", linked, "--dir", b.dir)
	for _, name := range []string{online + ".partial", offline + ".partial"} {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("%s is left", name)
		}
	}
	names := func() (list []string) {
		entries, err := os.ReadDir(b.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	if got := strings.Join(names(), " "); got != "journal.jsonl keys ledger" {
		t.Errorf("the bank's folder holds %s", got)
	}

	// Verification, with the bank's keys and without.
	for folder, live := range map[string]string{online: "live 40", offline: "live 50", linked: "live 50", filepath.Join(b.dir, "ledger"): "live 50"} {
		for _, dir := range []string{b.dir, filepath.Join(store, "nobody")} {
			out := mustEcoin(t, "ledger", "verify", folder, "--dir", dir)
			if !strings.HasSuffix(out, "\nok\n") || !strings.Contains(out, live) ||
				strings.Contains(out, "no keys here") == (dir == b.dir) || strings.Contains(out, "manifest") == (filepath.Base(folder) == "ledger" || folder == linked) {
				t.Errorf("verify %s, keys in %s:\n%s", folder, dir, out)
			}
		}
	}

	fails("restore over a ledger", "--move-aside", "ledger", "restore", online, "--dir", b.dir)
	fails("restore of nothing", "no such file", "ledger", "restore", filepath.Join(store, "nothing"), "--dir", b.dir, "--move-aside")
	fails("restore without keys", "keys first", "ledger", "restore", online, "--dir", filepath.Join(store, "nobody"))
	if got := strings.Join(names(), " "); got != "journal.jsonl keys ledger" {
		t.Errorf("after refused restores the bank's folder holds %s", got)
	}
	out = mustEcoin(t, "ledger", "restore", online, "--dir", b.dir, "--move-aside")
	for _, says := range []string{"40 live coins", "ARE LIVE AGAIN", "TRUSTED AGAIN", "is kept as", "ecoin audit", "Restore"} {
		if !strings.Contains(out, says) {
			t.Errorf("restore does not say %q:\n%s", says, out)
		}
	}
	if got := names(); len(got) != 4 || got[2] != "ledger" || !strings.HasPrefix(got[3], "ledger.replaced-20") {
		t.Errorf("after the restore the bank's folder holds %q", got)
	}
	b.start()
	// Just what the operator was warned of: a spent coin is spent again.
	if n := refundAll(t, c, old); n != 40 {
		t.Errorf("%d of 40 coins are live in the restored ledger", n)
	}
	if n := refundAll(t, c, young); n != 0 {
		t.Errorf("%d coins are live that were made after the backup", n)
	}
	if out := mustEcoin(t, "audit", "--dir", b.dir); !strings.HasSuffix(out, "ok\n") {
		t.Errorf("audit of the restored ledger: %s", out)
	}
	b.terminate()

	// Into an empty place, from a backup without a manifest.
	if err := os.RemoveAll(filepath.Join(b.dir, "ledger")); err != nil {
		t.Fatal(err)
	}
	if out := mustEcoin(t, "ledger", "restore", linked, "--dir", b.dir); !strings.Contains(out, "no manifest") || !strings.Contains(out, "50 live coins") {
		t.Errorf("restore without a manifest says:\n%s", out)
	}
	b.start()
	if n := refundAll(t, c, young); n != 20 {
		t.Errorf("%d of 20 coins are live in the restored ledger", n)
	}
}

// TestDamagedBackup: no damage passes verify, and nothing damaged is restored.
func TestDamagedBackup(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t)
	c := b.newClient("cam", "collector", 5000)
	if _, err := c.Withdraw(context.Background(), [16]byte{1}, 3000); err != nil {
		t.Fatal(err)
	}
	b.terminate()
	// Two openings by audits bring the coins into a table.
	mustEcoin(t, "audit", "--dir", b.dir)
	mustEcoin(t, "audit", "--dir", b.dir)
	ledger := filepath.Join(b.dir, "ledger")
	store := t.TempDir()
	good := filepath.Join(store, "good")
	mustEcoin(t, "ledger", "backup", "--copy", good, "--dir", b.dir)
	m, err := backup.Read(good)
	if err != nil || m.Ledger.Shards != 16 || len(m.Ledger.Keys) != 32 || m.Ledger.Format != 3 {
		t.Fatalf("manifest: %+v, %v", m, err)
	}
	table := ""
	for _, f := range m.Files {
		if strings.HasSuffix(f.Name, ".sst") && f.Size > 20_000 {
			table = f.Name
		}
	}
	if table == "" {
		t.Fatalf("no table among %+v", m.Files)
	}
	flip := func(dir string) {
		path := filepath.Join(dir, table)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)/2] ^= 1 // behind the first block, among live coins
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, harm := range map[string]func(dir string) (problem string){
		"flipped": func(dir string) string { flip(dir); return table + " has another SHA-256" },
		"flipped, no manifest": func(dir string) string {
			flip(dir)
			if err := os.Remove(filepath.Join(dir, backup.ManifestName)); err != nil {
				t.Fatal(err)
			}
			return "file " + table + ": "
		},
		"lost": func(dir string) string {
			if err := os.Remove(filepath.Join(dir, table)); err != nil {
				t.Fatal(err)
			}
			return table + " is missing"
		},
	} {
		dir := filepath.Join(store, name)
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		problem := harm(dir)
		code, out, _ := ecoin(t, "ledger", "verify", dir, "--dir", b.dir)
		if code != 1 || !strings.Contains(out, "WRONG: ") || !strings.Contains(out, problem) || !strings.HasSuffix(out, "NOT OK\n") {
			t.Errorf("verify of a backup with a file %s: exit code %d\n%s", name, code, out)
		}
		code, out, _ = ecoin(t, "ledger", "verify", dir, "--json", "--dir", b.dir)
		var v verification
		if err := json.Unmarshal([]byte(out), &v); code != 1 || err != nil || v.OK || len(v.Problems) == 0 {
			t.Errorf("verify --json of a backup with a file %s: exit code %d, %v\n%s", name, code, err, out)
		}
		if strings.HasPrefix(name, "flipped") && len(v.Damaged) == 0 {
			t.Errorf("%s: no shard is named: %q", name, v.Problems)
		}
		code, out, stderr := ecoin(t, "ledger", "restore", dir, "--dir", b.dir, "--move-aside")
		if code != 1 || !strings.Contains(out, problem) || !strings.Contains(stderr, "nothing was changed") {
			t.Errorf("restore of a backup with a file %s: exit code %d\n%s%s", name, code, out, stderr)
		}
		if _, err := os.Stat(ledger + ".restoring"); !os.IsNotExist(err) {
			t.Errorf("%s: a refused restore left its copy", name)
		}
	}
	other := newBank(t)
	other.terminate()
	if code, out, stderr := ecoin(t, "ledger", "restore", good, "--dir", other.dir, "--move-aside"); code != 1 || !strings.Contains(out+stderr, "other keys") {
		t.Errorf("restore under other keys: exit code %d\n%s%s", code, out, stderr)
	}
	if out := mustEcoin(t, "audit", "--dir", b.dir); !strings.HasSuffix(out, "ok\n") {
		t.Errorf("the ledger that was there: %s", out)
	}
}
