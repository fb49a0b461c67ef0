package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"ecoin/core"
	"ecoin/internal/coins"
	"ecoin/ledger"
)

// maxQueued limits the coins of calls under way; a quarter of minSize, see redeemAndTell,
// is enough for them.
const (
	maxQueued = 1 << 16
	minSize   = 100_000
)

// ledgerOptions are the defaults but for memory. Nothing here is withdrawn, so the mint
// only tells the ledger that it is the same one.
func ledgerOptions(index, cache int64) ledger.Options {
	return ledger.Options{
		Mint: func(dst []core.Fingerprint, _ *core.Salt, n int) []core.Fingerprint {
			return append(dst, make([]core.Fingerprint, n)...)
		},
		MaxQueued: maxQueued, CacheBytes: cache, IndexBytes: index,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// redeemer redeems coins of a set in their random order, each once.
type redeemer struct {
	l         *ledger.Ledger
	set       *coins.Set
	analysts  []ledger.AccountID
	waiters   int
	size      int   // coins a call
	next, end int64 // numbers of coins, end not included
	answered  func(first int64) error

	given   atomic.Int64 // numbers given to waiters beyond next
	coins   atomic.Int64 // redeemed
	latency *hdrhistogram.Histogram
}

// run redeems for d, or until the coins are used up, and returns when all calls are
// answered. Every coin must be live.
func (r *redeemer) run(d time.Duration) error {
	var mu sync.Mutex // guards latency
	r.latency = newHistogram()
	var g errgroup.Group
	end := time.Now().Add(d)
	for range r.waiters {
		g.Go(func() error {
			batch, out := make([]ledger.Redemption, r.size), make([]core.Status, r.size)
			mine := newHistogram()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				r.latency.Merge(mine)
			}()
			for now := time.Now(); now.Before(end); {
				first := r.next + r.given.Add(int64(r.size)) - int64(r.size)
				if first+int64(r.size) > r.end {
					return nil
				}
				fill(batch, r.set, first)
				start := time.Now()
				err := r.l.Redeem(context.Background(), analystOf(r.analysts, first, int64(r.size)), batch, out)
				now = time.Now()
				if err != nil {
					return err
				}
				if err := mine.RecordValue(now.Sub(start).Microseconds()); err != nil {
					return err
				}
				for _, s := range out {
					if s != core.StatusOK {
						return fmt.Errorf("a live coin was answered %v", s)
					}
				}
				r.coins.Add(int64(r.size))
				if r.answered != nil {
					if err := r.answered(first); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

// fill makes a call's coins. Equal numbers give equal digests, so a repeated call is a retry.
func fill(batch []ledger.Redemption, set *coins.Set, first int64) {
	for k := range batch {
		i := first + int64(k)
		batch[k].Fingerprint = set.Random(i)
		binary.BigEndian.PutUint64(batch[k].Digest[:], uint64(i))
	}
}

// analystOf returns who makes the call that begins with a coin.
func analystOf(analysts []ledger.AccountID, first, size int64) ledger.AccountID {
	return analysts[first/size%int64(len(analysts))]
}
