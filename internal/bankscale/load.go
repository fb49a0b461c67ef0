package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/host"
)

// outcome is what a load showed.
type outcome struct {
	Coins   int64         `json:"coins"`   // redeemed
	Refused int64         `json:"refused"` // coins of requests answered 503
	Skipped int64         `json:"skipped"` // requests of a schedule that no connection was free for
	Took    time.Duration `json:"took_ns"`
	CPU     time.Duration `json:"bank_cpu_ns"`
	P50Ms   float64       `json:"p50_ms"`
	P99Ms   float64       `json:"p99_ms"`
	P999Ms  float64       `json:"p999_ms"`
}

func (o outcome) rate() float64 { return float64(o.Coins) / o.Took.Seconds() }
func (o outcome) cpuUs() float64 {
	return float64(o.CPU.Nanoseconds()) / 1e3 / float64(max(o.Coins, 1))
}

// load is connections at work.
type load struct {
	clients *fleet.Pool

	conns []*fleet.Conn
	hists []*hdrhistogram.Histogram // one a connection, microseconds
}

func newLoad(ctx context.Context, clients *fleet.Pool, conns int) (*load, error) {
	l := &load{clients: clients}
	for range conns {
		c, err := clients.Get(ctx, 0, deadline())
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, c)
		l.hists = append(l.hists, hdrhistogram.New(1, 60_000_000, 3))
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = c.Close()
	}
}

// redeem posts a body on connection i. One that the bank closed meanwhile, as it does with
// those on which nothing comes for long, is made anew.
func (l *load) redeem(ctx context.Context, i int, body []byte, n int) (refused bool, err error) {
	refused, err = redeem(l.conns[i], body, n)
	if !errors.Is(err, syscall.EPIPE) {
		return refused, err
	}
	_ = l.conns[i].Close()
	c, err := l.clients.Get(ctx, 0, deadline())
	if err != nil {
		return false, err
	}
	l.conns[i] = c
	return redeem(c, body, n)
}

// measured runs work on every connection and returns what it showed.
func (l *load) measured(b *host.Bank, work func(i int, c *fleet.Conn, o *outcome) error) (outcome, error) {
	before, _ := b.Usage()
	start := time.Now()
	var wg sync.WaitGroup
	outs, errs := make([]outcome, len(l.conns)), make([]error, len(l.conns))
	for i, c := range l.conns {
		l.hists[i].Reset()
		wg.Go(func() { errs[i] = work(i, c, &outs[i]) })
	}
	wg.Wait()
	total := outcome{Took: time.Since(start)}
	after, _ := b.Usage()
	total.CPU = after - before
	all := hdrhistogram.New(1, 60_000_000, 3)
	for i := range outs {
		if errs[i] != nil {
			return outcome{}, fmt.Errorf("connection %d: %w", i, errs[i])
		}
		total.Coins += outs[i].Coins
		total.Refused += outs[i].Refused
		all.Merge(l.hists[i])
	}
	ms := func(q float64) float64 { return float64(all.ValueAtQuantile(q)) / 1e3 }
	total.P50Ms, total.P99Ms, total.P999Ms = ms(50), ms(99), ms(99.9)
	return total, nil
}

// closed sends on each connection as soon as the last answer is there, until the time is
// over or the bodies are.
func (l *load) closed(ctx context.Context, b *host.Bank, from *bodies, duration time.Duration) (outcome, error) {
	until := time.Now().Add(duration)
	return l.measured(b, func(i int, _ *fleet.Conn, o *outcome) error {
		for now := time.Now(); now.Before(until) && ctx.Err() == nil; {
			body := from.take()
			if body == nil {
				return nil
			}
			refused, err := l.redeem(ctx, i, body, from.n)
			if err != nil {
				return err
			}
			done := time.Now()
			_ = l.hists[i].RecordValue(done.Sub(now).Microseconds())
			now = done
			if refused {
				o.Refused += int64(from.n)
			} else {
				o.Coins += int64(from.n)
			}
		}
		return ctx.Err()
	})
}

// open sends by a schedule of evenly spaced requests, whatever the answers do, and
// measures from the intended moment. A request for which no connection is free at its
// moment waits for one, at most a second, and is then skipped and counted.
func (l *load) open(ctx context.Context, b *host.Bank, from *bodies, coinsPerS float64, duration time.Duration) (outcome, error) {
	const patience = time.Second
	every := time.Duration(float64(from.n) / coinsPerS * 1e9)
	requests := int64(duration / every)
	start := time.Now().Add(10 * time.Millisecond)
	var next, skipped atomic.Int64
	o, err := l.measured(b, func(i int, _ *fleet.Conn, o *outcome) error {
		for ctx.Err() == nil {
			k := next.Add(1) - 1
			if k >= requests {
				return nil
			}
			intended := start.Add(time.Duration(k) * every)
			if wait := time.Until(intended); wait > 0 {
				time.Sleep(wait)
			} else if -wait > patience {
				skipped.Add(1)
				continue
			}
			body := from.take()
			if body == nil {
				return fmt.Errorf("no bodies left")
			}
			refused, err := l.redeem(ctx, i, body, from.n)
			if err != nil {
				return err
			}
			if refused {
				o.Refused += int64(from.n)
				continue
			}
			o.Coins += int64(from.n)
			_ = l.hists[i].RecordValue(time.Since(intended).Microseconds())
		}
		return ctx.Err()
	})
	o.Skipped = skipped.Load()
	return o, err
}

// transport posts bodies as a client that may not redeem: the bank reads, parses and
// refuses them, and opens nothing.
func transport(ctx context.Context, b *host.Bank, f *parties, n, conns int, duration time.Duration) (outcome, error) {
	l, err := newLoad(ctx, f.stranger, conns)
	if err != nil {
		return outcome{}, err
	}
	defer l.close()
	body := make([]byte, n*f.key.Suite().RecordLen())
	until := time.Now().Add(duration)
	return l.measured(b, func(_ int, c *fleet.Conn, o *outcome) error {
		for time.Now().Before(until) && ctx.Err() == nil {
			r, err := c.Post(wire.PathRedeem, "", body, deadline())
			if err != nil {
				return err
			}
			if r.Status != 403 {
				return fmt.Errorf("status %d: %s", r.Status, r.Body)
			}
			o.Coins += int64(n)
		}
		return ctx.Err()
	})
}
