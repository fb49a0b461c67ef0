package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// testRules runs every order of up to three operations that matters on one coin. A
// step is an operation (X redeem, T return, F refund), who does it (1 or 2; both may
// do everything, roles are the bank's), the header (a or b, for X and T) and the status
// that must come back.
func testRules(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	funder := w.collector(1 << 20)
	for _, row := range []struct {
		coin   string
		steps  string
		credit [2]int64 // what the two have gained in the end
	}{
		// An unknown coin stays unknown.
		{"none", "X1a=3 T1a=3 F1=3 X1a=3", [2]int64{0, 0}},
		// Redeem once; retries are told so; anything else is a double spend.
		{"live", "X1a=0 X1a=1 X1a=1", [2]int64{1, 0}},
		{"live", "X1a=0 X1b=4 X2a=4 X2b=4 X1a=1", [2]int64{1, 0}},
		// A return needs a redeem by the same account with the same header.
		{"live", "T1a=3 X1a=0", [2]int64{1, 0}},
		{"live", "X1a=0 T2a=4 T1b=4 T2b=4 X1a=1", [2]int64{1, 0}},
		{"live", "X1a=0 T1a=0 T1a=0 T1a=0", [2]int64{0, 0}},
		{"live", "X1a=0 T1a=0 T1b=4 T2a=4", [2]int64{0, 0}},
		// A returned coin is not live for anybody.
		{"live", "X1a=0 T1a=0 X1a=4 X1b=4 X2a=4 X2b=4", [2]int64{0, 0}},
		// A refund consumes a live coin once.
		{"live", "F1=0 F1=0 F1=0", [2]int64{1, 0}},
		{"live", "F1=0 F2=4 X1a=4 X2a=4 F1=0", [2]int64{1, 0}},
		{"live", "F1=0 T1a=4 T2a=4 F1=0", [2]int64{1, 0}},
		// No refund of a redeemed coin, until it is returned, and then once.
		{"live", "X1a=0 F2=4 F1=4 X1a=1", [2]int64{1, 0}},
		{"live", "X1a=0 T1a=0 F2=0 F2=0 F1=4", [2]int64{0, 1}},
		{"live", "X1a=0 F2=4 T1a=0 F2=0 T1a=0 X1a=4 F2=0", [2]int64{0, 1}},
		{"live", "X1a=0 T1a=0 F1=0 F1=0 T1a=0 F2=4 T2a=4 T1b=4", [2]int64{1, 0}},
		{"live", "X1a=0 T1a=0 F2=0 X1a=4 X2a=4 T1a=0 T2a=4", [2]int64{0, 1}},
	} {
		name := row.coin + " " + row.steps
		who := [2]ledger.AccountID{w.analyst(), w.analyst()}
		digest := map[byte]core.Digest{'a': w.digest(), 'b': w.digest()}
		salt := w.salt()
		fp := mint(nil, &salt, 1)[0]
		if row.coin == "live" {
			fp = w.coins(funder, 1)[0]
		}
		for i, step := range strings.Fields(row.steps) {
			op, want, _ := strings.Cut(step, "=")
			acc := who[op[1]-'1']
			var got core.Status
			switch op[0] {
			case 'X':
				got = w.redeem(acc, fp, digest[op[2]])
			case 'T':
				got = w.giveBack(acc, fp, digest[op[2]])
			case 'F':
				got = w.refund(acc, fp).Status
			}
			if fmt.Sprint(uint8(got)) != want {
				t.Errorf("%q: step %d, %s, gave %d (%v), want %s", name, i+1, op, got, got, want)
			}
		}
		for i, want := range row.credit {
			if got := w.account(who[i]).Balance(); got != want {
				t.Errorf("%q: account %d gained %d, want %d", name, i+1, got, want)
			}
		}
	}
}

// testEvidence checks what a refused refund shows.
func testEvidence(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, thief, an := w.collector(2), w.collector(0), w.analyst()
	fps := w.coins(c, 2)
	w.clock.advance(1234 * time.Millisecond)
	redeemedAt := w.clock.Now()
	w.redeem(an, fps[0], w.digest())
	w.clock.advance(5 * time.Second)
	refundedAt := w.clock.Now()
	w.refund(thief, fps[1])
	w.clock.advance(5 * time.Second)

	got := w.refund(c, fps[0])
	if got.Status != core.StatusRedeemed || !got.At.Equal(redeemedAt) || got.Redeemer != an {
		t.Errorf("refund of a redeemed coin shows %v at %v by %v, want at %v by %v", got.Status, got.At, got.Redeemer, redeemedAt, an)
	}
	got = w.refund(c, fps[1])
	if got.Status != core.StatusRedeemed || !got.At.Equal(refundedAt) || got.Redeemer != thief {
		t.Errorf("refund of a coin refunded by another shows %v at %v by %v, want at %v by %v", got.Status, got.At, got.Redeemer, refundedAt, thief)
	}
	if got := w.refund(thief, fps[1]); got != (ledger.Refund{}) {
		t.Errorf("repeated refund returned %+v, want status 0 and nothing else", got)
	}
	salt := w.salt()
	if got := w.refund(c, mint(nil, &salt, 1)[0]); got != (ledger.Refund{Status: core.StatusNotLive}) {
		t.Errorf("refund of an unknown coin returned %+v", got)
	}
}

