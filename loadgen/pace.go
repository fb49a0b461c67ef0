package loadgen

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"ecoin/loadgen/schedule"
)

// slot is one planned send.
type slot struct {
	at   time.Duration // after the start; negative in the warm-up
	kind Kind
	k    int64         // number of the send among those of this worker
	late time.Duration // by which it was handed out
}

// backlog is how many planned sends may wait for a connection; beyond it they are skipped.
const backlog = 1 << 16

// pacer hands out planned sends at their moments. One goroutine runs it.
type pacer struct {
	plan  *plan
	start time.Time
	slots chan slot
	due   func(Kind)               // called for each send of the load proper, at its moment
	skip  func(s slot, why string) // called for each send that nobody will make
	sleep func(time.Duration)
}

// run hands out all sends, in order, then closes slots. It never hands out a send more
// than two microseconds early, and does not wait for those who take them: a send that waits in slots is late,
// and that is the taker's to count.
func (p *pacer) run(ctx context.Context) {
	defer close(p.slots)
	// The thread sleeps in the kernel, to the microsecond; Go's timers would wake it up
	// to a millisecond late on an idle process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	exactSleep()
	k := int64(0)
	hand := func(offset time.Duration, sends *schedule.Sends) bool {
		for {
			at, ok := sends.Next()
			if !ok {
				return true
			}
			s := slot{at: at + offset, kind: p.plan.kinds[k%int64(len(p.plan.kinds))], k: k}
			k++
			if !p.until(ctx, p.start.Add(s.at)) {
				return false
			}
			if s.at >= 0 {
				p.due(s.kind)
			}
			if s.late = time.Since(p.start) - s.at; s.late > p.plan.Patience {
				p.skip(s, "not sent: the generator was too late")
				continue
			}
			select {
			case p.slots <- s:
			default:
				p.skip(s, "not sent: too many sends were waiting")
			}
		}
	}
	spec, j := p.plan.schedule, &p.plan.Job
	if j.Warmup > 0 {
		if first, ok := warmup(spec, j.Duration); ok && !hand(-j.Warmup, first.Sends(j.Warmup, 0, j.Worker, j.Workers)) {
			return
		}
	}
	hand(0, spec.Sends(j.Duration, 1, j.Worker, j.Workers))
}

// warmup is a constant schedule at the first rate of another.
func warmup(spec *schedule.Spec, of time.Duration) (*schedule.Spec, bool) {
	s, err := schedule.Parse(fmt.Sprintf("constant:%g", spec.Rate(0, of)))
	return s, err == nil // the first rate may be 0
}

// spin is the longest wait for which a sleep is not worth it.
const spin = 2 * time.Microsecond

// until sleeps until t, and returns false when ctx ended. It looks at ctx only before it sleeps, at most
// for a tenth of a second each time.
func (p *pacer) until(ctx context.Context, t time.Time) bool {
	for {
		wait := time.Until(t)
		if wait <= spin {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		runtime.Gosched() // what was just handed out goes first
		if wait = time.Until(t); wait <= spin {
			return true
		}
		p.sleep(min(wait, 100*time.Millisecond))
	}
}
