package loadgen

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ecoin/loadgen/result"
)

// doer performs requests of one kind. do is called by many workers at once, each with
// its own number.
type doer interface {
	do(ctx context.Context, worker int, k int64, deadline time.Time) outcome
}

// outcome is what became of one request.
type outcome struct {
	verdict verdict
	reason  string // of a failure, without what differs between requests
	nothing bool   // the server certainly did nothing: it said so, or was not asked
	denied  bool   // and will not: it refused what was asked, and not the moment
	coins   int    // moved
}

// engine sends the requests of a plan.
type engine struct {
	plan     *plan
	doers    [kinds]doer // of the kinds in the plan
	rec      *recorder
	sleep    func(time.Duration) // the pacer's
	inFlight atomic.Int64
}

// run sends everything from start on and returns when the last request has ended. visit
// is called after each second.
func (e *engine) run(ctx context.Context, start time.Time, visit func(result.Second)) {
	done := make(chan struct{})
	var rolling sync.WaitGroup
	rolling.Go(func() { e.roll(start, done, visit) })
	var wg sync.WaitGroup
	if e.plan.Closed {
		var next atomic.Int64
		for w := range e.plan.Conns {
			wg.Go(func() { e.closed(ctx, w, start, &next) })
		}
	} else {
		slots := make(chan slot, backlog)
		p := &pacer{start: start, slots: slots, sleep: e.sleep, plan: e.plan, due: e.rec.plan, skip: func(s slot, why string) { e.skip(0, s, why) }}
		wg.Go(func() { p.run(ctx) })
		for w := range e.plan.Conns {
			wg.Go(func() { e.open(ctx, w, start, slots) })
		}
	}
	wg.Wait()
	close(done)
	rolling.Wait()
}

// open takes planned sends as they come due.
func (e *engine) open(ctx context.Context, worker int, start time.Time, slots <-chan slot) {
	free := time.Duration(-1 << 62) // since when this worker was
	for s := range slots {
		sent := time.Since(start)
		if sent-s.at > e.plan.Patience {
			e.skip(worker, s, "not sent: no connection was free in time")
			continue
		}
		if ctx.Err() != nil {
			continue
		}
		// A send is late by the generator's fault as far as it was handed out late, or left
		// later than the moment at which a worker was there for it.
		lag := max(s.late, sent-max(s.at, free))
		free, _ = e.one(ctx, worker, s, start, sent, lag)
	}
}

// closed sends as soon as the last answer is there.
func (e *engine) closed(ctx context.Context, worker int, start time.Time, next *atomic.Int64) {
	sleepPlain(ctx, start.Add(-e.plan.Warmup))
	for ctx.Err() == nil {
		sent := time.Since(start)
		if sent >= e.plan.Duration {
			return
		}
		k := next.Add(1) - 1
		if _, more := e.one(ctx, worker, slot{at: sent, kind: e.plan.kinds[k%int64(len(e.plan.kinds))], k: k}, start, sent, 0); !more {
			return
		}
	}
}

func sleepPlain(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// one performs and records one request, and returns when it ended. more is false when
// there was no coin left for it.
func (e *engine) one(ctx context.Context, worker int, s slot, start time.Time, sent, lag time.Duration) (ended time.Duration, more bool) {
	e.inFlight.Add(1)
	o := e.doers[s.kind].do(ctx, worker, s.k, start.Add(sent+e.plan.Timeout))
	e.inFlight.Add(-1)
	ended = time.Since(start)
	if o.reason == usedUp && e.plan.Closed {
		return ended, false // a closed load is over then
	}
	switch {
	case s.at >= 0:
		if e.plan.Closed {
			e.rec.plan(s.kind) // nothing plans in a closed model: what is sent was planned
		}
		e.rec.add(worker, &sample{
			kind: s.kind, verdict: o.verdict, reason: o.reason, coins: o.coins,
			response: ended - s.at, service: ended - sent, lag: lag,
		})
	case ended >= 0:
		e.rec.leftover(worker, o.verdict, o.coins)
	}
	return ended, o.reason != usedUp
}

func (e *engine) skip(worker int, s slot, reason string) {
	if s.at >= 0 {
		e.rec.add(worker, &sample{kind: s.kind, verdict: skipped, reason: reason, lag: s.late})
	}
}

// roll closes one second after the other until done.
func (e *engine) roll(start time.Time, done <-chan struct{}, visit func(result.Second)) {
	for n := 0; ; n++ {
		timer := time.NewTimer(time.Until(start.Add(time.Duration(n+1) * time.Second)))
		select {
		case <-timer.C:
		case <-done:
			timer.Stop()
			if s := e.rec.roll(float64(n), 0); s.Planned+s.OK+s.Failed+s.Refused > 0 && visit != nil {
				visit(s)
			}
			return
		}
		s := e.rec.roll(float64(n), e.inFlight.Load())
		if visit != nil {
			visit(s)
		}
	}
}

// explain turns an error of a connection into one of a few reasons.
func explain(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the load was ended"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "this machine has no more descriptors (ulimit -n)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no more local ports"
	case strings.HasPrefix(err.Error(), "remote error: tls:"), strings.HasPrefix(err.Error(), "tls:"):
		return "the handshake failed: " + err.Error()
	}
	var errno syscall.Errno
	if errors.As(err, &errno) { // without the addresses around it
		return "no answer: " + errno.Error()
	}
	return "no answer: " + err.Error()
}
