package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
)

// Router redeems and returns at several banks side by side, each with keys and coins of
// its own: a record goes to the bank that its key belongs to. It is for analysts. A
// collector's coins are all of one bank, the one its wallet withdraws from, so its calls
// need no routing.
//
// A Router is safe for concurrent use.
type Router struct {
	banks []*Client

	mu   sync.RWMutex
	keys map[[core.BoundLen]byte]int // index of the bank, by how its records begin
}

// NewRouter returns a router between banks, one Client each, and asks them for their keys.
// It fails if none of them answers, or if two have the same key; a bank that does not
// answer gets no records until a Refresh that it answers.
func NewRouter(ctx context.Context, banks ...*Client) (*Router, error) {
	r := &Router{banks: slices.Clone(banks), keys: map[[core.BoundLen]byte]int{}}
	if err := r.Refresh(ctx); err != nil && len(r.keys) == 0 {
		return nil, err
	}
	return r, nil
}

// Follow asks all banks for their keys every so often until ctx ends, and calls failed
// with each error of Refresh.
func (r *Router) Follow(ctx context.Context, every time.Duration, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := r.Refresh(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// Refresh asks all banks for their keys again. Those of a bank that does not answer stay
// as they were, and the error says so; keys that a bank does not announce any more are
// forgotten.
func (r *Router) Refresh(ctx context.Context) error {
	announced := make([][]Key, len(r.banks))
	errs := make([]error, len(r.banks))
	var wg sync.WaitGroup
	for i, bank := range r.banks {
		wg.Go(func() { announced[i], errs[i] = bank.Keys(ctx) })
	}
	wg.Wait()

	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[[core.BoundLen]byte]int{}
	for bound, bank := range r.keys {
		if errs[bank] != nil {
			next[bound] = bank
		}
	}
	for i, keys := range announced {
		for _, k := range keys {
			bound := k.Public.Bound()
			if other, taken := next[bound]; taken && other != i {
				return fmt.Errorf("client: banks %d and %d both announce the key %v: a record of it can be sent to one of them only", other, i, k.Public.ID())
			}
			next[bound] = i
		}
	}
	r.keys = next
	return errors.Join(errs...)
}

// bankOf returns the index of the bank that a record belongs to. One that is malformed
// belongs to none: its bank would refuse all others of the call.
func (r *Router) bankOf(record []byte) (int, error) {
	if _, rest, err := core.CutRecord(record); err != nil || len(rest) > 0 {
		return 0, errors.Join(errors.New("this is not one record"), err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	i, ok := r.keys[[core.BoundLen]byte(record)]
	if !ok {
		return 0, errors.New("no bank announces the key of this record")
	}
	return i, nil
}

// Redeem is Client.Redeem for records of any of the banks, any number of them. For each
// record it returns an answer or an error, that of its bank's call: a bank that cannot be
// reached fails its own records, and whether anything happened to them is as [Definite]
// says of their error. A record of a key that no bank announces has a definite one; call
// Refresh when a bank may have a new key.
func (r *Router) Redeem(ctx context.Context, records [][]byte) ([]Redeemed, []error) {
	return route(ctx, r, "redeem", records, (*Client).Redeem)
}

// Return is Client.Return for records of any of the banks, as Redeem is.
func (r *Router) Return(ctx context.Context, records [][]byte) ([]core.Status, []error) {
	return route(ctx, r, "return", records, (*Client).Return)
}

// route calls each bank with its records, all banks at once, and puts the answers in the
// order of the records.
func route[T any](ctx context.Context, r *Router, call string, records [][]byte,
	do func(*Client, context.Context, [][]byte) ([]T, error)) ([]T, []error) {
	out, errs := make([]T, len(records)), make([]error, len(records))
	parts := make([][]int, len(r.banks)) // positions in records
	for i, record := range records {
		bank, err := r.bankOf(record)
		if err != nil {
			errs[i] = badArgument(call, "%v", err)
			continue
		}
		parts[bank] = append(parts[bank], i)
	}
	var wg sync.WaitGroup
	for bank, all := range parts {
		for part := range slices.Chunk(all, wire.MaxBatch) {
			wg.Go(func() {
				mine := make([][]byte, len(part))
				for j, i := range part {
					mine[j] = records[i]
				}
				got, err := do(r.banks[bank], ctx, mine)
				for j, i := range part {
					if err != nil {
						errs[i] = err
					} else {
						out[i] = got[j]
					}
				}
				clear(got)
			})
		}
	}
	wg.Wait()
	return out, errs
}
