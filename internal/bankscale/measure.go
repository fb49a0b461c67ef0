package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/host"
)

// shape is how requests come.
type shape struct {
	headers, conns int
}

func (s shape) String() string { return fmt.Sprintf("%d headers, %d connections", s.headers, s.conns) }

// UnmarshalText reads a shape like 100x16.
func (s *shape) UnmarshalText(text []byte) error {
	headers, conns, _ := strings.Cut(string(text), "x")
	var errs [2]error
	s.headers, errs[0] = strconv.Atoi(headers)
	s.conns, errs[1] = strconv.Atoi(conns)
	if errors.Join(errs[:]...) != nil || s.headers < 1 || s.headers > wire.MaxBatch || s.conns < 1 || s.conns > 10_000 {
		return fmt.Errorf("%q is not headers a request and connections, like 100x16", text)
	}
	return nil
}

// say tells how far the measurement is.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// measureClosed redeems as fast as the bank answers, all shapes in turn, several rounds.
func measureClosed(ctx context.Context, o *options, b *host.Bank, f *parties, r *report) error {
	guess := map[shape]float64{}
	for round := range o.Rounds + 1 { // the first finds out how many coins the others need
		for _, s := range o.Shapes {
			time_, coins := o.Time, int(guess[s]*o.Time.Seconds()*1.3)
			if round == 0 {
				time_, coins = time.Second, 200_000
			}
			bodies, err := f.bodies(ctx, max(coins, 20_000), s.headers)
			if err != nil {
				return err
			}
			l, err := newLoad(ctx, f.analyst, s.conns)
			if err != nil {
				return err
			}
			out, err := l.closed(ctx, b, bodies, time_)
			l.close()
			if err != nil {
				return fmt.Errorf("%v: %w", s, err)
			}
			guess[s] = max(out.rate(), guess[s])
			if round == 0 {
				continue
			}
			say("%v: %.0f coins/s, %.2f us of CPU a coin", s, out.rate(), out.cpuUs())
			r.closed(s, out)
			t, err := transport(ctx, b, f, s.headers, s.conns, time_/4)
			if err != nil {
				return err
			}
			r.transport(s, t)
		}
	}
	return nil
}

// measureOpen redeems by schedules: half of the highest rate, and beyond it.
func measureOpen(ctx context.Context, o *options, b *host.Bank, f *parties, r *report) error {
	for _, s := range []shape{{100, 0}, {1, 0}} {
		most := r.highest(s.headers)
		if most == 0 { // of no shape that was measured
			continue
		}
		for _, share := range []float64{0.25, 0.5, 0.75, 1.25, 2} {
			// So many connections that those which wait for an answer do not slow the schedule.
			conns := 256
			if share > 1 {
				conns = 1024
			}
			bodies, err := f.bodies(ctx, int(most*share*o.Time.Seconds()*1.01)+10*s.headers, s.headers)
			if err != nil {
				return err
			}
			l, err := newLoad(ctx, f.analyst, conns)
			if err != nil {
				return err
			}
			out, err := l.open(ctx, b, bodies, most*share, o.Time)
			l.close()
			if err != nil {
				return fmt.Errorf("%d headers at %.2f of the highest rate: %w", s.headers, share, err)
			}
			say("%d headers, %.0f coins/s offered: %.0f redeemed, p50 %.2f p99 %.2f p99.9 %.2f ms", s.headers, most*share, out.rate(), out.P50Ms, out.P99Ms, out.P999Ms)
			r.Open = append(r.Open, openResult{Headers: s.headers, Conns: conns, Share: share, Offered: most * share, outcome: out})
		}
	}
	return nil
}

// measureHandshakes connects and says goodbye, full and resumed handshakes in turn.
func measureHandshakes(ctx context.Context, o *options, b *host.Bank, f *parties, r *report) error {
	for range o.Rounds {
		for _, resumed := range []bool{false, true} {
			before, _ := b.Usage()
			start := time.Now()
			n, err := handshakes(ctx, f, resumed, o.Time/2)
			if err != nil {
				return err
			}
			took := time.Since(start)
			after, _ := b.Usage()
			h := handshakeResult{Resumed: resumed, PerS: float64(n) / took.Seconds(), CPUUs: float64((after - before).Microseconds()) / float64(n)}
			say("handshakes, resumed %t: %.0f/s, %.0f us of CPU each", resumed, h.PerS, h.CPUUs)
			r.Handshakes = append(r.Handshakes, h)
		}
	}
	return nil
}

// handshakes connects from a few goroutines, asks once each time, for the session ticket comes
// with the first answer, and returns how often.
func handshakes(ctx context.Context, f *parties, resumed bool, duration time.Duration) (n int, err error) {
	clients := f.analyst
	if resumed {
		clients = f.resuming
		if err := visit(ctx, clients); err != nil { // to have a session
			return 0, err
		}
	}
	connects, resumes := clients.Counts()
	var wg sync.WaitGroup
	var mu sync.Mutex
	until := time.Now().Add(duration)
	for range 8 {
		wg.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil {
				e := visit(ctx, clients)
				mu.Lock()
				n++
				if e != nil && err == nil {
					err = e
				}
				mu.Unlock()
				if e != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	c, r := clients.Counts()
	if want := c - connects; err == nil && r-resumes != map[bool]int64{true: want}[resumed] {
		err = fmt.Errorf("%d of %d connects were resumed", r-resumes, want)
	}
	return n, err
}

// visit connects, asks once and goes.
func visit(ctx context.Context, clients *fleet.Pool) error {
	c, err := clients.Get(ctx, 0, deadline())
	if err != nil {
		return err
	}
	_, err = c.Post(wire.PathRedeem, "", nil, deadline())
	return errors.Join(err, c.Close())
}

// measureIdle holds connections that have asked once.
func measureIdle(ctx context.Context, o *options, b *host.Bank, f *parties, r *report) error {
	before := b.Memory()
	var mu sync.Mutex
	var held []*fleet.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			for range (o.Idle + i) / len(errs) {
				c, err := f.analyst.Get(ctx, 0, deadline())
				if err == nil {
					_, err = c.Post(wire.PathRedeem, "", nil, deadline())
				}
				if err != nil {
					errs[i] = err
					return
				}
				mu.Lock()
				held = append(held, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return fmt.Errorf("after %d connections (ulimit -n?): %w", len(held), errs[i])
	}
	after := b.Memory()
	r.Idle = &idleResult{Conns: len(held), Bytes: after - before, Total: after}
	say("%d idle connections: %.0f MiB more, %.0f in all", len(held), float64(after-before)/(1<<20), float64(after)/(1<<20))
	return nil
}
