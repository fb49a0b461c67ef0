package ledgertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ecoin/ledger"
)

func testAccounts(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	pin := w.pin()
	a, err := w.AddAccount(w.ctx, "Anna Ölçer", ledger.RoleCollector, pin)
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "Anna Ölçer" || a.Role != ledger.RoleCollector || a.Pin != pin || a.Removed || !a.Created.Equal(epoch) || a.Balance() != 0 || a.ID == (ledger.AccountID{}) {
		t.Fatalf("AddAccount returned %+v", a)
	}
	if got := w.account(a.ID); got != a {
		t.Errorf("Account returned %+v, want %+v", got, a)
	}
	if got, err := w.AccountByPin(w.ctx, pin); err != nil || got != a {
		t.Errorf("AccountByPin returned %+v, %v, want %+v", got, err, a)
	}
	if _, err := w.AddAccount(w.ctx, "thief", ledger.RoleAnalyst, pin); !errors.Is(err, ledger.ErrAccountExists) {
		t.Errorf("second account for an active pin: %v, want ErrAccountExists", err)
	}
	if _, err := w.Grant(w.ctx, a.ID, 7); err != nil {
		t.Fatal(err)
	}

	removed, err := w.RemoveAccount(w.ctx, a.ID)
	if err != nil || !removed.Removed || removed.ID != a.ID || removed.Balance() != 7 {
		t.Fatalf("RemoveAccount returned %+v, %v", removed, err)
	}
	if got, err := w.AccountByPin(w.ctx, pin); err != nil || !got.Removed {
		t.Errorf("AccountByPin of a removed account returned %+v, %v", got, err)
	}
	if again, err := w.RemoveAccount(w.ctx, a.ID); err != nil || again != removed {
		t.Errorf("second RemoveAccount returned %+v, %v, want the same", again, err)
	}
	w.clock.advance(spentWindow)
	back, err := w.AddAccount(w.ctx, "Anna again", ledger.RoleAnalyst, pin)
	if err != nil {
		t.Fatal(err)
	}
	if back.ID != a.ID || back.Removed || back.Name != "Anna again" || back.Role != ledger.RoleAnalyst || back.Balance() != 7 || !back.Created.Equal(a.Created) {
		t.Errorf("adding a removed pin returned %+v", back)
	}

	want := map[ledger.AccountID]bool{a.ID: true}
	for range 20 {
		want[w.collector(1)] = true
	}
	var last ledger.AccountID
	err = w.Accounts(w.ctx, func(a ledger.Account) error {
		if !want[a.ID] {
			t.Errorf("Accounts visits %v twice, or it was never added", a.ID)
		}
		if string(a.ID[:]) <= string(last[:]) {
			t.Error("Accounts is not in order of id")
		}
		last = a.ID
		delete(want, a.ID)
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Errorf("Accounts: %v, %d accounts not visited", err, len(want))
	}
	enough := errors.New("enough")
	visits := 0
	err = w.Accounts(w.ctx, func(ledger.Account) error { visits++; return enough })
	if !errors.Is(err, enough) || visits != 1 {
		t.Errorf("Accounts returned %v after %d visits, want the visitor's error after 1", err, visits)
	}
	if got := w.audit().Accounts; got != 21 {
		t.Errorf("audit counts %d accounts, want 21", got)
	}
}

func testAccountRefusals(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	for _, name := range []string{"", strings.Repeat("x", 129), "bad\xffutf8", "line\nbreak", "del\x7f"} {
		if _, err := w.AddAccount(w.ctx, name, ledger.RoleCollector, w.pin()); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
	if _, err := w.AddAccount(w.ctx, strings.Repeat("x", 128), ledger.RoleCollector, w.pin()); err != nil {
		t.Errorf("name of 128 bytes: %v", err)
	}
	for _, role := range []ledger.Role{0, 3, 255} {
		if _, err := w.AddAccount(w.ctx, "x", role, w.pin()); err == nil {
			t.Errorf("role %d was accepted", role)
		}
	}
	nobody := w.unknownAccount()
	_, errAccount := w.Account(w.ctx, nobody)
	_, errPin := w.AccountByPin(w.ctx, w.pin())
	_, errRemove := w.RemoveAccount(w.ctx, nobody)
	_, errGrant := w.Grant(w.ctx, nobody, 5)
	for name, err := range map[string]error{"Account": errAccount, "AccountByPin": errPin, "RemoveAccount": errRemove, "Grant": errGrant} {
		if !errors.Is(err, ledger.ErrNoAccount) {
			t.Errorf("%s of nobody: %v, want ErrNoAccount", name, err)
		}
	}
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := w.AddAccount(ctx, "late", ledger.RoleCollector, w.pin()); !errors.Is(err, context.Canceled) {
		t.Errorf("AddAccount after the end of ctx: %v", err)
	}
	if err := w.Accounts(ctx, func(ledger.Account) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Accounts after the end of ctx: %v", err)
	}
	if _, err := w.Audit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Audit after the end of ctx: %v", err)
	}
}

func testGrants(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	a := w.collector(0)
	const most = 1_000_000_000_000_000
	for _, step := range []struct {
		amount  int64
		balance int64 // afterwards
		err     error
		refused bool
	}{
		{amount: 10, balance: 10},
		{amount: -4, balance: 6},
		{amount: -7, balance: 6, err: ledger.ErrInsufficient},
		{amount: 0, balance: 6, refused: true},
		{amount: most + 1, balance: 6, refused: true},
		{amount: -most - 1, balance: 6, refused: true},
		{amount: -1 << 63, balance: 6, refused: true},
		{amount: most, balance: 6, err: ledger.ErrGrantLimit}, // 6 + most granted in all
		{amount: -6, balance: 0},
		{amount: most, balance: most},
		{amount: -most, balance: 0},
	} {
		got, err := w.Grant(w.ctx, a, step.amount)
		if step.err != nil && !errors.Is(err, step.err) || (err != nil) != (step.err != nil || step.refused) {
			t.Errorf("Grant(%d): %v", step.amount, err)
		}
		if err == nil && got.Balance() != step.balance {
			t.Errorf("Grant(%d) returned a balance of %d, want %d", step.amount, got.Balance(), step.balance)
		}
		w.wantBalance(a, step.balance)
	}
}
