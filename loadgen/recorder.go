package loadgen

import (
	"sync"
	"time"

	"ecoin/loadgen/result"
)

// stripes is how many recorders share the work, so that workers rarely meet on one.
const stripes = 8

// recorder counts what happens. Workers use stripe (worker mod stripes); once a second
// the stripes are merged into a result.Second.
type recorder struct {
	stripe  [stripes]stripe
	seconds []result.Second // of the one goroutine that calls roll
}

type stripe struct {
	mu sync.Mutex
	interval
	_ [64]byte
}

// interval is what happened since the last second.
type interval struct {
	kinds   [kinds]result.Kind
	second  result.Second
	lag     result.Latency
	connect result.Latency
	errors  map[result.Error]int64 // keys with a count of 0
}

func newRecorder() *recorder {
	r := &recorder{}
	for i := range r.stripe {
		r.stripe[i].errors = map[result.Error]int64{}
	}
	return r
}

// verdict is how a request ended.
type verdict uint8

const (
	good verdict = iota
	refused
	failed
	skipped
)

// sample is one request.
type sample struct {
	kind     Kind
	verdict  verdict
	reason   string // of a failure
	coins    int
	response time.Duration
	service  time.Duration
	lag      time.Duration
}

// plan counts a request at the moment for which it is planned.
func (r *recorder) plan(k Kind) {
	t := &r.stripe[0]
	t.mu.Lock()
	t.kinds[k].Planned++
	t.second.Planned++
	t.mu.Unlock()
}

// add counts a request that was planned, when it ended.
func (r *recorder) add(worker int, s *sample) {
	t := &r.stripe[worker%stripes]
	t.mu.Lock()
	defer t.mu.Unlock()
	k := &t.kinds[s.kind]
	t.lag.Record(s.lag)
	t.second.LagMaxUs = max(t.second.LagMaxUs, s.lag.Microseconds())
	if s.verdict == skipped {
		k.Skipped++
		t.second.Failed++
		t.errors[result.Error{Kind: s.kind.String(), Reason: s.reason}]++
		return
	}
	k.Sent++
	switch s.verdict {
	case good:
		k.OK++
		k.Coins += int64(s.coins)
		k.Response.Record(s.response)
		k.Service.Record(s.service)
		t.second.OK++
		t.second.Coins += int64(s.coins)
		t.second.Response.Record(s.response)
	case refused:
		k.Refused++
		t.second.Refused++
	case failed:
		k.Failed++
		t.second.Failed++
	}
	if s.reason != "" {
		t.errors[result.Error{Kind: s.kind.String(), Reason: s.reason}]++
	}
}

// leftover counts the answer to a request of the warm-up that came later. The server gave it
// in a second that counts, so it is in that second's rate, and nowhere else.
func (r *recorder) leftover(worker int, v verdict, coins int) {
	t := &r.stripe[worker%stripes]
	t.mu.Lock()
	defer t.mu.Unlock()
	if v == good {
		t.second.OK++
		t.second.Coins += int64(coins)
	}
}

// connect counts a connect of any client.
func (r *recorder) connect(took time.Duration, err error) {
	t := &r.stripe[0]
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.errors[result.Error{Kind: "connect", Reason: explain(err)}]++
		return
	}
	t.interval.connect.Record(took)
}

// roll closes a second and returns it.
func (r *recorder) roll(at float64, inFlight int64) result.Second {
	second := result.Second{At: at, InFlight: inFlight}
	for i := range r.stripe {
		t := &r.stripe[i]
		t.mu.Lock()
		s := &t.second
		second.Planned += s.Planned
		second.OK += s.OK
		second.Refused += s.Refused
		second.Failed += s.Failed
		second.Coins += s.Coins
		second.LagMaxUs = max(second.LagMaxUs, s.LagMaxUs)
		second.Response.Merge(&s.Response)
		s.Response.Reset()
		*s = result.Second{Response: s.Response}
		t.mu.Unlock()
	}
	second.Response.Pack()
	r.seconds = append(r.seconds, second)
	return second
}

// finish writes all that was recorded into run. Nothing is recorded any more.
func (r *recorder) finish(run *result.Run) {
	errors := map[result.Error]int64{}
	var all [kinds]result.Kind
	for i := range r.stripe {
		t := &r.stripe[i]
		for k := range t.kinds {
			t.kinds[k].Name = Kind(k).String()
			all[k].Name = Kind(k).String()
			all[k].Add(&t.kinds[k])
		}
		for e, n := range t.errors {
			errors[e] += n
		}
		run.Generator.Lag.Merge(&t.lag)
		run.Generator.Connect.Merge(&t.interval.connect)
	}
	for k := range all {
		if all[k].Planned > 0 {
			run.AddKind(&all[k])
		}
	}
	for e, n := range errors {
		e.Count = n
		run.AddError(e)
	}
	run.Seconds = r.seconds
}
