package bank

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

func TestWithdraw(t *testing.T) {
	w := newWorld(t)
	id := ledger.RequestID{1}
	first, err := w.Withdraw(t.Context(), w.collector, []byte("before"), id, 100)
	if err != nil {
		t.Fatal(err)
	}
	first, ok := bytes.CutPrefix(first, []byte("before"))
	if !ok || len(first) != 100*32 {
		t.Fatalf("%d bytes for 100 coins", len(first))
	}
	seen := map[core.Coin]bool{}
	for b := first; len(b) > 0; b = b[32:] {
		c := core.Coin(b[:32])
		if seen[c] || !w.fake.live[w.mint.Fingerprint(&c)] {
			t.Fatal("a coin came twice, or is not live")
		}
		seen[c] = true
	}

	again, err := w.Withdraw(t.Context(), w.collector, nil, id, 100)
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("the same request again gave other coins (%v)", err)
	}
	if a := w.fake.accounts[w.collector.ID]; a.Issued != 100 {
		t.Errorf("%d coins debited, want 100", a.Issued)
	}
	if _, err := w.Withdraw(t.Context(), w.collector, nil, id, 99); !errors.Is(err, ledger.ErrRequestMismatch) {
		t.Errorf("the same id with another n: %v", err)
	}
	other, err := w.Withdraw(t.Context(), w.collector, nil, ledger.RequestID{2}, 100)
	if err != nil || bytes.Equal(other[:32], first[:32]) {
		t.Errorf("another request gave the same coins: the salt is not fresh (%v)", err)
	}
	if _, err := w.Withdraw(t.Context(), w.fake.add("poor", ledger.RoleCollector, 2), nil, id, 3); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("3 coins for 2 credits: %v", err)
	}
}

func TestWithdrawCount(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{0, -1, wire.MaxWithdraw + 1, 1 << 40, -1 << 63} {
		if got, err := w.Withdraw(t.Context(), w.collector, nil, ledger.RequestID{1}, n); !errors.Is(err, ErrCount) || len(got) != 0 {
			t.Errorf("n = %d: %d bytes, %v", n, len(got), err)
		}
	}
	for i, n := range []int{1, wire.MaxWithdraw} {
		if got, err := w.Withdraw(t.Context(), w.collector, nil, ledger.RequestID{2, byte(i)}, n); err != nil || len(got) != 32*n {
			t.Errorf("n = %d: %d bytes, %v", n, len(got), err)
		}
	}
}

func TestRefund(t *testing.T) {
	w := newWorld(t)
	coins := w.coins(t, 4)
	w.redeem(t, w.analyst, record(t, w.key, coins[1], 1))
	returned := record(t, w.key, coins[2], 1)
	w.redeem(t, w.analyst, returned)
	w.giveBack(t, w.analyst, returned)

	body := wire.AppendCoins(nil, []core.Coin{coins[0], coins[1], coins[2], {1, 2, 3}, coins[0]})
	kept := slices.Clone(body)
	out, err := w.Refund(t.Context(), w.collector, []byte("before"), body)
	if err != nil || !bytes.Equal(body, kept) {
		t.Fatalf("refund: %v, body changed: %v", err, !bytes.Equal(body, kept))
	}
	out, _ = bytes.CutPrefix(out, []byte("before"))
	want := []core.Status{0, 4, 0, 3, 0}
	if len(out) != len(want)*wire.RefundRecordLen {
		t.Fatalf("%d bytes for %d coins", len(out), len(want))
	}
	for i, st := range want {
		got, at, redeemer, err := wire.ParseRefundRecord(out[i*wire.RefundRecordLen:][:wire.RefundRecordLen])
		if err != nil || got != st {
			t.Errorf("coin %d: %v (%v), want %v", i, got, err, st)
		}
		evidence := st == core.StatusRedeemed
		if evidence != at.Equal(w.fake.now) || evidence != (redeemer == w.analyst.ID) || !evidence && at != (time.Time{}) {
			t.Errorf("coin %d: evidence %v %x", i, at, redeemer)
		}
	}
	if a := w.fake.accounts[w.collector.ID]; a.Refunded != 2 {
		t.Errorf("%d coins refunded, want 2", a.Refunded)
	}
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"empty":      {nil, wire.ErrEmpty},
		"31 bytes":   {body[:31], wire.ErrLength},
		"33 bytes":   {body[:33], wire.ErrLength},
		"1001 coins": {make([]byte, 32*(wire.MaxBatch+1)), wire.ErrTooMany},
	} {
		if got, err := w.Refund(t.Context(), w.collector, nil, c.body); !errors.Is(err, c.want) || len(got) != 0 {
			t.Errorf("%s: %d bytes, %v; want %v", name, len(got), err, c.want)
		}
	}
	if out, err := w.Refund(t.Context(), w.collector, nil, make([]byte, 32*wire.MaxBatch)); err != nil || len(out) != wire.RefundRecordLen*wire.MaxBatch {
		t.Errorf("1000 coins: %d bytes, %v", len(out), err)
	}
}

// TestConservation plays random sequences of honest and dishonest calls: whatever
// happens, credit granted is balances, live coins and returned coins.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		var coins []core.Coin
		var records [][]byte
		analyst := func() ledger.Client {
			return rapid.SampledFrom([]ledger.Client{w.analyst, w.competing, w.collector}).Draw(rt, "who")
		}
		pick := func() []byte {
			var body []byte
			for range rapid.IntRange(1, 4).Draw(rt, "records") {
				rec := slices.Clone(rapid.SampledFrom(records).Draw(rt, "record"))
				if rapid.IntRange(0, 3).Draw(rt, "flip") == 0 {
					rec[rapid.IntRange(4, len(rec)-1).Draw(rt, "at")] ^= 4
				}
				body = append(body, rec...)
			}
			return body
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch step := rapid.IntRange(0, 4).Draw(rt, "step"); {
			case step == 0 || len(coins) == 0:
				n := rapid.IntRange(1, 5).Draw(rt, "n")
				id := ledger.RequestID{byte(rapid.IntRange(0, 5).Draw(rt, "id"))}
				b, err := w.Withdraw(t.Context(), w.collector, nil, id, n)
				if err != nil && !errors.Is(err, ledger.ErrRequestMismatch) {
					rt.Fatal(err)
				}
				for ; len(b) > 0; b = b[32:] {
					coins = append(coins, core.Coin(b[:32]))
				}
			case step == 1 || len(records) == 0:
				c := rapid.SampledFrom(coins).Draw(rt, "coin")
				records = append(records, record(t, w.key, c, byte(len(records))))
			case step == 2:
				_, _ = w.Redeem(t.Context(), analyst(), nil, pick())
			case step == 3:
				_, _ = w.Return(t.Context(), analyst(), nil, pick())
			case step == 4:
				c := rapid.SampledFrom(coins).Draw(rt, "coin")
				if _, err := w.Refund(t.Context(), w.collector, nil, slices.Concat(c[:], c[:])); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if a, err := w.Audit(t.Context()); err != nil || !a.OK {
			rt.Fatalf("audit: %+v, %v", a, err)
		}
	})
}
