package plan

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Point is a rate that was measured with N connections at work.
type Point struct {
	N    float64 `json:"n"`
	Rate float64 `json:"rate_per_s"`
}

// Curve is N. Gunther's Universal Scalability Law, fitted to points:
//
//	X(N) = lambda N / (1 + sigma (N-1) + kappa N (N-1))
//
// lambda is the rate of one connection alone, sigma the share of the work that waits for
// others, kappa what keeping each other informed costs.
type Curve struct {
	Lambda  Interval `json:"lambda"`
	Sigma   Interval `json:"sigma"`
	Kappa   Interval `json:"kappa"`
	Clamped []string `json:"clamped,omitempty"` // coefficients that the fit would have made negative, and are 0
	R2      float64  `json:"r2"`                // share of the rates' variance that the curve explains
	Points  []Point  `json:"points"`

	fits []usl // of the bootstrap
}

// Interval is a value and its 95 % confidence interval.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// usl is one fit.
type usl struct{ lambda, sigma, kappa float64 }

func (u usl) at(n float64) float64 {
	return u.lambda * n / (1 + u.sigma*(n-1) + u.kappa*n*(n-1))
}

// At returns the rate with n connections.
func (c *Curve) At(n float64) Interval {
	return interval(usl{c.Lambda.Value, c.Sigma.Value, c.Kappa.Value}.at(n), c.fits, func(u usl) float64 { return u.at(n) })
}

const (
	fewestPoints = 4 // different N: three coefficients and one to check them
	resamples    = 1000
)

// FitCurve fits the law to points by least squares of the relative errors: N/X is linear
// in 1/lambda, sigma/lambda and kappa/lambda. A coefficient that would be negative is
// clamped to 0. The intervals are those of a bootstrap of the residuals, always the same
// for the same points. Fewer than four different N are refused.
func FitCurve(points []Point) (*Curve, error) {
	different := map[float64]bool{}
	for _, p := range points {
		if !(p.N >= 1 && p.N <= 1e9) || !(p.Rate > 0 && p.Rate <= 1e15) {
			return nil, fmt.Errorf("a rate of %v a second with %v connections: give at least one connection and a positive rate", p.Rate, p.N)
		}
		different[p.N] = true
	}
	if len(different) < fewestPoints {
		return nil, fmt.Errorf("%w: %d different numbers of connections, at least %d are needed", ErrFewPoints, len(different), fewestPoints)
	}
	best, clamped, err := fit(points)
	if err != nil {
		return nil, err
	}
	c := &Curve{Clamped: clamped, Points: points}

	// Residuals, centred, and widened for the three degrees of freedom that the fit took.
	residuals := make([]float64, len(points))
	rates := make([]float64, len(points))
	for i, p := range points {
		residuals[i], rates[i] = p.Rate/best.at(p.N), p.Rate
	}
	mean := stat.Mean(residuals, nil)
	widen := math.Sqrt(float64(len(points)) / max(1, float64(len(points)-3)))
	random := rand.New(rand.NewPCG(1, 2))
	drawn := make([]Point, len(points))
	for range resamples {
		for i, p := range points {
			factor := 1 + (residuals[random.IntN(len(residuals))]-mean)*widen
			drawn[i] = Point{p.N, best.at(p.N) * max(factor, 0.01)}
		}
		if u, _, err := fit(drawn); err == nil {
			c.fits = append(c.fits, u)
		}
	}
	c.Lambda = interval(best.lambda, c.fits, func(u usl) float64 { return u.lambda })
	c.Sigma = interval(best.sigma, c.fits, func(u usl) float64 { return u.sigma })
	c.Kappa = interval(best.kappa, c.fits, func(u usl) float64 { return u.kappa })

	var unexplained, all float64
	average := stat.Mean(rates, nil)
	for _, p := range points {
		unexplained += (p.Rate - best.at(p.N)) * (p.Rate - best.at(p.N))
		all += (p.Rate - average) * (p.Rate - average)
	}
	if c.R2 = 1; all > 0 {
		c.R2 = 1 - unexplained/all
	}
	return c, nil
}

// ErrFewPoints is returned where points do not determine a curve.
var ErrFewPoints = errors.New("too few points for a curve")

