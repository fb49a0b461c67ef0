package schedule

import (
	"math"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// TestPoissonGaps compares the gaps with the exponential distribution (Kolmogorov and
// Smirnov), neighbours with each other, and the counts of seconds with their mean.
func TestPoissonGaps(t *testing.T) {
	const rate, length = 1000., 200
	list := all(must(t, "poisson:1000").Sends(length*time.Second, 42, 0, 1))
	n := float64(len(list))
	if math.Abs(n-rate*length) > 4*math.Sqrt(rate*length) {
		t.Errorf("%v sends", n)
	}
	gaps, seconds := make([]float64, len(list)), make([]float64, length)
	last := time.Duration(0)
	for i, at := range list {
		gaps[i], last = (at-last).Seconds()*rate, at
		seconds[at/time.Second]++
	}
	var lag1 float64 // the correlation of neighbours
	for i := range gaps[1:] {
		lag1 += (gaps[i] - 1) * (gaps[i+1] - 1) / n
	}
	if math.Abs(lag1) > 4/math.Sqrt(n) {
		t.Errorf("a correlation of %v between neighbours", lag1)
	}
	var dispersion float64 // variance/mean: 1
	for _, c := range seconds {
		dispersion += (c - rate) * (c - rate) / rate / length
	}
	if math.Abs(dispersion-1) > 4*math.Sqrt(2./length) {
		t.Errorf("the variance of a second's sends is %v times the mean, want 1", dispersion)
	}
	slices.Sort(gaps)
	var d float64
	for i, g := range gaps {
		f := 1 - math.Exp(-g)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	if d*math.Sqrt(n) > 1.63 { // 1 % of seeds
		t.Errorf("D·√n is %v", d*math.Sqrt(n))
	}
}

func TestPoissonSeeds(t *testing.T) {
	s := must(t, "poisson:100")
	first := func(seed uint64) time.Duration { at, _ := s.Sends(time.Minute, seed, 0, 1).Next(); return at }
	if a, again, b := first(1), first(1), first(2); a != again || a == b {
		t.Errorf("the first sends of seeds 1, 1, 2: %v, %v, %v", a, again, b)
	}
	// At twice the rate the same seed has the same gaps, halved.
	twice, _ := s.Scale(2).Sends(time.Minute, 1, 0, 1).Next()
	if d := first(1) - 2*twice; d < -2 || d > 2 {
		t.Errorf("the first send at %v, at twice the rate at %v", first(1), twice)
	}
}

// TestPoissonTotal asks the distribution itself whether the bound holds, and is not wide.
func TestPoissonTotal(t *testing.T) {
	for _, mean := range []float64{1e-6, .01, 1, 30, 1e3, 1e6} {
		s := must(t, "poisson:"+number(mean/10))
		total := float64(s.Total(10 * time.Second))
		if p := (distuv.Poisson{Lambda: mean}).Survival(total); p >= 1e-9 {
			t.Errorf("mean %v: more than %v with a probability of %g", mean, total, p)
		}
		if wide := mean + 8*math.Sqrt(mean) + 16; total > wide {
			t.Errorf("mean %v: a bound of %v, more than %v", mean, total, wide)
		}
	}
}
