package bank

import (
	"slices"
	"sync/atomic"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// batch is the working memory of one call. It comes from a pool and goes back
// wiped, so that coins live in it for the time of the call alone.
type batch struct {
	records [][]byte       // alias the request's body
	secrets []core.Secrets // one per record; zero where ok is false
	ok      []bool         // whether the record opened

	coins  []ledger.Redemption // one per record that opened, in order
	status []core.Status       // the ledger's answer, one per entry of coins

	// The opener's.
	queued time.Time
	next   int           // records that workers have taken
	behind *batch        // the account's next call
	left   atomic.Int32  // records not opened yet
	opened chan struct{} // gets one token when none is left

	withdrawn    []core.Coin
	fingerprints []core.Fingerprint
	refunds      []ledger.Refund
}

func newBatch() *batch { return &batch{opened: make(chan struct{}, 1)} }

// newBatch returns memory for a call; release gives it back.
func (b *Bank) newBatch() *batch {
	if w, ok := b.batches.Get().(*batch); ok {
		return w
	}
	return newBatch()
}

func (b *Bank) release(w *batch) {
	w.wipe()
	b.batches.Put(w)
}

func (w *batch) wipe() {
	w.records = wipe(w.records) // not secret, but they hold on to the request's memory
	w.secrets = wipe(w.secrets)
	w.coins = wipe(w.coins)
	w.withdrawn = wipe(w.withdrawn)
	w.fingerprints = wipe(w.fingerprints)
}

// wipe clears s and returns it empty.
func wipe[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// parse splits body into records, with room for what the opener finds in them.
func (w *batch) parse(body []byte) error {
	var err error
	if w.records, err = wire.AppendRecords(w.records[:0], body); err != nil {
		return err
	}
	n := len(w.records)
	w.secrets = resize(w.secrets, n)
	w.ok = resize(w.ok, n)
	w.coins = resize(w.coins, n)
	return nil
}

// found is called once all records are opened: it leaves the coins of those that did
// in w.coins. w.status is then as long and says "temporary failure", so that an
// outcome a ledger forgot to set can never be taken for success.
func (w *batch) found() {
	n := 0
	for i, ok := range w.ok {
		if ok {
			w.coins[n] = w.coins[i]
			n++
		}
	}
	clear(w.coins[n:])
	w.coins = w.coins[:n]
	w.status = resize(w.status, n)
	for i := range w.status {
		w.status[i] = core.StatusTemporary
	}
}

// outcomes calls yield for every record in order, with the ledger's status or, for
// a record that did not open, with unopened.
func (w *batch) outcomes(unopened core.Status, yield func(i int, st core.Status)) {
	next := 0
	for i := range w.records {
		st := unopened
		if w.ok[i] {
			st = w.status[next]
			next++
		}
		yield(i, st)
	}
}

// resize returns s with length n, its content unspecified. What s held must be wiped.
func resize[T any](s []T, n int) []T {
	return slices.Grow(s[:0], n)[:n]
}
