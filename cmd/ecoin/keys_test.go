package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/bankkeys"
)

// TestHeaderKeysWhileRunning adds a key of the other suite to a running bank, uses
// both, and retires the first: what is sealed for it no longer opens, and costs no
// coin.
func TestHeaderKeysWhileRunning(t *testing.T) {
	b := newBank(t)
	collector := b.newClient("cam", "collector", 10)
	analyst := b.newClient("lab", "analyst", 0)
	ctx := context.Background()
	first := b.hasKeys(collector, 1)[0]
	old, err := filepath.Glob(filepath.Join(b.dir, "keys", "header-*"))
	if err != nil || len(old) != 1 {
		t.Fatalf("header keys: %v, %v", old, err)
	}

	out := mustEcoin(t, "keys", "new", "--suite", "rsa3072", "--dir", b.dir)
	if !strings.Contains(out, "rsa3072") || !strings.Contains(out, "SIGHUP") {
		t.Errorf("keys new says: %s", out)
	}
	if out := mustEcoin(t, "keys", "new", "--suite", "xwing", "--dir", b.dir); !strings.Contains(out, "xwing") {
		t.Errorf("keys new says: %s", out)
	}
	if out := mustEcoin(t, "keys", "list", "--dir", b.dir); strings.Count(out, "\n") != 4 {
		t.Errorf("keys list says:\n%s", out)
	}
	b.cmd.Process.Signal(syscall.SIGHUP)
	keys := b.hasKeys(collector, 3)
	coins, err := collector.Withdraw(ctx, [16]byte{1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	redeem := func(key *core.PublicKey, coin core.Coin) core.Status {
		t.Helper()
		var s core.Scratch
		record, err := key.AppendHeader(nil, &s, &core.Secrets{Coin: coin})
		if err != nil {
			t.Fatal(err)
		}
		r, err := analyst.Redeem(ctx, [][]byte{record})
		if err != nil {
			t.Fatal(err)
		}
		return r[0].Status
	}
	for i, key := range keys {
		if st := redeem(key.Public, coins[i]); st != core.StatusOK {
			t.Errorf("redeem under %v: %v", key.Public.Suite(), st)
		}
	}

	for name, id := range map[string]string{"unknown": "00112233aabbccdd", "nothing": "", "half an id": first.Public.ID().String()[1:]} {
		if code, _, stderr := ecoin(t, "keys", "retire", id, "--dir", b.dir); code != 1 || !strings.Contains(stderr, "no header key") {
			t.Errorf("retire %s: %d, %s", name, code, stderr)
		}
	}
	if out := mustEcoin(t, "keys", "retire", first.Public.ID().String(), "--dir", b.dir); !strings.Contains(out, "retired-"+filepath.Base(old[0])) || !strings.Contains(out, "SIGHUP") {
		t.Errorf("keys retire says: %s", out)
	}
	if st := redeem(first.Public, core.Coin{1}); st != core.StatusNotLive { // it opens
		t.Errorf("redeem under a retired key before the bank is told: %v", st)
	}
	b.cmd.Process.Signal(syscall.SIGHUP)
	left := b.hasKeys(collector, 2)[0]
	if st := redeem(first.Public, coins[3]); st != core.StatusNotOpen {
		t.Errorf("redeem under a retired key: %v", st)
	}
	if st := redeem(left.Public, coins[3]); st != core.StatusOK {
		t.Errorf("the same coin under the other key: %v", st)
	}

	// A key that cannot be read must not take the others with it.
	if err := os.WriteFile(filepath.Join(b.dir, "keys", "header-x25519-0000000000000000.key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cmd.Process.Signal(syscall.SIGHUP)
	b.says("header keys not reloaded, the old ones stay")
	b.hasKeys(collector, 2)
	mustEcoin(t, "journal", "--dir", b.dir)
}

func TestRetireKeepsTheLastKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := bankkeys.Create(filepath.Join(dir, "keys"), core.SuiteX25519, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	ring, err := bankkeys.OpenRing(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ecoin(t, "keys", "retire", ring.Public()[0].ID().String(), "--dir", dir); code != 1 || !strings.Contains(stderr, "only header key") {
		t.Errorf("%d, %s", code, stderr)
	}
	out := mustEcoin(t, "journal", "--print", "--dir", dir)
	if !strings.Contains(out, `"action":"header key retired"`) || !strings.Contains(out, `"action":"failed"`) {
		t.Errorf("the journal says %s", out)
	}
}

// hasKeys waits until the bank announces n keys.
func (b *testBank) hasKeys(c *client.Client, n int) []client.Key {
	b.t.Helper()
	for range 500 {
		keys, err := c.Keys(context.Background())
		if err != nil {
			b.t.Fatal(err)
		}
		if len(keys) == n {
			return keys
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("the bank does not announce %d keys", n)
	return nil
}
