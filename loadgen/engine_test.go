package loadgen

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/loadgen/result"
	"ecoin/loadgen/schedule"
)

// doerFunc serves requests with a function of the time since the start.
type doerFunc struct {
	start time.Time
	f     func(since time.Duration) (took time.Duration, o outcome)
	mu    sync.Mutex
	sent  []time.Duration
}

func (d *doerFunc) do(_ context.Context, _ int, _ int64, _ time.Time) outcome {
	since := time.Since(d.start)
	d.mu.Lock()
	d.sent = append(d.sent, since)
	d.mu.Unlock()
	took, o := d.f(since)
	time.Sleep(took)
	return o
}

// drive runs a load against a function, in a bubble with a clock of its own.
func drive(t *testing.T, j Job, f func(since time.Duration) (time.Duration, outcome)) (*result.Run, *doerFunc) {
	t.Helper()
	run := &result.Run{}
	d := &doerFunc{f: f}
	synctest.Test(t, func(t *testing.T) {
		p := &plan{Job: j, kinds: []Kind{Redeem}}
		p.Workers = max(p.Workers, 1)
		if !j.Closed {
			var err error
			if p.schedule, err = schedule.Parse(j.Schedule); err != nil {
				t.Fatal(err)
			}
		}
		e := &engine{plan: p, rec: newRecorder(), sleep: time.Sleep}
		e.doers[Redeem] = d
		d.start = time.Now().Add(j.Warmup + time.Second)
		e.run(context.Background(), d.start, nil)
		run.Took = time.Since(d.start).Seconds()
		e.rec.finish(run)
	})
	slices.Sort(d.sent)
	return run, d
}

func near(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= 0.01*float64(want)+float64(10*time.Microsecond)
}

// TestAStallShowsAtItsRightSize: a server that stands still for a second in the middle of five
// makes everybody wait whose request falls into that second, 200 of 1000, half a second
// on average. The time from the actual send shows that of the four requests that were under
// way when it stopped, and hides it from the others, which is how a tool reports that sends
// when the last answer is there.
func TestAStallShowsAtItsRightSize(t *testing.T) {
	const service = time.Millisecond
	run, _ := drive(t, Job{Schedule: "constant:200", Duration: 5 * time.Second, Patience: 5 * time.Second, Conns: 4}, func(since time.Duration) (time.Duration, outcome) {
		if since >= 2*time.Second && since < 3*time.Second {
			return 3*time.Second - since + service, outcome{coins: 1}
		}
		return service, outcome{coins: 1}
	})
	k := run.Kinds[0]
	if k.OK != 1000 || k.Skipped != 0 {
		t.Fatalf("%+v", k)
	}
	for q, want := range map[float64]time.Duration{.5: service, .79: service, .85: 250 * time.Millisecond, .9: 500 * time.Millisecond, .95: 750 * time.Millisecond, .99: 950 * time.Millisecond} {
		// The requests behind the stall leave four at a time, so they are later by up to 50 ms.
		if got := k.Response.Quantile(q); got < want-time.Millisecond || got > want+60*time.Millisecond {
			t.Errorf("%.0f %% of the response times are at most %v, want %v", 100*q, got, want)
		}
	}
	if got := k.Service.Quantile(.99); !near(got, service) {
		t.Errorf("99 %% of the service times are at most %v, want %v: only four requests met the stall", got, service)
	}
	if got := k.Service.Max(); !near(got, time.Second+service) {
		t.Errorf("the longest service time is %v, want a second", got)
	}
	// The generator is not to blame: there was no connection to send on.
	if lag := run.Generator.Lag.Max(); lag > 10*time.Microsecond {
		t.Errorf("a send was %v late by the generator's fault", lag)
	}
	if len(run.Seconds) != 5 {
		t.Fatalf("%d seconds", len(run.Seconds))
	}
	for i, want := range []result.Second{{Planned: 200, OK: 200}, {Planned: 200, OK: 200}, {Planned: 200, OK: 0, InFlight: 4}, {Planned: 200, OK: 400}, {Planned: 200, OK: 200}} {
		if s := run.Seconds[i]; s.Planned < want.Planned-1 || s.Planned > want.Planned+1 || s.OK != want.OK || s.InFlight < want.InFlight {
			t.Errorf("second %d: planned %d, ok %d, under way %d, want %+v", i, s.Planned, s.OK, s.InFlight, want)
		}
	}
	if got := run.Seconds[3].Response.Quantile(.75); got < 400*time.Millisecond {
		t.Errorf("after the stall 75 %% of the response times are at most %v", got)
	}
}

func TestSendsLeaveEvenlySpaced(t *testing.T) {
	_, d := drive(t, Job{Schedule: "constant:1000", Duration: time.Second, Warmup: time.Second, Patience: time.Second, Conns: 10}, func(time.Duration) (time.Duration, outcome) {
		return 5 * time.Millisecond, outcome{}
	})
	if len(d.sent) != 2000 {
		t.Fatalf("%d sends, want 1000 of the warm-up and 1000", len(d.sent))
	}
	for i := 1; i < len(d.sent); i++ {
		if gap := d.sent[i] - d.sent[i-1]; gap < time.Millisecond-5*time.Microsecond || gap > time.Millisecond+5*time.Microsecond {
			t.Fatalf("send %d left %v after the one before it, want a millisecond", i, gap)
		}
	}
	if d.sent[0] < -time.Second || d.sent[0] > -999*time.Millisecond {
		t.Errorf("the first of the warm-up left at %v", d.sent[0])
	}
}

