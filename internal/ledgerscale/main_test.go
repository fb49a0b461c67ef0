package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"ecoin/core"
	"ecoin/internal/coins"
	"ecoin/ledger"
)

func TestMain(m *testing.M) {
	if isChild() {
		os.Exit(runChild(os.Stdout))
	}
	os.Exit(m.Run())
}

// TestSmoke measures 100,000 coins on both paths, and a size for which no disk has room.
func TestSmoke(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	o := &options{
		Sizes: []count{1e15, 100_000}, IndexBytes: []count{1 << 30, 0}, CacheBytes: 16 << 20,
		Time: 300 * time.Millisecond, KillAfter: 300 * time.Millisecond, Waiters: 16, Coins: 64, Dir: dir, Out: out, reserve: 1,
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	var table, progress bytes.Buffer
	if err := run(o, &table, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	var r report
	b, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || len(r.Results) != 2 {
		t.Fatalf("%v\n%s", err, b)
	}
	for i, path := range []string{"index", "plain"} {
		m := r.Results[i]
		if m.Path != path || m.Coins < 100_000 || m.Answered == 0 || m.Lost != 0 || m.Redeemed == 0 || m.Redeemed > m.Coins/2 {
			t.Errorf("%+v", m)
		}
		for name, v := range map[string]float64{
			"load": m.LoadCoinsPerS, "open": m.OpenS, "first redeem": m.FirstRedeemS - m.OpenS, "rate": m.CoinsPerS,
			"p50": m.P50Ms, "p99": m.P99Ms - m.P50Ms + 1e-9, "p99.9": m.P999Ms - m.P99Ms + 1e-9,
			"cpu": m.CPUUs, "cpu drained": m.CPUDrainedUs, "audit": m.AuditS,
		} {
			if v <= 0 {
				t.Errorf("%s: %s is %g", path, name, v)
			}
		}
		for name, v := range map[string]float64{"loaded": m.DiskBytesPerCoin, "after": m.DiskBytesPerCoinAfter} {
			if v < 13 || v > 25 {
				t.Errorf("%s: %s: %.1f bytes of disk a coin", path, name, v)
			}
		}
		if want := float64(21); m.SpentBytesPerCoin < want || m.SpentBytesPerCoin > 8*want {
			t.Errorf("%s: %.1f bytes a spent coin", path, m.SpentBytesPerCoin)
		}
		if index := path == "index"; index != (m.IndexedShare == 1) || index != (m.IndexBytesPerCoin >= 16) {
			t.Errorf("%s: index holds %g of the coins in %g bytes each", path, m.IndexedShare, m.IndexBytesPerCoin)
		}
		if !strings.Contains(table.String(), "\n| 100k | "+path+" | ") {
			t.Errorf("no row of path %s in the table:\n%s", path, &table)
		}
	}
	if len(r.LeftOut) != 1 || !strings.Contains(table.String(), "1000T coins are left out: they need ") {
		t.Errorf("left out: %q; table:\n%s", r.LeftOut, &table)
	}
	for _, name := range []string{"rate", "cpu", "latency", "bytes"} {
		b, err := os.ReadFile(filepath.Join(out, "ledger-"+name+".svg"))
		if err != nil || !bytes.Contains(b, []byte("<svg")) || !bytes.Contains(b, []byte(">index")) || !bytes.Contains(b, []byte(">plain")) {
			t.Errorf("%s: no plot of both paths: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestLost checks that the drill notices coins that are not redeemed.
func TestLost(t *testing.T) {
	set := coins.New(1000)
	dir := filepath.Join(t.TempDir(), "ledger")
	if _, err := ledger.CreateWith(dir, ledgerOptions(0, 1<<20), ledger.Pin{1}, set.Ascending(), nil); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(dir, ledgerOptions(0, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := l.AddAccount(t.Context(), "analyst", ledger.RoleAnalyst, ledger.Pin{2})
	if err != nil {
		t.Fatal(err)
	}
	analysts := []ledger.AccountID{a.ID}
	batch, out := make([]ledger.Redemption, 8), make([]core.Status, 8)
	fill(batch, set, 0)
	batch[3].Digest[0] ^= 1 // redeemed by somebody else, as far as the drill can tell
	if err := l.Redeem(t.Context(), a.ID, batch, out); err != nil {
		t.Fatal(err)
	}
	if n, err := lost(l, set, analysts, []int64{0, 8}, 8); err != nil || n != 1+8 {
		t.Errorf("%d lost, %v", n, err)
	}
	r := redeemer{l: l, set: set, analysts: analysts, waiters: 2, size: 8, next: 100, end: 1000}
	if err := r.run(time.Minute); err != nil || r.coins.Load() != 896 || r.latency.TotalCount() != 896/8 {
		t.Errorf("%d coins in %d calls, %v", r.coins.Load(), r.latency.TotalCount(), err)
	}
	if err := (&redeemer{l: l, set: set, analysts: analysts, waiters: 1, size: 8, next: 104, end: 112}).run(time.Minute); err == nil {
		t.Error("coins that are spent were redeemed")
	}
}

func TestOptions(t *testing.T) {
	parse := func(args ...string) (o options, err error) {
		k, err := kong.New(&o, kong.Vars{"tmp": t.TempDir()})
		if err == nil {
			_, err = k.Parse(args)
		}
		return o, err
	}
	o, err := parse("--sizes=1e6 2500000", "--cache-bytes=1Gi")
	if err != nil || len(o.Sizes) != 2 || o.Sizes[1] != 2_500_000 || o.CacheBytes != 1<<30 || len(o.IndexBytes) != 2 || o.IndexBytes[1] != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range []string{"--sizes=1", "--sizes=1.5", "--sizes=-1e6", "--sizes=x", "--waiters=0", "--coins=1025", "--time=0s", "--index-bytes=1e20"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestSI(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 7: "7", 1.25: "1.25", 12.34: "12.3", 999: "999", 999.6: "1k", 1e3: "1k", 123_456: "123k", 1e6: "1M", 2.5e6: "2.5M", 1e9: "1G", 1e15: "1000T",
	} {
		if got := si(x); got != want {
			t.Errorf("%g: %s, want %s", x, got, want)
		}
	}
}
