package server

import (
	"math"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"ecoin/internal/latency"
	"ecoin/ledger"
)

const (
	sampleEvery = time.Second
	historyLen  = 600 // samples that charts show: ten minutes
	// latencySpan is what a percentile in a chart looks back on: a second of a quiet
	// bank has too few calls for one.
	latencySpan = 10
)

// watch is what the operator's page shows beside the metrics: the last ten minutes,
// the accounts that moved most coins, and what was refused lately.
type watch struct {
	started             time.Time
	redeemed, withdrawn *heavyAccounts
	recent              recentRefusals
	history             history
}

func newWatch(now time.Time) *watch {
	return &watch{started: now, redeemed: newHeavyAccounts(now), withdrawn: newHeavyAccounts(now)}
}

// runSampler takes a sample a second until the server's context ends.
func (s *Server) runSampler() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for now := time.Now(); ; {
		s.watch.history.add(s.sample(now, s.o.Accounts.Stats()))
		s.watch.redeemed.turn(now)
		s.watch.withdrawn.turn(now)
		select {
		case now = <-tick.C:
		case <-s.base.Done():
			return
		}
	}
}

// sample is the state of the server at one moment. Counters only grow.
type sample struct {
	at time.Time

	issued, redeemed, returned, refunded int64 // coins, since the ledger was created
	requests, refusedRequests            int64 // answered; those with 4xx or 5xx
	serverErrors                         int64 // those with 5xx but 503 and 507
	handshakes, failedHandshakes         int64
	redeemCalls                          latency.Counts
	cpu                                  time.Duration // of the process

	live, queued            int64 // coins
	waitingRecords          int64 // that wait to be opened
	underWay                int64 // coins of calls under way in the bank
	connections             int64
	memoryBytes, goroutines int64
}

// sample reads every counter once.
func (s *Server) sample(now time.Time, st ledger.Stats) sample {
	m := s.metrics
	p := sample{
		at: now, issued: st.Issued, redeemed: st.Redeemed, returned: st.Returned, refunded: st.Refunded,
		redeemCalls: m.redeemSeconds.Counts(), cpu: cpuTime(),
		live: st.Live, queued: st.Queued, connections: int64(s.conns.len()),
	}
	records, coins := s.o.Bank.Queued()
	p.waitingRecords, p.underWay = int64(records), int64(coins)
	handshakes := m.handshakeSeconds.Counts()
	p.handshakes = handshakes.Total()
	for _, c := range m.refusals {
		p.failedHandshakes += int64(c.Get())
	}
	s.eachRoute(func(r *route) {
		for status := range r.counts {
			c := r.counts[status].Load()
			if c == nil {
				continue
			}
			n := int64(c.Get())
			p.requests += n
			if status >= 400 {
				p.refusedRequests += n
			}
			if status >= 500 && status != 503 && status != 507 {
				p.serverErrors += n
			}
		}
	})
	runtime := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(runtime)
	p.memoryBytes = int64(runtime[0].Value.Uint64() - runtime[1].Value.Uint64())
	p.goroutines = int64(runtime[2].Value.Uint64())
	return p
}

func (s *Server) eachRoute(f func(*route)) {
	for _, r := range s.routes {
		f(r)
	}
	f(s.other)
}

// cpuTime is what the process has used of all processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// history is a ring of samples. The zero value is empty. It is safe for concurrent use.
type history struct {
	mu   sync.Mutex
	ring [historyLen + latencySpan + 1]sample
	n    int64 // samples ever added; sample i is at i modulo len(ring)
}

func (h *history) add(p sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring[h.n%int64(len(h.ring))] = p
	h.n++
}

// atLocked returns sample i, and the oldest there is for an older one.
func (h *history) atLocked(i int64) *sample {
	return &h.ring[max(i, h.n-int64(len(h.ring)), 0)%int64(len(h.ring))]
}

// ago returns the newest sample that is older than d at the time now, else the oldest;
// ok is false when there is none.
func (h *history) ago(now time.Time, d time.Duration) (p sample, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := h.n - 1; i >= max(0, h.n-int64(len(h.ring))); i-- {
		p, ok = *h.atLocked(i), true
		if now.Sub(p.at) >= d {
			break
		}
	}
	return p, ok
}

