// Package resulttest makes runs that look like real ones, for tests of what is made
// from a run. Start with [Run].
package resulttest

import (
	"math"
	"math/rand/v2"
	"time"

	"ecoin/loadgen/result"
)

// Options says what a run is like. The zero value is a minute at 1000 requests a second,
// in which some requests are refused, the server stalls, and is killed.
type Options struct {
	Seconds int     // 0 means 60
	Rate    int     // requests a second; 0 means 1000
	Slow    float64 // factor of all latencies; 0 means 1
	CPUUs   float64 // of the server, a coin; 0 means 9
	Calm    bool    // no refusals, no stall, no fault
	Seed    uint64
}

// Parts of a run that is not calm, as shares of its length.
const (
	refusedFrom, refusedTo = 0.15, 0.22
	stallFrom, stallTo     = 0.42, 0.45
	killFrom, killTo       = 0.67, 0.72
)

const batch = 8

// Run makes a run; the same options make the same run.
func Run(o Options) *result.Run {
	if o.Seconds == 0 {
		o.Seconds = 60
	}
	if o.Rate == 0 {
		o.Rate = 1000
	}
	if o.Slow == 0 {
		o.Slow = 1
	}
	if o.CPUUs == 0 {
		o.CPUUs = 9
	}
	m := &maker{o: o, rand: rand.New(rand.NewPCG(o.Seed, 1)), kind: result.Kind{Name: "redeem"}, seconds: make([]result.Second, o.Seconds)}
	for i := range m.seconds {
		m.second(i)
	}
	return m.run()
}

type maker struct {
	o       Options
	rand    *rand.Rand
	kind    result.Kind
	seconds []result.Second
	lag     result.Latency
	busy    float64 // slow drift of the latency, so that neighbouring seconds are alike
}

// during returns how long after at, in seconds, a part of the run ends that at is in; 0 when it is
// not in it.
func (m *maker) during(at, from, to float64) float64 {
	length := float64(m.o.Seconds)
	if m.o.Calm || at < from*length || at >= to*length {
		return 0
	}
	return to*length - at
}

func (m *maker) second(i int) {
	s := &m.seconds[i]
	s.At = float64(i)
	m.busy = .8*m.busy + .2*m.rand.NormFloat64()
	for k := range m.o.Rate {
		at := s.At + float64(k)/float64(m.o.Rate)
		lag := time.Duration(30e3 * math.Exp(.5*m.rand.NormFloat64()))
		m.lag.Record(lag)
		s.LagMaxUs = max(s.LagMaxUs, lag.Microseconds())
		s.Planned++
		m.kind.Planned++
		switch {
		case m.during(at, killFrom, killTo) > 0 && k%10 == 0:
			m.kind.Skipped++
			s.Failed++
			continue
		case m.during(at, killFrom, killTo) > 0:
			m.kind.Sent++
			m.kind.Failed++
			s.Failed++
			continue
		case m.during(at, refusedFrom, refusedTo) > 0 && k%7 == 0:
			m.kind.Sent++
			m.kind.Refused++
			s.Refused++
			continue
		}
		m.answered(at, lag)
	}
	s.InFlight = int64(float64(m.o.Rate) * (.002 + m.during(s.At, stallFrom, stallTo)))
}

// answered counts a good answer to a request planned at at, in the second in which it arrives.
func (m *maker) answered(at float64, lag time.Duration) {
	service := time.Duration(9e5 * m.o.Slow * math.Exp(.3*m.rand.NormFloat64()+.15*m.busy))
	if m.rand.IntN(200) == 0 {
		service += time.Duration(6e6 * m.o.Slow * m.rand.ExpFloat64())
	}
	response := service + lag
	if wait := m.during(at, stallFrom, stallTo); wait > 0 {
		response += time.Duration(wait * 1e9)
		if m.rand.IntN(20) == 0 { // of those that had been sent when it began
			service = response
		}
	}
	i := min(int(at+response.Seconds()), m.o.Seconds-1)
	s := &m.seconds[i]
	s.OK++
	s.Coins += batch
	s.CPU += batch * m.o.CPUUs * 1e-6 * (1 + .1*m.rand.Float64())
	s.Response.Record(response)
	m.kind.Sent++
	m.kind.OK++
	m.kind.Coins += batch
	m.kind.Response.Record(response)
	m.kind.Service.Record(service)
}

func (m *maker) run() *result.Run {
	k, length := &m.kind, float64(m.o.Seconds)
	r := &result.Run{
		Format:  result.Format,
		Command: "ecoin loadgen redeem --self-contained --rate 1000 --batch 8 --time 60s --json run.json",
		Machine: "2 x Example CPU 3.0 GHz, 8 GiB, Linux 6.1, Go 1.26",
		Started: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		Took:    length,
		Setup: result.Setup{
			Target: "self-contained", Workload: "redeem", Model: "open", Schedule: "constant 1000/s", Rate: float64(m.o.Rate), Suite: "x25519",
			Batch: batch, Conns: 64, Fleet: 1000, Workers: 1, WarmupS: 5,
		},
		Kinds:   []result.Kind{*k},
		Seconds: m.seconds,
		Generator: result.Generator{
			CPU: 7e-5 * float64(k.Sent), CPUUs: 70, Cores: 7e-5 * float64(k.Sent) / length, CoresHave: 2, GCs: 40, GCPauseMax: .31, GCPauseAll: 4.2,
			MemoryBytes: 140 << 20, Connects: 64, Resumed: 12, Lag: m.lag, RunnableP99: .12, RunDelay: .4,
		},
		Audit: &result.Audit{
			OK: true, Issued: k.Coins + 64, Redeemed: k.Coins, Live: 64, DoubleSpends: 100, DoubleSpendsRefused: 100, Retries: 50, RetriesSame: 50,
			BadHeaders: 20, BadHeadersRefused: 20, Unanswered: k.Failed * batch, UnansweredSettled: k.Failed * batch, Bank: "ok: every coin and credit is accounted for",
		},
		Checks: []result.Check{{Name: "p50<10ms", Value: "0.94 ms", OK: true}},
	}
	for range r.Generator.Connects {
		r.Generator.Connect.Record(time.Duration(1.5e6 * math.Exp(.4*m.rand.NormFloat64())))
	}
	var cpu float64
	for i := range m.seconds {
		cpu += m.seconds[i].CPU
	}
	r.Server = &result.Server{
		CPU: cpu, CPUUs: cpu * 1e6 / float64(k.Coins), CPURequest: cpu * 1e6 / float64(k.Sent), MemoryBytes: 310 << 20, DiskBytes: 96 << 20, Live: 64,
	}
	if !m.o.Calm {
		r.Faults = []result.Fault{{At: killFrom * length, What: "kill -9 the bank", RecoveryS: (killTo - killFrom) * length}}
		r.Errors = []result.Error{
			{Kind: "redeem", Reason: "connection refused", Count: k.Failed},
			{Kind: "redeem", Reason: "503: too many coins are under way", Count: k.Refused},
			{Kind: "redeem", Reason: "skipped: no connection was free", Count: k.Skipped},
		}
	}
	return r
}