// testBatches checks calls of many coins: positions, repeats inside a call, no coins.
func testBatches(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, an, other := w.collector(5000), w.analyst(), w.analyst()
	rng := rand.New(rand.NewPCG(1, 2))

	if err := w.Redeem(w.ctx, an, nil, nil); err != nil {
		t.Errorf("Redeem of no coins: %v", err)
	}

	// A thousand coins: live, unknown, and redeemed by another, in random places.
	live, taken := w.coins(c, 400), w.coins(c, 300)
	salt := w.salt()
	none := mint(nil, &salt, 300)
	for _, fp := range taken {
		w.redeem(other, fp, core.Digest{1})
	}
	type want struct {
		fp     core.Fingerprint
		status core.Status
	}
	var wants []want
	for i, set := range [][]core.Fingerprint{live, taken, none} {
		for _, fp := range set {
			wants = append(wants, want{fp, []core.Status{core.StatusOK, core.StatusRedeemed, core.StatusNotLive}[i]})
		}
	}
	rng.Shuffle(len(wants), func(i, j int) { wants[i], wants[j] = wants[j], wants[i] })
	coins, out := make([]ledger.Redemption, len(wants)), make([]core.Status, len(wants))
	for i := range wants {
		coins[i] = ledger.Redemption{Fingerprint: wants[i].fp, Digest: core.Digest{2}}
	}
	if err := w.Redeem(w.ctx, an, coins, out); err != nil {
		t.Fatal(err)
	}
	for i := range wants {
		if out[i] != wants[i].status {
			t.Fatalf("coin %d of the call: %v, want %v", i, out[i], wants[i].status)
		}
	}
	w.wantBalance(an, 400)

	// One coin several times in a call.
	fp := w.coins(c, 1)[0]
	a, b := w.digest(), w.digest()
	five := make([]core.Status, 5)
	same := []ledger.Redemption{{Fingerprint: fp, Digest: a}, {Fingerprint: fp, Digest: b}, {Fingerprint: fp, Digest: a}, {Fingerprint: live[0], Digest: b}, {Fingerprint: fp, Digest: a}}
	if err := w.Redeem(w.ctx, an, same, five); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(five), fmt.Sprint([]core.Status{0, 4, 1, 4, 1}); got != want {
		t.Errorf("redeem of one coin several times in a call gave %v, want %v", got, want)
	}
	w.wantBalance(an, 401)
	if err := w.Return(w.ctx, an, same, five); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(five), fmt.Sprint([]core.Status{0, 4, 0, 4, 0}); got != want {
		t.Errorf("return of one coin several times in a call gave %v, want %v", got, want)
	}
	w.wantBalance(an, 400)
	refunds := make([]ledger.Refund, 3)
	before := w.account(c).Balance()
	if err := w.Refund(w.ctx, c, []core.Fingerprint{fp, fp, fp}, refunds); err != nil {
		t.Fatal(err)
	}
	if refunds[0].Status != 0 || refunds[1].Status != 0 || refunds[2].Status != 0 {
		t.Errorf("refund of one coin three times in a call gave %v", refunds)
	}
	w.wantBalance(c, before+1)

	// Refunds of many coins keep their places, too.
	more := w.coins(c, 600)
	fps := append(append([]core.Fingerprint{}, more...), none...)
	rng.Shuffle(len(fps), func(i, j int) { fps[i], fps[j] = fps[j], fps[i] })
	isLive := make(map[core.Fingerprint]bool)
	for _, fp := range more {
		isLive[fp] = true
	}
	refunds = make([]ledger.Refund, len(fps))
	if err := w.Refund(w.ctx, c, fps, refunds); err != nil {
		t.Fatal(err)
	}
	for i, fp := range fps {
		if (refunds[i].Status == core.StatusOK) != isLive[fp] {
			t.Fatalf("coin %d of the refund: %v, want live %t", i, refunds[i].Status, isLive[fp])
		}
	}
}

// testCallRefusals checks calls that are refused as a whole: nothing may happen.
func testCallRefusals(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, an := w.collector(2), w.analyst()
	fp := w.coins(c, 1)
	x := []ledger.Redemption{{Fingerprint: fp[0], Digest: w.digest()}}
	untouched := core.Status(99)
	status, refunds := []core.Status{untouched}, []ledger.Refund{{Status: untouched}}

	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	nobody := w.unknownAccount()
	for name, test := range map[string]struct {
		err  error
		want error
	}{
		"Redeem, ctx ended": {w.Redeem(ctx, an, x, status), context.Canceled},
		"Return, ctx ended": {w.Return(ctx, an, x, status), context.Canceled},
		"Refund, ctx ended": {w.Refund(ctx, c, fp, refunds), context.Canceled},
		"Redeem of nobody":  {w.Redeem(w.ctx, nobody, x, status), ledger.ErrNoAccount},
		"Return of nobody":  {w.Return(w.ctx, nobody, x, status), ledger.ErrNoAccount},
		"Refund of nobody":  {w.Refund(w.ctx, nobody, fp, refunds), ledger.ErrNoAccount},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	many := 10_001
	if err := w.Redeem(w.ctx, an, make([]ledger.Redemption, many), make([]core.Status, many)); err == nil {
		t.Error("Redeem of 10,001 coins was accepted")
	}
	if status[0] != untouched || refunds[0].Status != untouched {
		t.Error("a refused call wrote an outcome")
	}
	if s := w.redeem(an, fp[0], w.digest()); s != core.StatusOK {
		t.Errorf("after refused calls the coin is %v, want live", s)
	}
	for name, misuse := range map[string]func(){
		"Redeem": func() { _ = w.Redeem(w.ctx, an, x, nil) },
		"Return": func() { _ = w.Return(w.ctx, an, x, make([]core.Status, 2)) },
		"Refund": func() { _ = w.Refund(w.ctx, an, fp, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s with the wrong number of outcomes did not panic", name)
				}
			}()
			misuse()
		}()
	}
}
