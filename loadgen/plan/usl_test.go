package plan

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// sample makes rates of a known law, each a bit off by noise.
func sample(u usl, noise float64, ns ...float64) (points []Point) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range ns {
		points = append(points, Point{n, u.at(n) * (1 + noise*random.NormFloat64())})
	}
	return points
}

func near(got, want, share float64) bool { return math.Abs(got-want) <= share*math.Abs(want) }

func TestFitCurveExact(t *testing.T) {
	for _, u := range []usl{{1000, 0.05, 0.0001}, {35_000, 0.3, 0.002}, {12, 0.9, 0.01}, {1e6, 0.001, 1e-6}} {
		c, err := FitCurve(sample(u, 0, 1, 2, 4, 8, 16, 32))
		if err != nil {
			t.Fatal(err)
		}
		if !near(c.Lambda.Value, u.lambda, 1e-6) || !near(c.Sigma.Value, u.sigma, 1e-4) || !near(c.Kappa.Value, u.kappa, 1e-4) || c.R2 < 1-1e-9 || c.Clamped != nil {
			t.Errorf("%+v was fitted as %+v", u, c)
		}
		if at := c.At(16); !near(at.Value, u.at(16), 1e-6) || !near(at.High, at.Low, 1e-4) {
			t.Errorf("at 16: %+v, want %v", at, u.at(16))
		}
	}
}

func TestFitCurveNoisy(t *testing.T) {
	u := usl{1000, 0.05, 0.001}
	var ns []float64
	for range 5 {
		ns = append(ns, 1, 2, 4, 8, 16, 32, 64)
	}
	c, err := FitCurve(sample(u, 0.05, ns...))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]struct {
		got  Interval
		want float64
	}{"lambda": {c.Lambda, u.lambda}, "sigma": {c.Sigma, u.sigma}, "kappa": {c.Kappa, u.kappa}, "X(24)": {c.At(24), u.at(24)}} {
		if !(p.got.Low <= p.want && p.want <= p.got.High && p.got.Low < p.got.Value && p.got.Value < p.got.High) {
			t.Errorf("%s is %v, outside of %+v", name, p.want, p.got)
		}
		if p.got.High-p.got.Low > p.want {
			t.Errorf("%s: the interval %+v says nothing", name, p.got)
		}
	}
	if c.R2 < 0.9 || c.R2 >= 1 {
		t.Errorf("R2 is %v", c.R2)
	}
	again, err := FitCurve(c.Points)
	if err != nil || again.Lambda != c.Lambda || again.Kappa != c.Kappa {
		t.Errorf("fitted again it is %+v (%v), was %+v", again, err, c)
	}
}

// TestFitCurveCovers fits many noisy samples: the truth is in nearly all intervals.
func TestFitCurveCovers(t *testing.T) {
	u := usl{1000, 0.1, 0.002}
	random := rand.New(rand.NewPCG(5, 6))
	const rounds = 40
	inside := 0
	for range rounds {
		var points []Point
		for _, n := range []float64{1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32} {
			points = append(points, Point{n, u.at(n) * (1 + 0.03*random.NormFloat64())})
		}
		c, err := FitCurve(points)
		if err != nil {
			t.Fatal(err)
		}
		if at := c.At(15); at.Low <= u.at(15) && u.at(15) <= at.High {
			inside++
		}
	}
	if inside < rounds*80/100 || inside == 0 {
		t.Errorf("the truth is in %d of %d bands", inside, rounds)
	}
}

func TestFitCurveClamps(t *testing.T) {
	for name, c := range map[string]struct {
		points  []Point
		clamped []string
	}{
		"better than linear":   {[]Point{{1, 100}, {2, 210}, {4, 450}, {8, 1000}, {16, 2100}}, []string{"sigma", "kappa"}},
		"a late rise":          {sample(usl{1000, 0.2, -0.0005}, 0, 1, 2, 4, 8, 16, 32), []string{"kappa"}},
		"only keeping in step": {sample(usl{1000, -0.01, 0.002}, 0, 1, 2, 4, 8, 16, 32), []string{"sigma"}},
	} {
		got, err := FitCurve(c.points)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(got.Clamped, c.clamped) || got.Sigma.Value < 0 || got.Kappa.Value < 0 {
			t.Errorf("%s: clamped %q, sigma %v, kappa %v", name, got.Clamped, got.Sigma.Value, got.Kappa.Value)
		}
		for _, key := range c.clamped {
			m := Recorded()
			m.concurrency = c.points
			if l := at(t, make_(t, "nvme-16c", m), key); l.Value != 0 || !strings.Contains(l.Basis, "clamped") {
				t.Errorf("%s: the plan says %v, %s", name, l.Value, l.Basis)
			}
		}
	}
}

func TestFitCurveRefuses(t *testing.T) {
	if _, err := FitCurve(sample(usl{1000, 0.1, 0.001}, 0, 1, 2, 4, 4, 2, 1)); !errors.Is(err, ErrFewPoints) || !strings.Contains(err.Error(), "3 different") {
		t.Errorf("three different N: %v", err)
	}
	for _, bad := range []Point{{0, 10}, {1, 0}, {-1, 10}, {1, -5}, {math.NaN(), 1}, {1, math.NaN()}, {1, math.Inf(1)}, {math.Inf(1), 1}} {
		if _, err := FitCurve(append(sample(usl{1000, 0.1, 0.001}, 0, 1, 2, 4, 8), bad)); err == nil || errors.Is(err, ErrFewPoints) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	m := Recorded()
	m.concurrency = m.concurrency[:2]
	p := make_(t, "nvme-16c", m)
	if p.Curve != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "No Universal Scalability Law") {
		t.Errorf("with two points: %+v, %q", p.Curve, p.Notes)
	}
}