// series are the points of the charts, oldest first. Rates are those of the second
// before a point, percentiles those of the ten seconds before it, null when nothing
// was redeemed; the others are as at the point.
type series struct {
	Last           int64      `json:"last"` // number of the newest point; they count from 1
	At             []int64    `json:"at_unix_ms"`
	Redeemed       []float64  `json:"redeemed_coins_per_second"`
	Issued         []float64  `json:"issued_coins_per_second"`
	Returned       []float64  `json:"returned_coins_per_second"`
	Refunded       []float64  `json:"refunded_coins_per_second"`
	Requests       []float64  `json:"requests_per_second"`
	Refused        []float64  `json:"refused_requests_per_second"`
	Handshakes     []float64  `json:"handshakes_per_second"`
	Failed         []float64  `json:"failed_handshakes_per_second"`
	CPU            []float64  `json:"cpu_cores"`
	P50            []*float64 `json:"redeem_p50_ms"`
	P99            []*float64 `json:"redeem_p99_ms"`
	P999           []*float64 `json:"redeem_p999_ms"`
	Queued         []int64    `json:"ledger_queued_coins"`
	WaitingRecords []int64    `json:"waiting_records"`
	UnderWay       []int64    `json:"coins_under_way"`
	Live           []int64    `json:"live_coins"`
	Connections    []int64    `json:"connections"`
}

// after returns the points that came after point number last; 0 means all.
func (h *history) after(last int64) *series {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := &series{Last: max(h.n-1, 0)}
	first := max(last+1, h.n-historyLen, 1)
	for i := first; i < h.n; i++ {
		p, before := h.atLocked(i), h.atLocked(i-1)
		rate := func(now, then int64) float64 { return perSecond(now-then, p.at.Sub(before.at)) }
		out.At = append(out.At, p.at.UnixMilli())
		out.Redeemed = append(out.Redeemed, rate(p.redeemed, before.redeemed))
		out.Issued = append(out.Issued, rate(p.issued, before.issued))
		out.Returned = append(out.Returned, rate(p.returned, before.returned))
		out.Refunded = append(out.Refunded, rate(p.refunded, before.refunded))
		out.Requests = append(out.Requests, rate(p.requests, before.requests))
		out.Refused = append(out.Refused, rate(p.refusedRequests, before.refusedRequests))
		out.Handshakes = append(out.Handshakes, rate(p.handshakes, before.handshakes))
		out.Failed = append(out.Failed, rate(p.failedHandshakes, before.failedHandshakes))
		out.CPU = append(out.CPU, cores(p, before))
		calls := p.redeemCalls.Since(h.atLocked(i - latencySpan).redeemCalls)
		out.P50 = append(out.P50, milliseconds(&calls, 0.5))
		out.P99 = append(out.P99, milliseconds(&calls, 0.99))
		out.P999 = append(out.P999, milliseconds(&calls, 0.999))
		out.Queued = append(out.Queued, p.queued)
		out.WaitingRecords = append(out.WaitingRecords, p.waitingRecords)
		out.UnderWay = append(out.UnderWay, p.underWay)
		out.Live = append(out.Live, p.live)
		out.Connections = append(out.Connections, p.connections)
	}
	return out
}

// perSecond is a rate, rounded to a tenth; 0 where there is none.
func perSecond(n int64, in time.Duration) float64 {
	if n <= 0 || in <= 0 {
		return 0
	}
	return math.Round(float64(n)/in.Seconds()*10) / 10
}

// cores is how many processors the process kept busy between two samples.
func cores(now, then *sample) float64 {
	in := now.at.Sub(then.at)
	if in <= 0 {
		return 0
	}
	return math.Round(max(0, float64(now.cpu-then.cpu)/float64(in))*100) / 100
}

// milliseconds is a quantile, rounded to a microsecond; nil when nothing was counted.
func milliseconds(c *latency.Counts, q float64) *float64 {
	if c.Total() <= 0 {
		return nil
	}
	ms := math.Round(c.Quantile(q).Seconds()*1e6) / 1e3
	return &ms
}