// fit solves the weighted linear problem. Where sigma or kappa come out negative it tries
// without them, and takes the best of what is not negative.
func fit(points []Point) (best usl, clamped []string, err error) {
	least := math.Inf(1)
	for _, try := range []struct {
		sigma, kappa bool
		clamped      []string
	}{{true, true, nil}, {true, false, []string{"kappa"}}, {false, true, []string{"sigma"}}, {false, false, []string{"sigma", "kappa"}}} {
		a := mat.NewDense(len(points), 3, nil)
		b := mat.NewVecDense(len(points), nil)
		for i, p := range points {
			// N/X = 1/lambda + sigma/lambda (N-1) + kappa/lambda N (N-1), times X/N.
			weight := p.Rate / p.N
			row := []float64{weight}
			if try.sigma {
				row = append(row, weight*(p.N-1))
			}
			if try.kappa {
				row = append(row, weight*p.N*(p.N-1))
			}
			for j, v := range row {
				a.Set(i, j, v)
			}
			b.SetVec(i, 1)
		}
		columns := 3 - len(try.clamped)
		var x, left mat.VecDense
		part := a.Slice(0, len(points), 0, columns)
		if e := x.SolveVec(part, b); e != nil {
			var condition mat.Condition
			if !errors.As(e, &condition) || math.IsInf(float64(condition), 1) {
				continue
			}
		}
		left.MulVec(part, &x)
		left.SubVec(&left, b)
		norm := mat.Norm(&left, 2)
		u := usl{lambda: 1 / x.AtVec(0)}
		at := 1
		if try.sigma {
			u.sigma = x.AtVec(at) * u.lambda
			at++
		}
		if try.kappa {
			u.kappa = x.AtVec(at) * u.lambda
		}
		if !(u.lambda > 0) || math.IsInf(u.lambda, 1) || !(u.sigma >= 0) || !(u.kappa >= 0) {
			continue
		}
		if norm < least {
			best, clamped, least = u, try.clamped, norm
		}
		if columns == 3 {
			break // nothing with fewer coefficients comes nearer
		}
	}
	if math.IsInf(least, 1) {
		return usl{}, nil, errors.New("no curve fits the points: the rates are not those of one server under more and more load")
	}
	return best, clamped, nil
}

// interval returns a value with the middle 95 % of what the fits give.
func interval(value float64, fits []usl, of func(usl) float64) Interval {
	var all []float64
	for _, u := range fits {
		all = append(all, of(u))
	}
	if len(all) == 0 {
		return Interval{value, value, value}
	}
	slices.Sort(all)
	return Interval{value, min(value, stat.Quantile(0.025, stat.Empirical, all, nil)), max(value, stat.Quantile(0.975, stat.Empirical, all, nil))}
}

// curve adds the law to the sheet.
func (s *sheet) curve(c *Curve, where string) {
	s.begin("Concurrency of the measured machine (Universal Scalability Law)", "")
	coefficient := func(key, name, unit string, i Interval) {
		where := fmt.Sprintf("fit; 95 %% of a bootstrap: %s to %s", number(round(i.Low)), number(round(i.High)))
		if slices.Contains(c.Clamped, key) {
			where = "clamped: the fit would make it negative; bootstrap up to " + number(round(i.High))
		}
		s.figure(key, name, unit, Figure{Value: i.Value, Where: where})
	}
	coefficient("lambda", "lambda: rate of one connection", "/s", c.Lambda)
	coefficient("sigma", "sigma: share that waits for others", "", c.Sigma)
	coefficient("kappa", "kappa: cost of keeping in step", "", c.Kappa)
	s.figure("r2", "share of the variance explained (R^2)", "", Figure{Value: c.R2, Where: where})
	most, highest := 0.0, 0.0
	for _, p := range c.Points {
		most, highest = max(most, p.N), max(highest, p.Rate)
	}
	at := "peak_n"
	if c.Kappa.Value > 0 && c.Sigma.Value < 1 {
		s.line("peak_n", "connections at the highest rate", "", "sqrt((1 - sigma) / kappa)")
		s.beyond(most, "the most connections that were measured")
	} else {
		at = "most_n"
		s.figure("most_n", "most connections that were measured", "", Figure{Value: most, Where: "the curve has no peak: it rises until there"})
	}
	s.line("usl", "rate there, X(N)", "/s", fmt.Sprintf("lambda * %s / (1 + sigma * (%[1]s - 1) + kappa * %[1]s * (%[1]s - 1))", at))
	band := c.At(s.value(at))
	s.figure("usl_low", "low end of its band", "/s", Figure{Value: band.Low, Where: fmt.Sprintf("bootstrap; the high end is %s", number(round(band.High)))})
}
