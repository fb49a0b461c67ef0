package schedule

import (
	"math/rand/v2"
	"time"
)

// Sends are the moments of one worker, in order. One goroutine may use it at a time.
type Sends struct {
	k, workers int64 // the next send of all, and by how many to go on
	total      int64 // of all
	of         time.Duration

	left []piece // the current one first; nil of a sine and a Poisson schedule
	wave wave    // of a sine

	rng  *rand.Rand // of a Poisson schedule, else nil
	sum  float64    // of the gaps so far, in mean gaps
	rate float64    // sends a second
}

// Sends returns the moments of a run that lasts "of" for one of several workers, each of
// which takes every workers-th send of the same sequence; worker counts from 0. The seed
// matters to a Poisson schedule alone, and must be the same for all workers.
func (s *Spec) Sends(of time.Duration, seed uint64, worker, workers int) *Sends {
	if worker < 0 || worker >= workers {
		panic("schedule: Sends for a worker that is not one of all")
	}
	sends := &Sends{k: int64(worker), workers: int64(workers), total: s.Total(of), of: of}
	switch s.form {
	case sine:
		sends.wave = s.wave()
	case poisson:
		sends.rng = rand.New(rand.NewPCG(seed, 0))
		sends.rate = s.rates[0]
		sends.skip(worker)
	default:
		sends.left = s.pieces(of)
	}
	return sends
}

// Next returns the next moment, in time since the start of the run; false when there is
// none. It does not allocate. It takes tens of nanoseconds, with a sine about a hundred,
// with a Poisson schedule some for each worker: every worker draws all gaps.
func (s *Sends) Next() (at time.Duration, ok bool) {
	if s.rng != nil {
		return s.nextRandom()
	}
	if s.k >= s.total {
		return 0, false
	}
	k := float64(s.k)
	s.k += s.workers
	if s.left == nil {
		return s.moment(s.wave.at(k)), true
	}
	for len(s.left) > 1 && s.left[1].before <= k {
		s.left = s.left[1:]
	}
	return s.moment(s.left[0].at(k)), true
}

// moment rounds seconds to a moment within the run.
func (s *Sends) moment(seconds float64) time.Duration {
	return min(time.Duration(seconds*1e9+.5), s.of-1)
}

func (s *Sends) nextRandom() (time.Duration, bool) {
	s.sum += s.rng.ExpFloat64()
	t := s.sum / s.rate
	if !(t < s.of.Seconds()) {
		return 0, false
	}
	s.skip(int(s.workers) - 1)
	return s.moment(t), true
}

// skip leaves n sends of a Poisson schedule to other workers.
func (s *Sends) skip(n int) {
	for range n {
		s.sum += s.rng.ExpFloat64()
	}
}
