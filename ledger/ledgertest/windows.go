package ledgertest

import (
	"errors"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// testSpentWindow redeems and refunds at several places of a window and follows the
// records in small steps of time: complete for at least a window, gone in the end.
func testSpentWindow(t *testing.T, newStore func(testing.TB) Store) {
	for _, offset := range []time.Duration{0, spentWindow / 2, spentWindow - time.Second, spentWindow - time.Millisecond} {
		w := newWorld(t, newStore)
		c, thief, an := w.collector(200), w.collector(0), w.analyst()
		fps := w.coins(c, 2)
		w.clock.advance(offset)
		at, d := w.clock.Now(), w.digest()
		w.redeem(an, fps[0], d)
		w.refund(c, fps[1])
		gone := 0
		steps := part(20) // per window
		for step := 0; step <= 5*steps; step++ {
			age := w.clock.Now().Sub(at)
			retry, refund, again := w.redeem(an, fps[0], d), w.refund(thief, fps[0]), w.refund(c, fps[1])
			if retry == core.StatusNotLive {
				gone++
				if refund.Status != core.StatusNotLive || again.Status != core.StatusNotLive {
					t.Errorf("offset %v: after %v the records are gone for a retry, but refunds gave %v and %v", offset, age, refund.Status, again.Status)
				}
				if age <= spentWindow {
					t.Errorf("offset %v: record gone after %v", offset, age)
				}
			} else {
				if gone > 0 {
					t.Errorf("offset %v: after %v a record is back", offset, age)
				}
				if retry != core.StatusRedeemedBefore || again.Status != core.StatusOK {
					t.Errorf("offset %v: after %v a retry gave %v, a repeated refund %v", offset, age, retry, again.Status)
				}
				if refund.Status != core.StatusRedeemed || refund.Redeemer != an || !refund.At.Equal(at) {
					t.Errorf("offset %v: after %v the evidence is %+v", offset, age, refund)
				}
			}
			// Something always happens, so that time is noticed.
			if s := w.redeem(an, w.coins(c, 1)[0], d); s != core.StatusOK {
				t.Fatal(s)
			}
			w.clock.advance(spentWindow / time.Duration(steps))
		}
		if gone == 0 {
			t.Errorf("offset %v: records are still there after 5 windows", offset)
		}
		w.audit()
	}
}

// testReturnedForEver checks that a returned coin waits for its refund for ever.
func testReturnedForEver(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, an := w.collector(100), w.analyst()
	fp, d := w.coins(c, 1)[0], w.digest()
	w.redeem(an, fp, d)
	w.clock.advance(spentWindow / 2)
	w.giveBack(an, fp, d)
	for range 10 {
		w.clock.advance(spentWindow)
		w.redeem(an, w.coins(c, 1)[0], w.digest())
	}
	if s := w.giveBack(an, fp, d); s != core.StatusOK {
		t.Errorf("repeated return after ten windows: %v", s)
	}
	if s := w.redeem(an, fp, d); s != core.StatusRedeemed {
		t.Errorf("redeem of a returned coin after ten windows: %v", s)
	}
	if a := w.audit(); a.Returned != 1 {
		t.Errorf("audit counts %d returned coins, want 1", a.Returned)
	}
	before := w.account(c).Balance()
	if r := w.refund(c, fp); r.Status != core.StatusOK {
		t.Errorf("refund of a returned coin after ten windows: %v", r.Status)
	}
	w.wantBalance(c, before+1)
}

// testWithdrawalWindow checks how long a withdrawal can be asked for again.
func testWithdrawalWindow(t *testing.T, newStore func(testing.TB) Store) {
	for _, offset := range []time.Duration{0, withdrawalWindow / 2, withdrawalWindow - time.Second} {
		w := newWorld(t, newStore)
		c := w.collector(1000)
		w.clock.advance(offset)
		id, salt := w.id(), w.salt()
		at := w.clock.Now()
		if _, err := w.Withdraw(w.ctx, c, id, salt, 2); err != nil {
			t.Fatal(err)
		}
		renewed := false
		const steps = 8
		for step := 0; step <= 5*steps && !renewed; step++ {
			before := w.account(c).Balance()
			other := w.salt()
			got, err := w.Withdraw(w.ctx, c, id, other, 2)
			switch age := w.clock.Now().Sub(at); {
			case err != nil:
				t.Fatalf("offset %v: repeat after %v: %v", offset, age, err)
			case got == salt:
				w.wantBalance(c, before)
				if _, err := w.Withdraw(w.ctx, c, id, w.salt(), 3); !errors.Is(err, ledger.ErrRequestMismatch) {
					t.Errorf("offset %v: other number of coins after %v: %v", offset, age, err)
				}
			case got == other:
				renewed = true
				w.wantBalance(c, before-2)
				if age <= withdrawalWindow {
					t.Errorf("offset %v: forgotten after %v", offset, age)
				}
			default:
				t.Fatalf("offset %v: repeat after %v returned an unknown salt", offset, age)
			}
			w.coins(c, 1)
			w.clock.advance(withdrawalWindow / steps)
		}
		if !renewed {
			t.Errorf("offset %v: still remembered after 5 windows", offset)
		}
	}
}

// testClockBackwards checks that a clock that goes back loses nothing.
func testClockBackwards(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, an := w.collector(100), w.analyst()
	fps, d := w.coins(c, 3), w.digest()
	w.redeem(an, fps[0], d)
	w.clock.advance(-10 * spentWindow)
	id, salt := w.id(), w.salt()
	if _, err := w.Withdraw(w.ctx, c, id, salt, 1); err != nil {
		t.Fatal(err)
	}
	w.redeem(an, fps[1], d)
	for range 10 { // back to where it was, in steps that would drop windows if any were older
		w.clock.advance(spentWindow)
		w.redeem(an, w.coins(c, 1)[0], d)
	}
	for i := range 2 {
		if s := w.redeem(an, fps[i], d); s != core.StatusRedeemedBefore {
			t.Errorf("retry of coin %d after the clock went back: %v", i, s)
		}
	}
	if got, err := w.Withdraw(w.ctx, c, id, w.salt(), 1); err != nil || got != salt {
		t.Errorf("repeated withdrawal after the clock went back returned the stored salt %t, %v", got == salt, err)
	}
	w.reopen()
	w.clock.advance(-20 * spentWindow)
	for i := range 2 {
		if s := w.redeem(an, fps[i], d); s != core.StatusRedeemedBefore {
			t.Errorf("retry of coin %d after reopening with a clock further back: %v", i, s)
		}
	}
}

// testReopen checks that every state outlives the process.
func testReopen(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, an, other := w.collector(1000), w.analyst(), w.analyst()
	id, salt := w.id(), w.salt()
	if _, err := w.Withdraw(w.ctx, c, id, salt, 100); err != nil {
		t.Fatal(err)
	}
	fps, d := mint(nil, &salt, 100), w.digest()
	// Coins 0-19 stay live, 20-39 are redeemed, 40-59 returned, 60-79 refunded after
	// a return, 80-99 refunded while live.
	for i := 20; i < 100; i++ {
		if i < 80 {
			w.redeem(an, fps[i], d)
		}
		if i >= 40 && i < 80 {
			w.giveBack(an, fps[i], d)
		}
		if i >= 60 {
			w.refund(c, fps[i])
		}
	}
	removed := w.analyst()
	if _, err := w.SetState(w.ctx, removed, ledger.Removed); err != nil {
		t.Fatal(err)
	}
	before := []ledger.Account{w.account(c), w.account(an), w.account(other), w.account(removed)}
	audit := w.audit()
	for range 2 {
		w.reopen()
		for _, a := range before {
			if got := w.account(a.ID); got != a {
				t.Errorf("account after reopening is %+v, was %+v", got, a)
			}
		}
		if got := w.audit(); got.Live != audit.Live || got.Returned != audit.Returned || got.Spent != audit.Spent || got.Accounts != audit.Accounts {
			t.Errorf("audit after reopening is %+v, was %+v", got, audit)
		}
		if got, err := w.Withdraw(w.ctx, c, id, w.salt(), 100); err != nil || got != salt {
			t.Errorf("repeated withdrawal after reopening returned the stored salt %t, %v", got == salt, err)
		}
		for i, want := range map[int]core.Status{20: 1, 39: 1, 40: 4, 59: 4, 60: 4, 79: 4, 80: 4, 99: 4} {
			if s := w.redeem(an, fps[i], d); s != want {
				t.Errorf("redeem of coin %d after reopening: %v, want %v", i, s, want)
			}
		}
		for i, want := range map[int]core.Status{40: 0, 60: 0, 80: 4} {
			if s := w.giveBack(an, fps[i], d); s != want {
				t.Errorf("return of coin %d after reopening: %v, want %v", i, s, want)
			}
		}
		for i, want := range map[int]core.Status{20: 4, 60: 0, 80: 0} {
			if s := w.refund(c, fps[i]).Status; s != want {
				t.Errorf("refund of coin %d after reopening: %v, want %v", i, s, want)
			}
		}
	}
	for i := range 20 {
		if s := w.redeem(other, fps[i], d); s != core.StatusOK {
			t.Errorf("live coin %d after reopening: %v", i, s)
		}
	}
}

// testClosed checks that a closed ledger refuses everything, and says so.
func testClosed(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c := w.collector(5)
	fp := w.coins(c, 1)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	status, refund := make([]core.Status, 1), make([]ledger.Refund, 1)
	x := []ledger.Redemption{{Fingerprint: fp[0]}}
	_, withdraw := w.Withdraw(w.ctx, c, w.id(), w.salt(), 1)
	_, add := w.AddAccount(w.ctx, "late", ledger.RoleCollector, w.pin())
	_, remove := w.SetState(w.ctx, c, ledger.Removed)
	_, grant := w.Grant(w.ctx, c, 1)
	_, account := w.Account(w.ctx, c)
	_, byPin := w.ClientByPin(w.ctx, w.pin())
	_, byName := w.AccountByName(w.ctx, "late")
	_, addPin := w.AddPin(w.ctx, c, w.pin())
	_, dropPin := w.DropPin(w.ctx, c, w.pin())
	_, audit := w.Audit(w.ctx)
	for name, err := range map[string]error{
		"Withdraw": withdraw, "AddAccount": add, "SetState": remove, "Grant": grant,
		"Account": account, "ClientByPin": byPin, "AccountByName": byName, "AddPin": addPin, "DropPin": dropPin, "Audit": audit,
		"Redeem":   w.Redeem(w.ctx, c, x, status),
		"Return":   w.Return(w.ctx, c, x, status),
		"Refund":   w.Refund(w.ctx, c, fp, refund),
		"Accounts": w.Accounts(w.ctx, func(ledger.Account) error { return nil }),
		"Close":    w.Close(),
	} {
		if !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	w.open()
}
