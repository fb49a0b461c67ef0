package bank

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ecoin/internal/fair"
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
	// minMaxCoins is twice the largest call: an account alone has half of the room.
	minMaxCoins = 2 * wire.MaxWithdraw
)

// room bounds the coins of calls under way, fairly, and the coins a second of an account.
type room struct {
	coins *fair.Share[ledger.AccountID]
	rates *rates // nil without a limit
}

func newRoom(o Options) (*room, error) {
	if o.MaxCoins == 0 {
		o.MaxCoins = defaultMaxCoins
	}
	if o.RateBurst == 0 {
		o.RateBurst = max(wire.MaxWithdraw, o.Rate)
	}
	switch {
	case o.MaxCoins < minMaxCoins:
		return nil, fmt.Errorf("bank: room for %d coins, want at least %d, twice the largest call", o.MaxCoins, minMaxCoins)
	case o.Rate < 0:
		return nil, fmt.Errorf("bank: a rate of %d coins a second, want a positive number, or 0 for no limit", o.Rate)
	case o.RateBurst < wire.MaxWithdraw:
		return nil, fmt.Errorf("bank: bursts of %d coins, want at least %d, the largest call", o.RateBurst, wire.MaxWithdraw)
	}
	r := &room{coins: fair.New[ledger.AccountID](o.MaxCoins)}
	if o.Rate > 0 {
		r.rates = &rates{rate: rate.Limit(o.Rate), burst: o.RateBurst, limiters: map[ledger.AccountID]*rate.Limiter{}}
	}
	return r, nil
}

// enter takes room for n coins, 1 to wire.MaxWithdraw, which leave gives back. Or it
// returns ErrBusy or a *RateError at once.
func (r *room) enter(id ledger.AccountID, n int) error {
	if !r.coins.Take(id, n) {
		return ErrBusy
	}
	if err := r.rates.take(id, n); err != nil {
		r.coins.Give(id, n)
		return err
	}
	return nil
}

func (r *room) leave(id ledger.AccountID, n int) { r.coins.Give(id, n) }

// rates bounds the coins a second of each account.
type rates struct {
	rate  rate.Limit
	burst int // coins that an account may do at once after a rest

	mu       sync.Mutex // guards what follows; nothing blocks under it
	limiters map[ledger.AccountID]*rate.Limiter
	swept    int // their number after the last sweep
}

// take counts n coins of an account, or none and returns a *RateError.
func (r *rates) take(id ledger.AccountID, n int) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.limiters[id]
	if l == nil {
		r.sweep()
		l = rate.NewLimiter(r.rate, r.burst)
		r.limiters[id] = l
	}
	now := time.Now()
	taken := l.ReserveN(now, n)
	if wait := taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
		return &RateError{wait}
	}
	return nil
}

// sweep forgets the accounts that are rested: they are as they would be anew. It does so
// when their number has doubled, so it costs little a call, and keeps no more than twice
// those that must be known.
func (r *rates) sweep() {
	if len(r.limiters) < max(2*r.swept, 1024) {
		return
	}
	for id, l := range r.limiters {
		if l.Tokens() >= float64(r.burst) {
			delete(r.limiters, id)
		}
	}
	r.swept = len(r.limiters)
}
