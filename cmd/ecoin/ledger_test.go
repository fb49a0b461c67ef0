package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/internal/wire"
)

// TestBackup takes a copy of a bank at work and starts the bank from it: what was
// live at that moment is live, the books balance.
func TestBackup(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t)
	c := b.newClient("cam", "collector", 100)
	coins, err := c.Withdraw(context.Background(), [16]byte{1}, 40)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	mustEcoin(t, "ledger", "backup", copied, "--dir", b.dir)
	if code, _, stderr := ecoin(t, "ledger", "backup", copied, "--dir", b.dir); code == 0 || !strings.Contains(stderr, "copy") {
		t.Errorf("a second backup into the same folder: exit code %d, %s", code, stderr)
	}
	for _, kind := range [][]string{nil, {"--copy"}} {
		code, _, stderr := ecoin(t, append([]string{"ledger", "backup", filepath.Join(b.dir, "ledger", "tables", "copy"), "--dir", b.dir}, kind...)...)
		if code != 1 || !strings.Contains(stderr, "a folder of the ledger itself") {
			t.Errorf("a backup into the ledger's own folder, %v: exit code %d, %s", kind, code, stderr)
		}
	}
	if _, err := c.Withdraw(context.Background(), [16]byte{2}, 10); err != nil { // not in the copy
		t.Fatal(err)
	}
	if out := mustEcoin(t, "ledger", "stats", "--dir", b.dir); !strings.HasPrefix(out, "50 coins live") || !strings.Contains(out, "ballast 1.0 MiB") || strings.Contains(out, "SHARD") {
		t.Errorf("ledger stats says: %s", out)
	}
	if out := mustEcoin(t, "ledger", "stats", "--shards", "--dir", b.dir); strings.Count(out, "\n") != 6+1+1+16 || !strings.Contains(out, "SHARD") {
		t.Errorf("ledger stats --shards says: %s", out)
	}
	var stats wire.Stats
	if err := json.Unmarshal([]byte(mustEcoin(t, "ledger", "stats", "--json", "--dir", b.dir)), &stats); err != nil || len(stats.Shards) != 16 || stats.Live != 50 {
		t.Errorf("ledger stats --json says: %+v, %v", stats, err)
	}
	b.terminate()

	ledger := filepath.Join(b.dir, "ledger")
	if err := os.RemoveAll(ledger); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, ledger); err != nil {
		t.Fatal(err)
	}
	if out := mustEcoin(t, "audit", "--dir", b.dir); !strings.Contains(out, "40 live coins") || !strings.HasSuffix(out, "ok\n") {
		t.Errorf("audit of the copy says: %s", out)
	}
	b.start()
	refunded, err := c.Refund(context.Background(), coins)
	if err != nil || len(refunded) != 40 {
		t.Fatalf("refund from the copy: %d, %v", len(refunded), err)
	}
	for _, r := range refunded {
		if r.Status != 0 {
			t.Fatalf("a coin of the copy: %v", r.Status)
		}
	}
}
