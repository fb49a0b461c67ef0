package analyst

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/problem"
)

// maxBatch is the most records of one call, the bank's limit.
const maxBatch = 1000

// redeemer has the bank redeem records. It collects what waits into one call, and
// never waits for more: while a call is under way others gather, and the busier the
// bank, the larger the next call.
type redeemer struct {
	banks   Banks
	timeout time.Duration // for one call
	calls   int           // under way at a time
	asks    chan *ask     // unbuffered: who gives up before it was taken was not asked for
}

// ask is one record on its way.
type ask struct {
	record []byte
	answer chan verdict // of capacity 1: nobody has to be there any more
}

// verdict is the bank's answer for one record, or the error of its call.
type verdict struct {
	status  core.Status
	secrets core.Secrets
	err     error
}

// run works until ctx ends, which also cuts the calls under way.
func (r *redeemer) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range r.calls {
		wg.Go(func() { r.work(ctx) })
	}
	wg.Wait()
}

func (r *redeemer) work(ctx context.Context) {
	batch := make([]*ask, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case <-ctx.Done():
			return
		case a := <-r.asks:
			batch = append(batch, a)
		}
		for waiting := true; waiting && len(batch) < maxBatch; {
			select {
			case a := <-r.asks:
				batch = append(batch, a)
			default:
				waiting = false
			}
		}
		r.call(ctx, batch)
		clear(batch)
	}
}

// redeem asks the bank for one record. asked is false when ctx ended before the
// record was on its way; then nothing happened. Once asked, an error of ctx leaves
// the outcome unknown like any other.
func (r *redeemer) redeem(ctx context.Context, record []byte) (v verdict, asked bool) {
	a := &ask{record: record, answer: make(chan verdict, 1)}
	select {
	case r.asks <- a:
	case <-ctx.Done():
		return verdict{err: ctx.Err()}, false
	}
	select {
	case v = <-a.answer:
		return v, true
	case <-ctx.Done():
		return verdict{err: ctx.Err()}, true
	}
}

// call redeems a batch and tells everybody in it.
func (r *redeemer) call(ctx context.Context, batch []*ask) {
	records := make([][]byte, len(batch))
	for i, a := range batch {
		records[i] = a.record
	}
	redeemAll(ctx, r.banks, r.timeout, records, func(i int, v verdict) { batch[i].answer <- v })
}

// redeemAll has the banks redeem records, at most timeout a call, and tells once what
// became of each. A refusal of a whole call may be about one record of it, so refused
// records are asked for again in halves until that one stands alone: a stranger's record
// must not take others down with it.
func redeemAll(ctx context.Context, banks Banks, timeout time.Duration, records [][]byte, tell func(i int, v verdict)) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	out, errs := banks.Redeem(limited, records)
	cancel()
	defer clear(out)
	var again []int // positions in records
	for i, err := range errs {
		switch {
		case refused(err):
			again = append(again, i)
		case err != nil:
			tell(i, verdict{err: err})
		default:
			tell(i, verdict{status: out[i].Status, secrets: out[i].Secrets})
		}
	}
	if len(again) == 1 {
		tell(again[0], verdict{err: errs[again[0]]})
		return
	}
	half := len(again) / 2
	for _, part := range [][]int{again[:half], again[half:]} {
		if len(part) == 0 {
			continue
		}
		mine := make([][]byte, len(part))
		for j, i := range part {
			mine[j] = records[i]
		}
		redeemAll(ctx, banks, timeout, mine, func(j int, v verdict) { tell(part[j], v) })
	}
}

// oneBank is a Bank as Banks.
type oneBank struct{ bank Bank }

func (b oneBank) Redeem(ctx context.Context, records [][]byte) ([]client.Redeemed, []error) {
	out, err := b.bank.Redeem(ctx, records)
	return each(out, err, len(records))
}

func (b oneBank) Return(ctx context.Context, records [][]byte) ([]core.Status, []error) {
	out, err := b.bank.Return(ctx, records)
	return each(out, err, len(records))
}

// each makes the error of a call that of each of its n records.
func each[T any](out []T, err error, n int) ([]T, []error) {
	if err == nil && len(out) != n {
		err = fmt.Errorf("analyst: the bank answered for %d of %d records", len(out), n)
	}
	errs := make([]error, n)
	if err != nil {
		clear(out)
		out = make([]T, n)
		for i := range errs {
			errs[i] = err
		}
	}
	return out, errs
}

// refused reports whether err says that the bank did nothing, and would do nothing
// if it were asked again.
func refused(err error) bool {
	if err == nil || !client.Definite(err) {
		return false
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		switch p.Status {
		case http.StatusServiceUnavailable, http.StatusInsufficientStorage, http.StatusTooManyRequests, http.StatusRequestTimeout:
			return false
		}
	}
	return true
}
