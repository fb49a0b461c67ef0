package bank

import (
	"errors"
	"testing"
	"time"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

func testRoom(t *testing.T, o Options) *room {
	t.Helper()
	r, err := newRoom(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRoomIsFair floods from more and more accounts: each holds as much as is left.
func TestRoomIsFair(t *testing.T) {
	r := testRoom(t, Options{MaxCoins: 60_000})
	flood := func(id byte) (n int) {
		for r.enter(ledger.AccountID{id}, 100) == nil {
			n += 100
		}
		return n
	}
	if got := flood(1); got != 30_000 {
		t.Errorf("one account alone holds %d, want half", got)
	}
	if got := flood(2); got != 15_000 {
		t.Errorf("the second holds %d, want half of what was left", got)
	}
	r.leave(ledger.AccountID{1}, 10_000)
	r.leave(ledger.AccountID{2}, 1_000)
	if a, b := flood(2), flood(1); a != 6_000 || b != 0 {
		t.Errorf("then the second takes %d more, the first %d; want 20,000 each held and left", a, b)
	}
	if err := r.enter(ledger.AccountID{3}, wire.MaxWithdraw); err != nil {
		t.Errorf("somebody who does not flood: %v", err)
	}
	if err := r.enter(ledger.AccountID{3}, 1); !errors.Is(err, ErrBusy) {
		t.Errorf("as much as is left is the limit: %v", err)
	}
	if r.inUse() != 50_000 {
		t.Errorf("%d in use", r.inUse())
	}
}

func TestRoomRate(t *testing.T) {
	r := testRoom(t, Options{Rate: 1000, RateBurst: 12_000})
	id := ledger.AccountID{1}
	enter := func(n int) error {
		err := r.enter(id, n)
		if err == nil {
			r.leave(id, n)
		}
		return err
	}
	if err := errors.Join(enter(10_000), enter(1_900)); err != nil {
		t.Fatal(err)
	}
	var tooFast *RateError
	if err := enter(5_000); !errors.As(err, &tooFast) || tooFast.Wait > 5*time.Second || tooFast.Wait < 4*time.Second {
		t.Fatalf("beyond the burst: %v", err)
	}
	if err := enter(90); err != nil { // what is refused takes nothing
		t.Errorf("the rest of the burst: %v", err)
	}
	if err := r.enter(ledger.AccountID{2}, 10_000); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// TestRoomForgets meets more accounts than it may keep: those that are busy, or not
// rested, are still known.
func TestRoomForgets(t *testing.T) {
	r := testRoom(t, Options{Rate: 1})
	busy, tired := ledger.AccountID{1}, ledger.AccountID{2}
	for _, id := range []ledger.AccountID{busy, tired} {
		if err := r.enter(id, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	r.leave(tired, 10_000)
	for i := range 100_000 {
		id := ledger.AccountID{3, byte(i), byte(i >> 8), byte(i >> 16)}
		r.accounts[id] = nil
		delete(r.accounts, id)
		r.add(id)
	}
	if len(r.accounts) > 3000 {
		t.Errorf("%d accounts are known", len(r.accounts))
	}
	if a := r.accounts[busy]; a == nil || a.used != 10_000 {
		t.Error("a busy account was forgotten")
	}
	if err := r.enter(tired, 5_000); err == nil {
		t.Error("a tired account was forgotten")
	}
}

func TestRoomRefusesOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"small room": {MaxCoins: 19_999}, "negative room": {MaxCoins: -1}, "negative rate": {Rate: -1}, "small burst": {Rate: 1, RateBurst: 9_999},
	} {
		if _, err := newRoom(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
