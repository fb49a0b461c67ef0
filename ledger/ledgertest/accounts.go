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
	if a.Name != "Anna Ölçer" || a.Role != ledger.RoleCollector || a.Pin != pin || a.State != ledger.Active || !a.Created.Equal(epoch) || a.Balance() != 0 || a.ID == (ledger.AccountID{}) {
		t.Fatalf("AddAccount returned %+v", a)
	}
	if got := w.account(a.ID); got != a {
		t.Errorf("Account returned %+v, want %+v", got, a)
	}
	if got, err := w.ClientByPin(w.ctx, pin); err != nil || got != a.Client {
		t.Errorf("ClientByPin returned %+v, %v, want %+v", got, err, a)
	}
	if _, err := w.AddAccount(w.ctx, "thief", ledger.RoleAnalyst, pin); !errors.Is(err, ledger.ErrAccountExists) {
		t.Errorf("second account for an active pin: %v, want ErrAccountExists", err)
	}
	if _, err := w.Grant(w.ctx, a.ID, 7); err != nil {
		t.Fatal(err)
	}

	removed, err := w.SetState(w.ctx, a.ID, ledger.Removed)
	if err != nil || removed.State != ledger.Removed || removed.ID != a.ID || removed.Balance() != 7 {
		t.Fatalf("SetState returned %+v, %v", removed, err)
	}
	if got, err := w.ClientByPin(w.ctx, pin); err != nil || got.State != ledger.Removed {
		t.Errorf("ClientByPin of a removed account returned %+v, %v", got, err)
	}
	if again, err := w.SetState(w.ctx, a.ID, ledger.Removed); err != nil || again != removed {
		t.Errorf("second SetState returned %+v, %v, want the same", again, err)
	}
	w.clock.advance(spentWindow)
	back, err := w.AddAccount(w.ctx, "Anna again", ledger.RoleAnalyst, pin)
	if err != nil {
		t.Fatal(err)
	}
	if back.ID != a.ID || back.State != ledger.Active || back.Name != "Anna again" || back.Role != ledger.RoleAnalyst || back.Balance() != 7 || !back.Created.Equal(a.Created) {
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
	_, errPin := w.ClientByPin(w.ctx, w.pin())
	_, errName := w.AccountByName(w.ctx, "nobody")
	_, errState := w.SetState(w.ctx, nobody, ledger.Removed)
	_, errAddPin := w.AddPin(w.ctx, nobody, w.pin())
	_, errDropPin := w.DropPin(w.ctx, nobody, w.pin())
	_, errGrant := w.Grant(w.ctx, nobody, 5)
	for name, err := range map[string]error{"Account": errAccount, "ClientByPin": errPin, "AccountByName": errName, "SetState": errState, "AddPin": errAddPin, "DropPin": errDropPin, "Grant": errGrant} {
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

// testAddAccounts adds many at once: each has its own outcome, and the same again
// changes nothing.
func testAddAccounts(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	gone := w.add(ledger.RoleCollector, 5)
	active := w.account(w.analyst())
	goneAccount, err := w.SetState(w.ctx, gone, ledger.Removed)
	if err != nil {
		t.Fatal(err)
	}
	pins := []ledger.Pin{w.pin(), w.pin(), w.pin(), w.pin()}
	const c = ledger.RoleCollector
	const most = 1_000_000_000_000_000
	list := []ledger.NewAccount{
		{Name: "new 1", Role: c, Pin: pins[0], Credit: 7},
		{Name: "new 2", Role: ledger.RoleAnalyst, Pin: pins[1]},
		{Name: "new 1", Role: c, Pin: pins[0], Credit: 7},                              // the same again
		{Name: "new 1", Role: c, Pin: pins[2]},                                         // its name is taken
		{Name: "new 3", Role: c, Pin: pins[0]},                                         // its key is taken
		{Name: "back", Role: c, Pin: goneAccount.Pin, Credit: 3},                       // active again
		{Name: "another", Role: c, Pin: active.Pin},                                    // an older account's key
		{Name: active.Name, Role: active.Role, Pin: active.Pin, Credit: 9},             // an older account
		{Name: active.Name, Role: c, Pin: pins[3]},                                     // an older account's name
		{Name: "", Role: c, Pin: pins[3]},                                              // no name
		{Name: "poor", Role: c, Pin: pins[3], Credit: -1},                              // no credit
		{Name: "rich", Role: c, Pin: pins[3], Credit: most + 1},                        // too much
		{Name: "nothing", Role: 3, Pin: pins[3]},                                       // no role
		{Name: "keyless", Role: c},                                                     // no key
		{Name: goneAccount.Name, Role: ledger.RoleAnalyst, Pin: pins[3], Credit: most}, // a name that became free
	}
	other := errors.New("any other")
	want := []error{nil, nil, ledger.ErrAccountSame, ledger.ErrNameTaken, ledger.ErrAccountExists, nil, ledger.ErrAccountExists,
		ledger.ErrAccountSame, ledger.ErrNameTaken, other, other, other, other, other, nil}
	ids, errs := make([]ledger.AccountID, len(list)), make([]error, len(list))
	if err := w.AddAccounts(w.ctx, list, ids, errs); err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if want[i] == nil && err != nil || want[i] != nil && err == nil || want[i] != nil && want[i] != other && !errors.Is(err, want[i]) {
			t.Errorf("account %d: %v, want %v", i, err, want[i])
		}
		if want[i] == ledger.ErrAccountExists && errors.Is(err, ledger.ErrAccountSame) {
			t.Errorf("account %d: the same, it says", i)
		}
		if want[i] == nil {
			a := w.account(ids[i])
			credit := list[i].Credit
			if ids[i] == gone {
				credit += 5
			}
			if a.Name != list[i].Name || a.Role != list[i].Role || a.Pin != list[i].Pin || a.State != ledger.Active || a.Balance() != credit {
				t.Errorf("account %d became %+v", i, a)
			}
		}
	}
	if ids[5] != gone || ids[2] != ids[0] || ids[7] != active.ID {
		t.Error("accounts that were there have other ids")
	}
	before := w.audit()
	w.reopen()
	if err := w.AddAccounts(w.ctx, list, ids, errs); err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if want[i] == nil && !errors.Is(err, ledger.ErrAccountSame) || want[i] != nil && err == nil {
			t.Errorf("account %d again: %v", i, err)
		}
	}
	if after := w.audit(); after.Granted != before.Granted || after.Accounts != before.Accounts || after.Accounts != 5 {
		t.Errorf("adding all again made %d of %d accounts and %d of %d granted", after.Accounts, before.Accounts, after.Granted, before.Granted)
	}
	if _, err := w.SetState(w.ctx, ids[14], ledger.Removed); err != nil {
		t.Fatal(err)
	}
	if err := w.AddAccounts(w.ctx, []ledger.NewAccount{{Name: "rich", Role: c, Pin: pins[3], Credit: 1}}, ids[:1], errs[:1]); err != nil || !errors.Is(errs[0], ledger.ErrGrantLimit) {
		t.Errorf("credit beyond the limit: %v, %v", err, errs[0])
	}
	if err := w.AddAccounts(w.ctx, make([]ledger.NewAccount, 10_001), make([]ledger.AccountID, 10_001), make([]error, 10_001)); err == nil {
		t.Error("10,001 accounts in one call")
	}
}

