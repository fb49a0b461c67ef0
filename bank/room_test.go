package bank

import (
	"errors"
	"testing"
	"time"

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

// TestRoom: what is refused, for whatever reason, holds no room.
func TestRoom(t *testing.T) {
	r := testRoom(t, Options{MaxCoins: 30_000, Rate: 1, RateBurst: 16_000})
	a, b := ledger.AccountID{1}, ledger.AccountID{2}
	if err := r.enter(a, 10_000); err != nil {
		t.Fatal(err)
	}
	if err := r.enter(a, 10_001); !errors.Is(err, ErrBusy) {
		t.Errorf("more than is left: %v", err)
	}
	if err := r.enter(b, 10_000); err != nil {
		t.Errorf("another account: %v", err)
	}
	r.leave(a, 10_000)
	var tooFast *RateError
	if err := r.enter(a, 7_000); !errors.As(err, &tooFast) {
		t.Errorf("more than the burst: %v", err)
	}
	if r.coins.InUse() != 10_000 {
		t.Errorf("%d coins under way", r.coins.InUse())
	}
	r.leave(b, 10_000)
	if err := r.enter(a, 5_000); err != nil {
		t.Errorf("the rest of the burst: %v", err)
	}
}

func TestRates(t *testing.T) {
	r := testRoom(t, Options{Rate: 1000, RateBurst: 12_000}).rates
	id := ledger.AccountID{1}
	if err := errors.Join(r.take(id, 10_000), r.take(id, 1_900)); err != nil {
		t.Fatal(err)
	}
	var tooFast *RateError
	if err := r.take(id, 5_000); !errors.As(err, &tooFast) || tooFast.Wait > 5*time.Second || tooFast.Wait < 4*time.Second {
		t.Fatalf("beyond the burst: %v", err)
	}
	if err := r.take(id, 90); err != nil { // what is refused takes nothing
		t.Errorf("the rest of the burst: %v", err)
	}
	if err := r.take(ledger.AccountID{2}, 10_000); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// TestRatesForget meets more accounts than it may keep: those that are not rested are
// still known.
func TestRatesForget(t *testing.T) {
	r := testRoom(t, Options{Rate: 1_000_000_000}).rates
	tired := ledger.AccountID{2}
	r.rate = 1
	if err := r.take(tired, 1_000_000_000); err != nil {
		t.Fatal(err)
	}
	r.rate = 1_000_000_000
	for i := range 100_000 {
		if err := r.take(ledger.AccountID{3, byte(i), byte(i >> 8), byte(i >> 16)}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.limiters) > 10_000 {
		t.Errorf("%d accounts are known", len(r.limiters))
	}
	if err := r.take(tired, 5_000); err == nil {
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
