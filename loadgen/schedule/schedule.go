// Package schedule plans the moments at which an open-model load sends. The plan does
// not know the answers: a server that stalls delays no planned send, so that latency
// counted from the plan shows the stall.
//
// A rate that is a formula is integrated and inverted: send k is where the integral
// reaches k, to the nanosecond, however long the run. Sends are evenly spaced within a
// rate. There is no clock here and no goroutine. Start with [Parse] and [Spec.Sends].
package schedule

import (
	"math"
	"slices"
	"time"
)

const (
	maxRate  = 1e7              // sends a second
	minPeak  = 1e-9             // sends a second; a schedule that never reaches it sends nothing
	maxTime  = 1000 * time.Hour // of what a schedule itself says of time
	maxSteps = 10_000
	slack    = 1e-9 // of the limits of rates, which a scaled rate may miss by its rounding
)

// form is how a schedule is written.
type form string

const (
	constant form = "constant"
	poisson  form = "poisson"
	ramp     form = "ramp"
	step     form = "step"
	sine     form = "sine"
	trace    form = "trace"
)

// Spec is a schedule for runs of any length. It is immutable and safe for concurrent
// use; [Parse] makes it.
type Spec struct {
	form    form
	rates   []float64       // sends a second: the one, from and to, one a step, or mean and amplitude
	lengths []time.Duration // of steps that have their own, else nil
	period  time.Duration   // of a sine
	file    string          // of a trace
	factor  float64         // of a trace's rates
	rows    []row           // of a trace, rates as in the file
	traced  []piece         // of a trace, rates times factor
}

// Scale returns the schedule with all rates times f, which must be positive and finite.
// Where the highest rate would then be more than any schedule may have (1e7 sends a
// second), or next to nothing, f is only as large, or as small, as can be.
func (s *Spec) Scale(f float64) *Spec {
	if !(f > 0) || math.IsInf(f, 1) {
		panic("schedule: Scale by what is not a positive number")
	}
	f = min(max(f, minPeak/s.peak()), maxRate/s.peak())
	scaled := *s
	scaled.rates = slices.Clone(s.rates)
	for i := range scaled.rates {
		scaled.rates[i] *= f
	}
	if s.form == trace {
		scaled.factor *= f
		scaled.traced = straight(s.rows, scaled.factor)
	}
	return &scaled
}

// peak returns the highest rate.
func (s *Spec) peak() float64 {
	switch s.form {
	case sine:
		return s.rates[0] + s.rates[1]
	case trace:
		high := 0.0
		for _, r := range s.rows {
			high = max(high, r.rate)
		}
		return high * s.factor
	}
	return slices.Max(s.rates)
}

// Rate returns the planned sends a second at a moment of a run that lasts "of"; none
// before and after it.
func (s *Spec) Rate(at, of time.Duration) float64 {
	if at < 0 || at >= of {
		return 0
	}
	if s.form == sine {
		return s.wave().rate(at.Seconds())
	}
	p, ok := during(s.pieces(of), at.Seconds())
	if !ok {
		return 0
	}
	return max(0, p.rate+p.slope*(at.Seconds()-p.start))
}

// Total returns how many sends a run that lasts "of" has. Of a Poisson schedule it is a
// bound that the number exceeds with a probability of less than 1e-9.
func (s *Spec) Total(of time.Duration) int64 {
	if of <= 0 {
		return 0
	}
	planned := s.planned(of)
	if s.form == poisson {
		// Bernstein: P(X >= mean+x) <= exp(-x²/(2(mean+x/3))), here 1e-9.
		l := 9 * math.Ln10
		return int64(math.Ceil(planned + l/3 + math.Sqrt(l*l/9+2*l*planned)))
	}
	// What is over a whole number by less than rounding can explain makes no send.
	return max(0, int64(math.Ceil(planned-1e-12-1e-15*planned)))
}

// Mean returns the planned sends a second of a run that lasts "of", averaged over it. Times
// its length that is what [Spec.Total] is, or for a Poisson schedule bounds.
func (s *Spec) Mean(of time.Duration) float64 {
	if of <= 0 {
		return 0
	}
	return s.planned(of) / of.Seconds()
}

// planned returns the integral of the rate over a run.
func (s *Spec) planned(of time.Duration) float64 {
	if s.form == sine {
		return s.wave().integral(of.Seconds())
	}
	pieces := s.pieces(of)
	if p, ok := during(pieces, of.Seconds()); ok {
		return p.integral(of.Seconds())
	}
	last := pieces[len(pieces)-1]
	return last.integral(last.end)
}

// pieces returns the schedule of a run as straight lines. Of a sine there is none.
func (s *Spec) pieces(of time.Duration) []piece {
	end := of.Seconds()
	switch s.form {
	case trace:
		return s.traced
	case ramp:
		return []piece{{end: end, rate: s.rates[0], slope: (s.rates[1] - s.rates[0]) / end}}
	}
	rows := make([]row, len(s.rates))
	at := time.Duration(0)
	for i, r := range s.rates {
		rows[i] = row{end * float64(i) / float64(len(rows)), r}
		if s.lengths != nil {
			rows[i].at = at.Seconds()
			at += s.lengths[i]
		}
	}
	if s.lengths != nil {
		end = at.Seconds()
	}
	return straight(append(rows, row{at: end}), 1)
}

func (s *Spec) wave() wave { return wave{s.rates[0], s.rates[1], s.period.Seconds()} }
