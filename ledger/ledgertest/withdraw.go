package ledgertest

import (
	"context"
	"errors"
	"testing"

	"ecoin/core"
	"ecoin/ledger"
)

func testWithdraw(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, other := w.collector(11_010), w.collector(11_010)
	salt, id := w.salt(), w.id()
	got, err := w.Withdraw(w.ctx, c, id, salt, 10)
	if err != nil || got != salt {
		t.Fatalf("Withdraw returned its own salt %t, %v", got == salt, err)
	}
	w.wantBalance(c, 11_000)
	if a := w.account(c); a.Issued != 10 {
		t.Errorf("issued %d, want 10", a.Issued)
	}
	if a := w.audit(); a.Live != 10 || a.Pending != 0 || a.Issued != 10 {
		t.Errorf("after 10 coins the audit counts %d live, %d pending, %d issued", a.Live, a.Pending, a.Issued)
	}

	// A repeat gets the stored salt, whatever salt it brings, and is not debited.
	for range 3 {
		if got, err := w.Withdraw(w.ctx, c, id, w.salt(), 10); err != nil || got != salt {
			t.Errorf("repeat returned the stored salt %t, %v", got == salt, err)
		}
	}
	w.wantBalance(c, 11_000)
	for _, n := range []int{9, 11} {
		if _, err := w.Withdraw(w.ctx, c, id, w.salt(), n); !errors.Is(err, ledger.ErrRequestMismatch) {
			t.Errorf("same id with %d coins: %v, want ErrRequestMismatch", n, err)
		}
	}

	// The id belongs to the account.
	salt2 := w.salt()
	if got, err := w.Withdraw(w.ctx, other, id, salt2, 10); err != nil || got != salt2 {
		t.Errorf("same id of another account returned its own salt %t, %v", got == salt2, err)
	}
	w.wantBalance(other, 11_000)

	// A repeat does not bring spent coins back.
	an := w.analyst()
	fps := mint(nil, &salt, 10)
	if s := w.redeem(an, fps[3], w.digest()); s != core.StatusOK {
		t.Fatalf("redeem: %v", s)
	}
	if _, err := w.Withdraw(w.ctx, c, id, w.salt(), 10); err != nil {
		t.Error(err)
	}
	if s := w.redeem(an, fps[3], w.digest()); s != core.StatusRedeemed {
		t.Errorf("redeem after a repeated withdrawal: %v, want already redeemed", s)
	}

	// The largest call, and all of the rest.
	w.coins(c, 10_000)
	w.coins(c, 1000)
	w.wantBalance(c, 0)
	if a := w.audit(); a.Live != 11_010+10-1 {
		t.Errorf("audit counts %d live coins, want %d", a.Live, 11_010+10-1)
	}
}

func testWithdrawRefusals(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c := w.collector(5)
	for _, n := range []int{0, -1, 10_001, -1 << 62} {
		if _, err := w.Withdraw(w.ctx, c, w.id(), w.salt(), n); err == nil {
			t.Errorf("withdrawal of %d coins was accepted", n)
		}
	}
	id := w.id()
	if _, err := w.Withdraw(w.ctx, c, id, w.salt(), 6); !errors.Is(err, ledger.ErrInsufficient) {
		t.Errorf("6 coins out of 5: %v, want ErrInsufficient", err)
	}
	w.wantBalance(c, 5)
	// A refused id is free: it was not used.
	if _, err := w.Withdraw(w.ctx, c, id, w.salt(), 5); err != nil {
		t.Errorf("same id with fewer coins after a refusal: %v", err)
	}
	if _, err := w.Withdraw(w.ctx, w.unknownAccount(), w.id(), w.salt(), 1); !errors.Is(err, ledger.ErrNoAccount) {
		t.Errorf("withdrawal of nobody: %v, want ErrNoAccount", err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := w.Withdraw(ctx, c, id, w.salt(), 5); !errors.Is(err, context.Canceled) {
		t.Errorf("withdrawal after the end of ctx: %v", err)
	}
	if a := w.audit(); a.Live != 5 || a.Issued != 5 {
		t.Errorf("audit counts %d live and %d issued, want 5", a.Live, a.Issued)
	}
}

// A salt that was used must not make its coins live a second time.
func testWithdrawSaltUsed(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c, an := w.collector(100), w.analyst()
	salt := w.salt()
	if _, err := w.Withdraw(w.ctx, c, w.id(), salt, 3); err != nil {
		t.Fatal(err)
	}
	fps, d := mint(nil, &salt, 3), w.digest()
	check := func(when string) {
		t.Helper()
		if _, err := w.Withdraw(w.ctx, c, w.id(), salt, 3); err == nil {
			t.Errorf("a used salt was accepted while its first coin is %s", when)
		}
		w.audit()
	}
	check("live")
	w.redeem(an, fps[0], d)
	check("redeemed")
	w.giveBack(an, fps[0], d)
	check("returned")
	w.refund(c, fps[0])
	check("refunded")
	w.wantBalance(c, 98)
}