// TestPatienceEnds: a server that never keeps up. What cannot leave in time is skipped and
// counted, and never sent in a burst later.
func TestPatienceEnds(t *testing.T) {
	run, d := drive(t, Job{Schedule: "constant:100", Duration: 10 * time.Second, Patience: time.Second, Conns: 2}, func(time.Duration) (time.Duration, outcome) {
		return 100 * time.Millisecond, outcome{coins: 1} // 20 a second at most
	})
	k := run.Kinds[0]
	if k.Planned != 1000 || k.Sent+k.Skipped != 1000 || int(k.Sent) != len(d.sent) {
		t.Errorf("%+v", k)
	}
	// 20 a second for 10 s, and a second more for those that still were in time.
	if k.Sent < 215 || k.Sent > 225 {
		t.Errorf("%d were sent", k.Sent)
	}
	if max := k.Response.Max(); max > 1150*time.Millisecond {
		t.Errorf("one was sent although it was %v late", max-100*time.Millisecond)
	}
	if len(run.Errors) != 1 || run.Errors[0].Count != k.Skipped || run.Errors[0].Reason != "not sent: no connection was free in time" {
		t.Errorf("errors: %+v", run.Errors)
	}
	if got, want := k.ErrorShare(), float64(k.Skipped)/1000; got != want {
		t.Errorf("error share %v, want %v", got, want)
	}
}

// TestAWarmupsBacklogCountsInTheRate: a server of 20 requests a second that is offered 100
// answers 20 in each second that counts, those of the warm-up first.
func TestAWarmupsBacklogCountsInTheRate(t *testing.T) {
	run, _ := drive(t, Job{Schedule: "constant:100", Duration: 4 * time.Second, Warmup: 2 * time.Second, Patience: time.Minute, Conns: 2}, func(time.Duration) (time.Duration, outcome) {
		return 100 * time.Millisecond, outcome{coins: 1}
	})
	if k := run.Kinds[0]; k.Planned != 400 || k.OK != 400 {
		t.Errorf("%+v", k)
	}
	run.Took = 4
	if got := run.GoodRate(); got < 19 || got > 21 {
		t.Errorf("%v coins a second, want 20", got)
	}
	if s := run.Seconds[1]; s.OK < 19 || s.Response.Count() != 0 {
		t.Errorf("a second with answers of the warm-up alone: %+v", s)
	}
}

// TestClosedLoop: three connections at 10 ms a request make 300 a second.
func TestClosedLoop(t *testing.T) {
	run, _ := drive(t, Job{Closed: true, Duration: 2 * time.Second, Warmup: time.Second, Conns: 3}, func(since time.Duration) (time.Duration, outcome) {
		switch {
		case since < 0:
			return 10 * time.Millisecond, outcome{}
		case since < time.Second:
			return 10 * time.Millisecond, outcome{coins: 2}
		}
		return 10 * time.Millisecond, outcome{verdict: refused, reason: "status 503", nothing: true}
	})
	k := run.Kinds[0]
	if k.OK != 300 || k.Refused != 300 || k.Coins != 600 || k.Response.Count() != 300 || !near(k.Response.Quantile(.99), 10*time.Millisecond) {
		t.Errorf("%+v", k)
	}
}

func TestAClosedLoopEndsWithItsCoins(t *testing.T) {
	var n int
	run, _ := drive(t, Job{Closed: true, Duration: 100 * time.Second, Conns: 1}, func(since time.Duration) (time.Duration, outcome) {
		if n++; n > 5 {
			return 0, outcome{verdict: failed, reason: usedUp, nothing: true}
		}
		return time.Second, outcome{coins: 1}
	})
	if k := run.Kinds[0]; k.OK != 5 || k.Failed != 0 || run.Took > 6 {
		t.Errorf("%+v in %v s", k, run.Took)
	}
}

func TestInterleave(t *testing.T) {
	got := interleave([]Weight{{Redeem, 3}, {Withdraw, 1}, {Refund, 2}})
	count := map[Kind]int{}
	for i, k := range got {
		count[k]++
		if k == Redeem && got[(i+1)%len(got)] == Redeem && got[(i+2)%len(got)] == Redeem {
			t.Errorf("three in a row: %v", got)
		}
	}
	if len(got) != 6 || count[Redeem] != 3 || count[Withdraw] != 1 || count[Refund] != 2 {
		t.Errorf("%v", got)
	}
}

func TestWho(t *testing.T) {
	p := &plan{Job: Job{First: 100, Fleet: 3, Wake: 2}}
	var got []uint32
	for k := range int64(8) {
		got = append(got, p.who(k))
	}
	if want := []uint32{100, 100, 101, 101, 102, 102, 100, 100}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	p.Random = true
	seen := map[uint32]bool{}
	for k := range int64(200) {
		seen[p.who(k)] = true
	}
	if len(seen) != 3 || !seen[100] || !seen[102] {
		t.Errorf("at random come %v", seen)
	}
}
