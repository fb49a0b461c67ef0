package bank

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

// ErrBusy reports a call that was refused because too many coins are under way.
// Nothing happened; ask again later.
var ErrBusy = errors.New("too many coins are under way")

// RateError reports a call that was refused because its account does more coins a
// second than it may. Nothing happened.
type RateError struct {
	Wait time.Duration // until the account may make this call
}

func (e *RateError) Error() string {
	return fmt.Sprintf("this account does more coins a second than it may: ask again in %v", e.Wait.Round(time.Millisecond))
}

const (
	// defaultMaxCoins is below what a ledger lets wait, so that it is here, fairly,
	// that calls are refused.
	defaultMaxCoins = 48 << 10
	// minRoom is twice the largest call: an account alone has half of the room.
	minRoom = 2 * wire.MaxWithdraw
)

// room bounds the coins of calls under way, and the coins a second of an account.
//
// An account may have as many coins under way as are left free. So one that floods
// holds half of the room, two hold a third each, and what is left serves those that do
// not flood.
type room struct {
	max   int        // coins under way
	rate  rate.Limit // coins a second of an account; 0 means no limit
	burst int        // coins an account may do at once after a rest

	mu       sync.Mutex // guards what follows; nothing blocks under it
	used     int
	accounts map[ledger.AccountID]*accountRoom
	swept    int // accounts after the last sweep
}

// accountRoom is what room knows about an account.
type accountRoom struct {
	used    int
	limiter *rate.Limiter // nil without a limit
}

func newRoom(o Options) (*room, error) {
	r := &room{max: o.MaxCoins, rate: rate.Limit(o.Rate), burst: o.RateBurst, accounts: map[ledger.AccountID]*accountRoom{}}
	if r.max == 0 {
		r.max = defaultMaxCoins
	}
	if r.burst == 0 {
		r.burst = max(wire.MaxWithdraw, o.Rate)
	}
	switch {
	case r.max < minRoom:
		return nil, fmt.Errorf("bank: room for %d coins, want at least %d, twice the largest call", r.max, minRoom)
	case o.Rate < 0:
		return nil, fmt.Errorf("bank: a rate of %d coins a second, want a positive number, or 0 for no limit", o.Rate)
	case r.burst < wire.MaxWithdraw:
		return nil, fmt.Errorf("bank: bursts of %d coins, want at least %d, the largest call", r.burst, wire.MaxWithdraw)
	}
	return r, nil
}

// enter takes room for n coins, 1 to wire.MaxWithdraw, which leave gives back. Or it
// returns ErrBusy or a *RateError at once.
func (r *room) enter(id ledger.AccountID, n int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.accounts[id]
	if a == nil {
		a = r.add(id)
	}
	if a.used+n > r.max-r.used {
		return ErrBusy
	}
	if a.limiter != nil {
		now := time.Now()
		taken := a.limiter.ReserveN(now, n)
		if wait := taken.DelayFrom(now); wait > 0 {
			taken.CancelAt(now)
			return &RateError{wait}
		}
	}
	a.used += n
	r.used += n
	return nil
}

func (r *room) leave(id ledger.AccountID, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accounts[id].used -= n
	r.used -= n
}

// add makes room know an account. Now and then it forgets all that are as they would
// be anew: nothing under way, and rested. That happens when their number has doubled,
// so it costs little a call, and keeps no more than twice those that it must know.
func (r *room) add(id ledger.AccountID) *accountRoom {
	if len(r.accounts) >= max(2*r.swept, 1024) {
		for id, a := range r.accounts {
			if a.used == 0 && (a.limiter == nil || a.limiter.Tokens() >= float64(r.burst)) {
				delete(r.accounts, id)
			}
		}
		r.swept = len(r.accounts)
	}
	a := new(accountRoom)
	if r.rate > 0 {
		a.limiter = rate.NewLimiter(r.rate, r.burst)
	}
	r.accounts[id] = a
	return a
}

// inUse returns how many coins are under way.
func (r *room) inUse() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}