// testNames: a name leads to one account, and is free again when that is removed.
func testNames(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	add := func(name string) (ledger.Account, error) {
		return w.AddAccount(w.ctx, name, ledger.RoleCollector, w.pin())
	}
	find := func(name string, want ledger.AccountID, wantErr error) {
		t.Helper()
		if a, err := w.AccountByName(w.ctx, name); a.ID != want || !errors.Is(err, wantErr) {
			t.Errorf("%q leads to %v, %v; want %v, %v", name, a.ID, err, want, wantErr)
		}
	}
	first, err := add("cam")
	if err != nil {
		t.Fatal(err)
	}
	longer, err := add("cam-1") // the name of one begins like another's
	if err != nil {
		t.Fatal(err)
	}
	find("cam", first.ID, nil)
	find("cam-1", longer.ID, nil)
	find("ca", ledger.AccountID{}, ledger.ErrNoAccount)
	if _, err := add("cam"); !errors.Is(err, ledger.ErrNameTaken) {
		t.Errorf("a second cam: %v", err)
	}
	if _, err := w.SetState(w.ctx, first.ID, ledger.Suspended); err != nil {
		t.Fatal(err)
	}
	find("cam", first.ID, nil)
	if _, err := add("cam"); !errors.Is(err, ledger.ErrNameTaken) {
		t.Errorf("a second cam beside a suspended one: %v", err)
	}
	for range 2 { // removed twice: the second must not take the name of the next cam away
		if _, err := w.SetState(w.ctx, first.ID, ledger.Removed); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AccountByName(w.ctx, "cam"); errors.Is(err, ledger.ErrNoAccount) {
			if _, err := add("cam"); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.reopen()
	if a, err := w.AccountByName(w.ctx, "cam"); err != nil || a.ID == first.ID {
		t.Errorf("the next cam is %v, %v", a.ID, err)
	}
	if _, err := w.AddAccount(w.ctx, "cam", ledger.RoleCollector, first.Pin); !errors.Is(err, ledger.ErrNameTaken) {
		t.Errorf("the first cam back under its name: %v", err)
	}
	w.audit()
}

func testStates(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	a := w.account(w.collector(4))
	for _, step := range []struct {
		to, is ledger.State
		err    error
	}{
		{ledger.Suspended, ledger.Suspended, nil},
		{ledger.Suspended, ledger.Suspended, nil},
		{ledger.Active, ledger.Active, nil},
		{ledger.Suspended, ledger.Suspended, nil},
		{ledger.Removed, ledger.Removed, nil},
		{ledger.Active, ledger.Removed, ledger.ErrRemoved},
		{ledger.Suspended, ledger.Removed, ledger.ErrRemoved},
		{ledger.Removed, ledger.Removed, nil},
	} {
		got, err := w.SetState(w.ctx, a.ID, step.to)
		if !errors.Is(err, step.err) || err == nil && (got.State != step.is || got.Balance() != 4) {
			t.Errorf("to %v: %+v, %v", step.to, got, err)
		}
		w.reopen()
		if c, err := w.ClientByPin(w.ctx, a.Pin); err != nil || c.State != step.is || c.ID != a.ID {
			t.Errorf("after %v: %+v, %v", step.to, c, err)
		}
	}
	if _, err := w.SetState(w.ctx, a.ID, 3); err == nil {
		t.Error("a fourth state")
	}
}

// testPins changes the key of an account, with both valid in between.
func testPins(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	a, b := w.account(w.analyst()), w.account(w.analyst())
	removed, err := w.SetState(w.ctx, w.analyst(), ledger.Removed)
	if err != nil {
		t.Fatal(err)
	}
	next, third := w.pin(), w.pin()
	leads := func(pin ledger.Pin, want ledger.AccountID) {
		t.Helper()
		if c, err := w.ClientByPin(w.ctx, pin); c.ID != want || err != nil && !errors.Is(err, ledger.ErrNoAccount) || (err == nil) != (want != ledger.AccountID{}) {
			t.Errorf("the pin leads to %v, %v; want %v", c.ID, err, want)
		}
	}
	change := func(do func(context.Context, ledger.AccountID, ledger.Pin) (ledger.Account, error), pin, wantPin, wantOld ledger.Pin, wantErr error) {
		t.Helper()
		got, err := do(w.ctx, a.ID, pin)
		if !errors.Is(err, wantErr) || err == nil && (got.Pin != wantPin || got.OldPin != wantOld) {
			t.Errorf("pins %v and %v, %v; want %v", got.Pin, got.OldPin, err, wantErr)
		}
	}
	none := ledger.Pin{}
	change(w.DropPin, a.Pin, none, none, ledger.ErrNoPin) // its only one
	change(w.AddPin, b.Pin, none, none, ledger.ErrAccountExists)
	change(w.AddPin, removed.Pin, none, none, ledger.ErrAccountExists)
	if _, err := w.AddPin(w.ctx, a.ID, none); err == nil {
		t.Error("the zero pin was added")
	}
	change(w.AddPin, next, next, a.Pin, nil)
	change(w.AddPin, next, next, a.Pin, nil)
	change(w.AddPin, third, none, none, ledger.ErrRotating)
	w.reopen()
	leads(a.Pin, a.ID)
	leads(next, a.ID)
	leads(third, ledger.AccountID{})
	w.audit()
	if _, err := w.AddAccount(w.ctx, "thief", ledger.RoleAnalyst, a.Pin); !errors.Is(err, ledger.ErrAccountExists) {
		t.Errorf("an account for a pin that is being replaced: %v", err)
	}
	change(w.DropPin, third, none, none, ledger.ErrNoPin)
	change(w.DropPin, a.Pin, next, none, nil)
	change(w.DropPin, a.Pin, none, none, ledger.ErrNoPin)
	leads(a.Pin, ledger.AccountID{})
	leads(next, a.ID)
	change(w.AddPin, third, third, next, nil)
	change(w.DropPin, third, next, none, nil) // given up
	leads(third, ledger.AccountID{})
	leads(next, a.ID)
	change(w.AddPin, third, third, next, nil)
	w.audit()
	if _, err := w.SetState(w.ctx, a.ID, ledger.Removed); err != nil {
		t.Fatal(err)
	}
	change(w.AddPin, w.pin(), none, none, ledger.ErrRemoved)
	w.reopen()
	if back, err := w.AddAccount(w.ctx, "back", ledger.RoleAnalyst, next); err != nil || back.ID != a.ID || back.Pin != third || back.OldPin != next {
		t.Errorf("back by its old key: %+v, %v", back, err)
	}
	w.audit()
}
