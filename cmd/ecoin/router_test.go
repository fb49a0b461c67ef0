package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
)

// TestAnalystOfThreeBanks runs an analyst for three banks, one of which is away for a
// while: the collectors of the others are served all the time, its own when it is back.
func TestAnalystOfThreeBanks(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	r := newRelay(t)
	dir := t.TempDir()
	mustEcoin(t, "keys", "client", "lab", "--dir", dir)
	cert, key := filepath.Join(dir, "lab.crt"), filepath.Join(dir, "lab.key")
	var banks []*testBank
	var cameras []*camera
	var args []string
	for range 3 {
		b := newBank(t)
		mustEcoin(t, "trust", "add", "lab", "--role", "analyst", "--cert", cert, "--dir", b.dir)
		banks = append(banks, b)
		cameras = append(cameras, b.newCamera("cam", 10000, r))
		args = append(args, "--bank", b.url(), "--bank-cert", b.cert())
	}
	served := make([]int, len(banks))
	operate := func(away int) {
		t.Helper()
		for i, c := range cameras {
			if i == away {
				continue // without its bank's keys a collector seals nothing
			}
			n := c.operate(2)
			if n != 2 {
				t.Errorf("while bank %d is away, bank %d: %d operations are served, want 2", away, i, n)
			}
			served[i] += n
		}
	}
	for _, c := range cameras {
		mustEcoin(t, append([]string{"collector", "withdraw", "10"}, c.args...)...) // to have some while the bank is away
	}
	lab := startAnalyst(t, r, cert, key, append(args, "--timeout", "5s")...)
	operate(-1)
	banks[1].kill()
	operate(1)
	banks[1].start()
	operate(-1)

	// Started again without one bank, which then comes back.
	lab.terminate()
	banks[2].kill()
	startAnalyst(t, r, cert, key, append(args, "--timeout", "5s")...)
	operate(2)
	banks[2].start()
	// It asks for the keys again by itself.
	for deadline := time.Now().Add(60 * time.Second); cameras[2].operate(1) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the analyst does not serve a bank that came back")
		}
	}
	served[2]++
	for i, b := range banks {
		// What was not served is refunded, and the analyst has what was.
		cameras[i].refund()
		out := mustEcoin(t, "trust", "list", "--dir", b.dir)
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^.*\blab\b.*\b%d\b.*$`, served[i])).MatchString(out) {
			t.Errorf("bank %d: %d operations were served\n%s", i, served[i], out)
		}
		mustEcoin(t, "audit", "--dir", b.dir)
	}

	if code, _, stderr := ecoin(t, "analyst", "--cert", cert, "--key", key, "--director-cert", r.cert, "--bank", "https://a:1", "--bank", "https://b:1", "--bank-cert", cert); code != 2 || !strings.Contains(stderr, "one certificate for each bank") {
		t.Errorf("two banks and one certificate: exit code %d, %s", code, stderr)
	}
}

// TestThreeBanks redeems a mixed batch at three banks under one analyst's key, also while
// one of them is away and when it is back.
func TestThreeBanks(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	ctx := context.Background()
	dir := t.TempDir()
	mustEcoin(t, "keys", "client", "lab", "--dir", dir)
	id, err := identity.Load(filepath.Join(dir, "lab.crt"), filepath.Join(dir, "lab.key"))
	if err != nil {
		t.Fatal(err)
	}
	var banks []*testBank
	var analysts []*client.Client
	var records [][]byte
	var coins []core.Coin
	for range 3 {
		b := newBank(t)
		banks = append(banks, b)
		mustEcoin(t, "trust", "add", "lab", "--role", "analyst", "--cert", filepath.Join(dir, "lab.crt"), "--dir", b.dir)
		roots, err := identity.ReadRoots(b.cert())
		if err != nil {
			t.Fatal(err)
		}
		analyst, err := client.New(client.Options{URL: b.url(), Identity: id, Roots: roots, Timeout: 5 * time.Second, Retry: client.Retry{Attempts: 2}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(analyst.Close)
		analysts = append(analysts, analyst)
	}
	router, err := client.NewRouter(ctx, analysts...)
	if err != nil {
		t.Fatal(err)
	}
	const each = 40
	var s core.Scratch
	for i, b := range banks {
		collector := b.newClient(fmt.Sprintf("cam-%d", i), "collector", each)
		keys, err := collector.Keys(ctx)
		if err != nil {
			t.Fatal(err)
		}
		mine, err := collector.Withdraw(ctx, [16]byte{1}, each)
		if err != nil {
			t.Fatal(err)
		}
		for j, c := range mine {
			r, err := keys[0].Public.AppendHeader(nil, &s, &core.Secrets{Coin: c})
			if err != nil {
				t.Fatal(err)
			}
			at := 0 // mixed up
			if len(records) > 0 {
				at = (j * 7) % len(records)
			}
			records = append(records[:at], append([][]byte{r}, records[at:]...)...)
			coins = append(coins[:at], append([]core.Coin{c}, coins[at:]...)...)
		}
	}
	redeem := func(want core.Status, away int) {
		t.Helper()
		failed := 0
		got, errs := router.Redeem(ctx, records)
		for i := range records {
			switch {
			case errs[i] != nil && away >= 0 && !client.Definite(errs[i]):
				failed++
			case errs[i] != nil || got[i].Status != want || got[i].Secrets.Coin != coins[i]:
				t.Fatalf("record %d: %v, %v; want %v", i, got[i].Status, errs[i], want)
			}
		}
		if (away >= 0) != (failed == each) || away < 0 && failed > 0 {
			t.Errorf("%d records failed", failed)
		}
	}
	banks[1].kill()
	redeem(core.StatusOK, 1)
	banks[1].start()
	got, errs := router.Redeem(ctx, records)
	ok, before := 0, 0
	for i := range records {
		switch {
		case errs[i] == nil && got[i].Status == core.StatusOK:
			ok++
		case errs[i] == nil && got[i].Status == core.StatusRedeemedBefore:
			before++
		}
	}
	if ok != each || before != 2*each {
		t.Errorf("with all banks: %d redeemed, %d redeemed before", ok, before)
	}
	redeem(core.StatusRedeemedBefore, -1)
	for _, b := range banks {
		mustEcoin(t, "audit", "--dir", b.dir)
	}
}
