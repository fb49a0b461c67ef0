package analyst

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"ecoin/core"
)

const (
	// maxDebts is how many coins may wait to be given back before no operation is
	// accepted any more. Those under way may still add to them.
	maxDebts = 4096

	// returnFor is how long a coin is tried: the bank's default window for spent
	// records, after which it no longer knows whose the coin was.
	returnFor = time.Hour

	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// debt is a coin that this analyst may have been paid for nothing.
type debt struct {
	record []byte
	digest core.Digest
	doubt  bool // whether it was redeemed is not known
	since  time.Time
}

// returner gives coins back, in the background, until the bank has said for each of
// them what became of it. Of a record in doubt it asks first whether its coin was
// redeemed, by the same call: that settles it even if the first call is still on
// its way to the bank somewhere. Until then the record stays held, so that no replay
// meets a coin that is about to be returned.
type returner struct {
	banks   Banks
	timeout time.Duration // for one call
	held    *held
	log     *slog.Logger
	wake    chan struct{} // of capacity 1: there is something new

	mu      sync.Mutex // guards what follows
	waiting []debt
	busy    int // taken from waiting and not settled yet
}

func newReturner(banks Banks, timeout time.Duration, h *held, log *slog.Logger) *returner {
	return &returner{banks: banks, timeout: timeout, held: h, log: log, wake: make(chan struct{}, 1)}
}

// add takes over a held record. It never blocks.
func (r *returner) add(record []byte, digest core.Digest, doubt bool) {
	r.mu.Lock()
	r.waiting = append(r.waiting, debt{record: record, digest: digest, doubt: doubt, since: time.Now()})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// owed returns how many coins are not settled.
func (r *returner) owed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) + r.busy
}

// run works until ctx ends or, once finish is closed, until nothing is owed.
func (r *returner) run(ctx context.Context, finish <-chan struct{}) {
	backoff := minBackoff
	for ctx.Err() == nil {
		batch := r.take()
		if len(batch) == 0 {
			if finish == nil {
				return
			}
			select {
			case <-r.wake:
			case <-finish:
				finish = nil
			case <-ctx.Done():
			}
			continue
		}
		left := r.settle(ctx, batch)
		r.put(left)
		if len(left) < len(batch) {
			backoff = minBackoff
			continue
		}
		if finish == nil { // little time is left
			backoff = minBackoff
		}
		pause := time.NewTimer(jitter(backoff))
		select {
		case <-pause.C:
		case <-finish:
			finish = nil
		case <-ctx.Done():
		}
		pause.Stop()
		backoff = min(2*backoff, maxBackoff)
	}
}

// take takes the oldest debts out.
func (r *returner) take() []debt {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), maxBatch)
	batch := append([]debt(nil), r.waiting[:n]...)
	r.waiting = append(r.waiting[:0], r.waiting[n:]...)
	r.busy = n
	return batch
}

// put puts unsettled debts back, behind the others.
func (r *returner) put(left []debt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, left...)
	r.busy = 0
}

// settle does what it can for each of batch and returns those left.
func (r *returner) settle(ctx context.Context, batch []debt) (left []debt) {
	var doubtful, sure []debt
	for _, d := range batch {
		switch {
		case time.Since(d.since) > returnFor:
			r.log.Error("a coin could not be returned in time", "header", d.digest.String(), "for", returnFor)
			r.held.release(d.digest, true)
		case d.doubt:
			doubtful = append(doubtful, d)
		default:
			sure = append(sure, d)
		}
	}
	resolved, left := r.resolve(ctx, doubtful)
	return append(left, r.giveBack(ctx, append(sure, resolved...))...)
}

// resolve asks whether the coins of doubtful records were redeemed. If they were
// not, they are now. It returns those to give back, and those still in doubt.
func (r *returner) resolve(ctx context.Context, debts []debt) (redeemed, left []debt) {
	if len(debts) == 0 {
		return nil, nil
	}
	var failed error
	redeemAll(ctx, r.banks, r.timeout, records(debts), func(i int, v verdict) {
		d := debts[i]
		switch {
		case v.err != nil:
			failed = v.err
			left = append(left, d)
		case v.status == core.StatusTemporary:
			left = append(left, d)
		case v.status == core.StatusOK, v.status == core.StatusRedeemedBefore:
			d.doubt = false
			redeemed = append(redeemed, d)
		default: // it never was this analyst's
			r.held.release(d.digest, false)
		}
	})
	if failed != nil {
		r.log.Warn("cannot ask the bank about coins in doubt; trying again", "coins", len(left), "error", failed)
	}
	return redeemed, left
}

// giveBack returns coins that were redeemed. It returns those for which the bank has
// not said yes or no.
func (r *returner) giveBack(ctx context.Context, debts []debt) (left []debt) {
	if len(debts) > maxBatch {
		panic("analyst: batch too large")
	}
	if len(debts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	out, errs := r.banks.Return(ctx, records(debts))
	failed := 0
	var last error
	for i, d := range debts {
		switch {
		case errs[i] != nil:
			failed, last = failed+1, errs[i]
			left = append(left, d)
			continue
		case out[i] == core.StatusTemporary:
			left = append(left, d)
			continue
		case out[i] == core.StatusOK:
			r.log.Info("coin returned", "header", d.digest.String())
		default:
			r.log.Warn("the bank does not take a coin back", "header", d.digest.String(), "status", out[i].String())
		}
		r.held.release(d.digest, true)
	}
	if failed > 0 {
		r.log.Warn("cannot return coins; trying again", "coins", failed, "error", last)
	}
	return left
}

func records(debts []debt) [][]byte {
	out := make([][]byte, len(debts))
	for i, d := range debts {
		out[i] = d.record
	}
	return out
}
