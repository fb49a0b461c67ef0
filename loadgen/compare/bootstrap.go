package compare

import (
	"math"
	"math/rand/v2"
)

// pairs is how many pairs of sides are drawn; 2.5 % of them are 50.
const pairs = 2000

// draw draws n pairs of sides as they might have been. The same runs give the same pairs.
func draw(sides [2]*side, n int) [][2]values {
	random := rand.New(rand.NewPCG(6, 0))
	out := make([][2]values, n)
	counts := [2][]float64{make([]float64, len(sides[0].values)), make([]float64, len(sides[1].values))}
	for i := range out {
		for k, s := range sides {
			out[i][k] = s.draw(random, counts[k])
		}
	}
	return out
}

// draw draws runs with replacement, and of each as many parts as it has, in blocks of
// neighbours; the last part's neighbour is the first, so that all are drawn alike (a circular block
// bootstrap, Politis and Romano 1992). counts is scratch memory.
func (s *side) draw(random *rand.Rand, counts []float64) values {
	clear(counts)
	var sums [sumCount]float64
	var took, sent, generator float64
	for range s.runs {
		r := &s.runs[random.IntN(len(s.runs))]
		took += r.took
		sent += r.sent
		generator += r.generatorCPU
		for left := r.parts; left > 0; {
			n := min(left, r.block)
			from := random.IntN(r.parts)
			r.add(&sums, counts, from, min(from+n, r.parts))
			if over := from + n - r.parts; over > 0 {
				r.add(&sums, counts, 0, over)
			}
			left -= n
		}
	}
	v := values{
		rate:         sums[sumCoins] / took,
		errorShare:   sums[sumBad] / sums[sumPlanned],
		serverCPU:    sums[sumServerCPU] * 1e6 / sums[sumCoins],
		generatorCPU: generator * 1e6 / sent,
	}
	s.quantiles(&v, counts)
	return v
}

// add adds the parts from from up to to.
func (r *run) add(sums *[sumCount]float64, counts []float64, from, to int) {
	for i := range sums {
		sums[i] += r.sums[to][i] - r.sums[from][i]
	}
	high, low := r.answers[to][:len(counts)], r.answers[from][:len(counts)]
	for i := range counts {
		counts[i] += high[i] - low[i]
	}
}

// quantiles finds all of them in one pass: the smallest value that a share of the answers does not
// exceed.
func (s *side) quantiles(v *values, counts []float64) {
	all := sum(counts)
	var ranks [len(quantiles)]float64
	for i, q := range quantiles {
		ranks[i] = max(math.Ceil(q*all), 1)
	}
	next, have := 0, 0.0
	for i, n := range counts {
		have += n
		for next < len(quantiles) && have >= ranks[next] {
			v[p50+next] = s.values[i]
			next++
		}
	}
	for ; next < len(quantiles); next++ {
		v[p50+next] = math.NaN()
	}
}
