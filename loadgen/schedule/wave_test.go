package schedule

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWaveInverts puts the moment of send k into the integral again, also where the rate
// is next to nothing.
func TestWaveInverts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, e := range []float64{0, 1e-9, .3, .9, .999, 1 - 1e-9, 1} {
		for _, perPeriod := range []float64{.3, 7, 1e3, 1e6, 1e10} {
			w := wave{mean: perPeriod / 60, amplitude: e * perPeriod / 60, period: 60}
			check := func(k float64) {
				t.Helper()
				at := w.at(k)
				// In sends: what a double holds of k, of the moment and of a period's integral.
				if got := w.integral(at); math.Abs(got-k) > 1e-15*(4*k+10*perPeriod+8*at*w.rate(at)) {
					t.Errorf("amplitude/mean %v, %v sends a period: send %v at %v s, where the integral is off by %g", e, perPeriod, k, at, got-k)
				}
			}
			check(0)
			low := w.integral(45) // the sine is -1
			for range 3000 {
				check(rng.Float64() * perPeriod)
				check(math.Floor(rng.Float64() * 100 * perPeriod))
				check(low + (rng.Float64()-.5)*perPeriod*math.Pow(10, -15*rng.Float64()))
			}
			last := -1.0
			for i := range 20_000 {
				at := w.at(low + (float64(i)-1e4)*max(1, perPeriod*1e-10))
				if at < last && i > 1e4-int(low) {
					t.Fatalf("amplitude/mean %v, %v sends a period: back from %v s to %v s", e, perPeriod, last, at)
				}
				last = at
			}
		}
	}
}
