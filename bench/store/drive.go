package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ecoin/core"
	"ecoin/internal/coins"
)

// Load is a closed loop of many clients: each sends as soon as it has its answer.
type Load struct {
	Dial  func(ctx context.Context, i int) (Client, error) // client number i
	Conns int
	Size  int // coins a call
	Set   *coins.Set
	Next  *atomic.Int64 // of Set's random order, the next coin that is still live
	Limit int64         // of them, how far the load may go
	Time  time.Duration
	Ready func() error // called once all are connected
}

// Run redeems until the time is over or the coins are, and returns how many it redeemed, and
// how long that took. Every coin must be answered as redeemed now.
func (l *Load) Run(ctx context.Context) (done int64, took time.Duration, err error) {
	clients := make([]Client, 0, l.Conns)
	defer func() {
		for _, c := range clients {
			_ = c.Close()
		}
	}()
	for i := range l.Conns {
		c, err := l.Dial(ctx, i)
		if err != nil {
			return 0, 0, err
		}
		clients = append(clients, c)
	}
	if err := l.Ready(); err != nil {
		return 0, 0, err
	}
	var wg sync.WaitGroup
	var sum atomic.Int64
	errs := make(chan error, l.Conns)
	start := time.Now()
	until := start.Add(l.Time)
	for i, c := range clients {
		wg.Go(func() {
			n, err := l.work(ctx, c, uint16(i%Accounts), until)
			sum.Add(n)
			errs <- err
		})
	}
	wg.Wait()
	took = time.Since(start)
	for range clients {
		if e := <-errs; e != nil && err == nil {
			err = e
		}
	}
	return sum.Load(), took, err
}

// work is one client's loop.
func (l *Load) work(ctx context.Context, c Client, account uint16, until time.Time) (done int64, err error) {
	list, out := make([]core.Fingerprint, l.Size), make([]core.Status, l.Size)
	for time.Now().Before(until) && ctx.Err() == nil {
		first := l.Next.Add(int64(l.Size)) - int64(l.Size)
		if first+int64(l.Size) > l.Limit {
			l.Next.Add(-int64(l.Size))
			return done, nil
		}
		for k := range list {
			list[k] = l.Set.Random(first + int64(k))
		}
		if err := c.Redeem(ctx, account, list, out); err != nil {
			return done, err
		}
		for _, s := range out {
			if s != core.StatusOK {
				return done, fmt.Errorf("store: a live coin is answered %v", s)
			}
		}
		done += int64(l.Size)
	}
	return done, ctx.Err()
}
