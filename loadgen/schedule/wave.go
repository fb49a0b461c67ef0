package schedule

import "math"

// wave is a rate of mean + amplitude·sin(2πt/period), in seconds.
type wave struct{ mean, amplitude, period float64 }

func (w wave) rate(t float64) float64 {
	return max(0, w.mean+w.amplitude*math.Sin(2*math.Pi*math.Mod(t, w.period)/w.period))
}

// integral returns how many sends are planned until t.
func (w wave) integral(t float64) float64 {
	half := math.Sin(math.Pi * math.Mod(t, w.period) / w.period)
	return w.mean*t + w.amplitude*w.period/math.Pi*half*half // 1-cos x = 2 sin²(x/2)
}

// at returns when the integral reaches k. With the angle θ = 2πt/period, e =
// amplitude/mean and M = 2πk/(mean·period), the integral is θ + e(1-cos θ) = M. That is
// Kepler's equation E - e sin E = M - e + π/2 of E = θ + π/2.
func (w wave) at(k float64) float64 {
	perPeriod := w.mean * w.period
	whole := math.Floor(k / perPeriod)
	rest := math.FMA(-whole, perPeriod, k)
	e := w.amplitude / w.mean
	m, turn := rest/perPeriod*(2*math.Pi)-e+math.Pi/2, 0.0
	if m > math.Pi {
		m, turn = m-2*math.Pi, 2*math.Pi
	}
	theta := math.Copysign(kepler(math.Abs(m), e), m) - math.Pi/2 + turn
	return max(0, (whole+theta*(1/(2*math.Pi)))*w.period)
}

// kepler solves E - e sin E = m for e in [0, 1] and m in [0, π], 0 or no closer to 0 than
// the difference of doubles can be, about 1e-16: F. L. Markley, "Kepler
// Equation Solver", Celestial Mechanics and Dynamical Astronomy 63 (1995), 101-111. It is
// a cubic that is nearly the equation, and one step of fifth order from its root. Newton's
// method from a simple start takes many steps where e is near 1 and m near 0.
func kepler(m, e float64) float64 {
	const pi = math.Pi
	if m <= 0 {
		return 0
	}
	alpha := 3*pi*pi/(pi*pi-6) + 1.6*pi/(pi*pi-6)*(pi-m)/(1+e)
	d := 3*(1-e) + alpha*e
	r := 3*alpha*d*(d-1+e)*m + m*m*m
	q := 2*alpha*d*(1-e) - m*m
	w := math.Cbrt(r + math.Sqrt(max(0, q*q*q+r*r)))
	w *= w
	x := (2*r*w/(w*w+w*q+q*q) + m) / d

	sin, cos := math.Sincos(x)
	f0, f1, f2, f3 := x-e*sin-m, 1-e*cos, e*sin, e*cos
	d3 := -f0 * f1 / (f1*f1 - f0*f2/2)
	d4 := -f0 / (f1 + d3*(f2/2+d3*(f3/6)))
	d5 := -f0 / (f1 + d4*(f2/2+d4*(f3/6-d4*(f2/24))))
	return x + d5
}
