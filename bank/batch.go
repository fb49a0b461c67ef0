package bank

import (
	"slices"
	"sync"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// batch is the working memory of one call. It comes from a pool and goes back
// wiped, so that coins live in it for the time of the call alone.
type batch struct {
	scratch core.Scratch
	records [][]byte       // alias the request's body
	secrets []core.Secrets // one per record; zero where ok is false
	ok      []bool         // whether the record opened

	coins  []ledger.Redemption // one per record that opened, in order
	status []core.Status       // the ledger's answer, one per entry of coins

	withdrawn    []core.Coin
	fingerprints []core.Fingerprint
	refunds      []ledger.Refund
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch() *batch { return batches.Get().(*batch) }

// release wipes w and puts it back.
func (w *batch) release() {
	w.scratch.Wipe()
	w.records = wipe(w.records) // not secret, but they hold on to the request's memory
	w.secrets = wipe(w.secrets)
	w.coins = wipe(w.coins)
	w.withdrawn = wipe(w.withdrawn)
	w.fingerprints = wipe(w.fingerprints)
	batches.Put(w)
}

// wipe clears s and returns it empty.
func wipe[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// open splits body into records and opens them all in one call. Afterwards coins
// holds the fingerprint and digest of every record that opened, and status is as
// long and says "temporary failure", so that an outcome a ledger forgot to set can
// never be taken for success.
func (w *batch) open(keys *core.Keyring, mint *core.Mint, body []byte) error {
	var err error
	if w.records, err = wire.AppendRecords(w.records[:0], body); err != nil {
		return err
	}
	n := len(w.records)
	w.secrets = resize(w.secrets, n)
	w.ok = resize(w.ok, n)
	keys.OpenHeaders(&w.scratch, w.records, w.secrets, w.ok)

	w.coins = w.coins[:0]
	for i, record := range w.records {
		if w.ok[i] {
			w.coins = append(w.coins, ledger.Redemption{
				Fingerprint: mint.Fingerprint(&w.secrets[i].Coin),
				Digest:      core.RecordDigest(record),
			})
		}
	}
	w.status = resize(w.status, len(w.coins))
	for i := range w.status {
		w.status[i] = core.StatusTemporary
	}
	return nil
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

// resize returns s with length n, its content unspecified.
func resize[T any](s []T, n int) []T {
	return slices.Grow(s[:0], n)[:n]
}
