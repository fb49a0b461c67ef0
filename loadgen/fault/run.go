package fault

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/loadgen/result"
)

// startWithin is how long a server may take to serve again.
const startWithin = 5 * time.Minute

// A Server is the process that faults break. Its methods are called one at a time.
type Server interface {
	Kill() error                     // without warning, as a crash does
	Start(ctx context.Context) error // again and in place, after Kill; returns when it serves
	Pause() error                    // until Resume
	Resume() error
}

// Run carries out faults, each at its time after start, until all are over or ctx ends. It
// returns what was done and when, by time, without recovery times. A fault that is late
// because the server was still starting lasts as long as it should.
//
// What is broken when ctx ends is repaired at once: Run starts the server again whatever
// ctx says, and waits for it. After an error from server the other faults end, too, and
// the server may be down. server and proxy may be nil where [NeedsServer] and
// [NeedsProxy] say that no fault needs them. log gets a line for what begins and ends.
func Run(ctx context.Context, faults []Fault, start time.Time, server Server, proxy *Proxy, log func(string)) ([]result.Fault, error) {
	r := &runner{start: start, server: server, proxy: proxy, log: log}
	targets := map[string][]Fault{}
	for _, f := range faults {
		targets[f.target()] = append(targets[f.target()], f)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, those := range targets {
		g.Go(func() error { return r.oneByOne(ctx, those) })
	}
	err := g.Wait()
	slices.SortStableFunc(r.done, func(a, b result.Fault) int { return cmp.Compare(a.At, b.At) })
	return r.done, err
}

type runner struct {
	start  time.Time
	server Server
	proxy  *Proxy

	mu   sync.Mutex // guards what follows, and calls of log
	log  func(string)
	done []result.Fault
}

// oneByOne carries out the faults of one target.
func (r *runner) oneByOne(ctx context.Context, faults []Fault) error {
	for _, f := range faults {
		if !sleep(ctx, time.Until(r.start.Add(f.At))) {
			return nil
		}
		began := time.Now()
		if err := r.begin(f); err != nil {
			return fmt.Errorf("fault: %v: %w", f, err)
		}
		r.note(began, f.what(), &f)
		sleep(ctx, time.Until(began.Add(f.length)))
		if err := r.end(ctx, f); err != nil {
			return fmt.Errorf("fault: after %v: %w", f, err)
		}
		switch f.kind {
		case drop:
		case kill:
			r.note(time.Now(), "the server serves again", nil)
		default:
			r.note(time.Now(), string(f.kind)+" is over", nil)
		}
	}
	return nil
}

func (r *runner) begin(f Fault) error {
	switch f.kind {
	case kill:
		return r.server.Kill()
	case pause:
		return r.server.Pause()
	case drop:
		r.proxy.drop()
	case delay:
		r.proxy.change(func(n *network) { n.delay = f.late })
	case cut:
		r.proxy.change(func(n *network) { n.cut = true })
	case throttle:
		r.proxy.change(func(n *network) { n.rate = f.rate })
	}
	return nil
}

func (r *runner) end(ctx context.Context, f Fault) error {
	switch f.kind {
	case kill:
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startWithin)
		defer cancel()
		return r.server.Start(ctx)
	case pause:
		return r.server.Resume()
	case delay:
		r.proxy.change(func(n *network) { n.delay = 0 })
	case cut:
		r.proxy.change(func(n *network) { n.cut = false })
	case throttle:
		r.proxy.change(func(n *network) { n.rate = 0 })
	}
	return nil
}

// note logs what happened and, where it is the begin of a fault, keeps that.
func (r *runner) note(at time.Time, what string, f *Fault) {
	since := at.Sub(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log(fmt.Sprintf("%.1f s: %s", since.Seconds(), what))
	if f != nil {
		r.done = append(r.done, result.Fault{At: since.Seconds(), What: f.what()})
	}
}

// sleep waits, and returns false when ctx ended before or while it did.
func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
