package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
)

// TestThreeBanks redeems a mixed batch at three banks under one analyst's key, also while
// one of them is away and when it is back.
func TestThreeBanks(t *testing.T) {
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
