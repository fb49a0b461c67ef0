package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ecoin/loadgen/result"
	"ecoin/loadgen/schedule"
)

// SearchOptions configures [Stage.Search].
type SearchOptions struct {
	Load      Load          // its schedule gives the first rate to try, and the shape of all
	Step      time.Duration // how long each rate is held
	Repeats   int           // odd: a rate holds when it does in most of them
	Precision float64       // the search ends when the bounds are so near, as a share of the lower
	Beyond    []float64     // rates to look at after that, as multiples of the highest that holds

	// Holds says whether a run meets the objective; what names it, for the report.
	Holds func(*result.Run) bool
	What  string
	Visit func(SearchStep) // after each step; may be nil
}

// SearchStep is one run of a search.
type SearchStep struct {
	Rate     float64  `json:"rate_per_s"`       // requests planned
	Offered  float64  `json:"coins_per_s"`      // the same in coins
	Good     float64  `json:"good_coins_per_s"` // answered as they should be
	Errors   float64  `json:"error_share"`
	P50Ms    float64  `json:"p50_ms"`
	P99Ms    float64  `json:"p99_ms"`
	ServerUs float64  `json:"server_cpu_us_per_coin,omitempty"`
	Holds    bool     `json:"holds"`
	Beyond   bool     `json:"beyond"` // after the search, at a multiple of its result
	Invalid  []string `json:"invalid,omitempty"`
}

// Search is what a search found.
type Search struct {
	Format    int          `json:"format"`
	Command   string       `json:"command"`
	Machine   string       `json:"machine"`
	Objective string       `json:"objective"`
	Setup     result.Setup `json:"setup"`
	Steps     []SearchStep `json:"steps"`
	// Highest is the highest rate that holds, in requests a second; Lowest failing is the
	// lowest that does not. 0 when there is none.
	Highest float64 `json:"highest_per_s"`
	Failing float64 `json:"lowest_failing_per_s"`
	// Generator is true when the generator and not the server failed at the lowest failing
	// rate: the server may be able to do more than Highest.
	Generator bool `json:"generator_was_the_limit"`
	// Ended says why the search ended before it found what fails; empty when it did not.
	Ended string `json:"ended,omitempty"`
}

// maxDoublings bounds the first half of a search.
const maxDoublings = 24

// Search finds the highest rate that meets an objective: it doubles the rate until that
// fails, or halves it until it does not, then bisects. A run whose generator was the limit fails
// for the search.
func (s *Stage) Search(ctx context.Context, o SearchOptions) (*Search, error) {
	if o.Step < 10*time.Second || o.Repeats < 1 || o.Repeats%2 == 0 || o.Precision <= 0 {
		return nil, errors.New("loadgen: a search takes steps of at least 10 s, an odd number of repeats, and a precision above 0")
	}
	return search(o, func(rate float64) (*result.Run, error) {
		l := o.Load
		shape, err := schedule.Parse(l.Job.Schedule)
		if err != nil {
			return nil, err
		}
		l.Job.Duration = o.Step
		l.Job.Schedule = shape.Scale(rate / shape.Mean(o.Step)).String()
		return s.Run(ctx, l)
	})
}

// search is Search with a function that runs a rate.
func search(o SearchOptions, run func(rate float64) (*result.Run, error)) (*Search, error) {
	shape, err := schedule.Parse(o.Load.Job.Schedule)
	if err != nil {
		return nil, err
	}
	out := &Search{Format: result.Format, Command: o.Load.Command, Objective: o.What}
	try := func(rate float64, beyond bool) (holds, generator bool, err error) {
		good, bad := 0, 0
		for good <= o.Repeats/2 && bad <= o.Repeats/2 {
			r, err := run(rate)
			if err != nil {
				return false, false, err
			}
			if r.Audit != nil && !r.Audit.OK {
				return false, false, fmt.Errorf("loadgen: at %.0f requests a second the audit found: %v", rate, r.Audit.Problems)
			}
			step := newStep(r, rate, o.Holds(r), beyond)
			out.Machine, out.Setup = r.Machine, r.Setup
			out.Steps = append(out.Steps, step)
			if o.Visit != nil {
				o.Visit(step)
			}
			if step.Holds {
				good++
			} else {
				bad++
			}
			if beyond {
				break
			}
			generator = generator || !step.Holds && len(step.Invalid) > 0
		}
		return good > bad, generator, nil
	}
	rate := shape.Mean(o.Step)
	low, high := 0.0, 0.0
	for range maxDoublings {
		holds, generator, err := try(rate, false)
		if errors.Is(err, errTooManyCoins) && low > 0 {
			out.Ended = err.Error()
			break
		}
		if err != nil {
			return nil, err
		}
		if holds {
			low = rate
			rate *= 2
		} else {
			high, out.Generator = rate, generator
			rate /= 2
		}
		if low > 0 && high > 0 || rate*o.Step.Seconds() < 10 {
			break
		}
	}
	for low > 0 && high > 0 && high-low > o.Precision*low {
		mid := (low + high) / 2
		holds, generator, err := try(mid, false)
		if err != nil {
			return nil, err
		}
		if holds {
			low = mid
		} else {
			high, out.Generator = mid, generator
		}
	}
	out.Highest, out.Failing = low, high
	if low > 0 {
		for _, f := range o.Beyond {
			_, _, err := try(low*f, true)
			if errors.Is(err, errTooManyCoins) {
				break
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func newStep(r *result.Run, rate float64, holds, beyond bool) SearchStep {
	t := r.Total()
	s := SearchStep{Rate: rate, Offered: rate * float64(max(r.Setup.Batch, 1)), Good: r.GoodRate(), Errors: t.ErrorShare(),
		P50Ms: t.Response.Quantile(.5).Seconds() * 1e3, P99Ms: t.Response.Quantile(.99).Seconds() * 1e3,
		Holds: holds && len(r.Invalid) == 0, Beyond: beyond, Invalid: r.Invalid}
	if r.Server != nil {
		s.ServerUs = r.Server.CPUUs
	}
	return s
}
