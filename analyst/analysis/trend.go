package analysis

import (
	"context"
	"math"
	"math/bits"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

const (
	minTrend  = 3 // values that a line is fitted to; with two it always fits
	minSeason = 8 // values that a season is looked for in

	// A series whose detrended sum of squares is below this share of the whole is a
	// straight line, and what is left of it the rounding of float64.
	flat = 1e-26
)

// trendResult is the result of "trend".
type trendResult struct {
	Rows    int           `json:"rows"`
	Columns []trendColumn `json:"columns"` // the numeric ones
}

// trendColumn is the least-squares line value = intercept + slope*row, the first
// row after the header being 0. The three figures of the line are null with fewer
// than minTrend values; R2 also where all values are equal.
type trendColumn struct {
	Name      string  `json:"name"`
	Count     int     `json:"count"`
	Slope     number  `json:"slope"` // change per row
	Intercept number  `json:"intercept"`
	R2        number  `json:"r2"`     // share of the variance that the line explains
	Season    *season `json:"season"` // null when there is none, or too few values
}

// season is the highest peak of the autocorrelation of the detrended series.
type season struct {
	Lag             int    `json:"lag"` // rows per period
	Autocorrelation number `json:"autocorrelation"`
}

func trend(ctx context.Context, t *table) (trendResult, error) {
	res := trendResult{Rows: t.rows, Columns: []trendColumn{}}
	for i := range t.columns {
		if err := ctx.Err(); err != nil {
			return trendResult{}, err
		}
		if c := &t.columns[i]; c.numeric() {
			res.Columns = append(res.Columns, trendOf(c))
		}
	}
	return res, nil
}

func trendOf(c *column) trendColumn {
	y := c.present()
	nan := number(math.NaN())
	col := trendColumn{Name: c.name, Count: len(y), Slope: nan, Intercept: nan, R2: nan}
	if len(y) < minTrend {
		return col
	}
	x := make([]float64, 0, len(y))
	for row, v := range c.values {
		if !math.IsNaN(v) {
			x = append(x, float64(row))
		}
	}
	if floats.Min(y) == floats.Max(y) { // exactly; the sums below would round
		col.Slope, col.Intercept = 0, number(y[0])
		return col
	}
	intercept, slope := stat.LinearRegression(x, y, nil, false)
	col.Slope, col.Intercept = number(slope), number(intercept)

	// A missing cell takes the line's own value, which leaves it out of every sum.
	rest, present := make([]float64, len(c.values)), make([]float64, len(c.values))
	for row, v := range c.values {
		if !math.IsNaN(v) {
			rest[row], present[row] = v-(intercept+slope*float64(row)), 1
		}
	}
	mean := stat.Mean(y, nil)
	var total float64 // sum of squares around the mean
	for _, v := range y {
		total += (v - mean) * (v - mean)
	}
	left := floats.Dot(rest, rest)
	if total > 0 && left >= 0 && !math.IsInf(total, 0) {
		col.R2 = number(max(0, 1-left/total))
	}
	if len(y) >= minSeason && left > flat*(total+mean*mean*float64(len(y))) && !math.IsInf(left, 0) {
		col.Season = findSeason(autocorrelation(rest, present), len(y))
	}
	return col
}

// findSeason returns the highest local maximum of the autocorrelation r, whose last
// lag is one beyond those looked at, if it is above 2/sqrt(count), about what noise
// reaches at one lag in forty. Local maximum, because a smooth series resembles
// itself most at the shortest lags.
func findSeason(r []float64, count int) *season {
	var best *season
	least := 2 / math.Sqrt(float64(count))
	for k := 2; k < len(r)-1; k++ {
		if r[k] > least && r[k] > r[k-1] && r[k] >= r[k+1] && (best == nil || r[k] > float64(best.Autocorrelation)) {
			best = &season{Lag: k, Autocorrelation: number(r[k])}
		}
	}
	return best
}

// autocorrelation returns the autocorrelation of e at lags 0 to len(e)/2+1. e has
// mean 0 and is not all 0; present is 1 where e has a value, and 0 where it has none
// and e is 0. With every value there it is sum(e[t]*e[t+k]) / sum(e[t]^2); missing
// ones are made up for by the mean product of the pairs that are there. Without that
// a gap in every fifth row would look like a season of five.
func autocorrelation(e, present []float64) []float64 {
	maxLag := len(e)/2 + 1
	floats.Scale(1/floats.Norm(e, math.Inf(1)), e) // keeps squares in range
	r, pairs := lagSums(e, maxLag), lagSums(present, maxLag)
	for k := range r {
		if n := math.Round(pairs[k]); n > 0 {
			r[k] *= float64(len(e)-k) / n
		} else {
			r[k] = 0
		}
	}
	floats.Scale(1/r[0], r)
	return r
}

// lagSums returns sum(v[t]*v[t+k]) for k = 0..maxLag: through a Fourier transform
// (Wiener-Khinchin), padded with zeros so that the ends do not meet. The plain sums
// of half a million rows are 10^11 products.
func lagSums(v []float64, maxLag int) []float64 {
	n := 1 << bits.Len(uint(len(v)+maxLag)) // a power of two: the transform's fast case
	padded := make([]float64, n)
	copy(padded, v)
	fft := fourier.NewFFT(n)
	c := fft.Coefficients(nil, padded)
	for i, x := range c {
		c[i] = complex(real(x)*real(x)+imag(x)*imag(x), 0)
	}
	sums := fft.Sequence(padded, c)[:maxLag+1]
	floats.Scale(1/float64(n), sums) // the pair of transforms is not normalized
	return sums
}
