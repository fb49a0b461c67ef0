package compare

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"ecoin/internal/figure"
)

// Places of the figures.
const (
	rate = iota
	p50
	p90
	p99
	p999
	errorShare
	serverCPU
	generatorCPU
	figureCount
)

// quantiles of the figures p50 to p999.
var quantiles = [...]float64{.5, .9, .99, .999}

// A definition is what is compared.
type definition struct {
	name       string
	moreIsGood bool
	difference bool // and not the ratio, because a side may have none
	format     func(float64) string
}

var figures = [figureCount]definition{
	rate:         {name: "Rate, coins/s", moreIsGood: true, format: figure.Number},
	p50:          {name: "p50", format: figure.Microseconds},
	p90:          {name: "p90", format: figure.Microseconds},
	p99:          {name: "p99", format: figure.Microseconds},
	p999:         {name: "p99.9", format: figure.Microseconds},
	errorShare:   {name: "Errors", difference: true, format: figure.Percent},
	serverCPU:    {name: "Server CPU a coin", format: figure.Microseconds},
	generatorCPU: {name: "Generator CPU a request", format: figure.Microseconds},
}

// values are all figures of a side; what is not known is not a number.
type values [figureCount]float64

// compare makes the figure at place i out of both sides and what was drawn from them.
func (d *definition) compare(sides [2]*side, draws [][2]values, i int) Figure {
	f := Figure{Name: d.name, Verdict: Unknown, A: sides[0].whole[i], B: sides[1].whole[i], Difference: d.difference, format: d.format}
	f.Step = d.step(f.A, f.B)
	if math.IsNaN(f.Step) || math.IsInf(f.Step, 0) {
		f.Why = "not known on both sides"
		return f
	}
	if f.Why = doubt(sides, i); f.Why != "" {
		return f
	}
	steps := make([]float64, 0, len(draws)) // of ratios the logarithms, which are as far from 0 whichever side is divided
	for _, pair := range draws {
		s := d.step(pair[0][i], pair[1][i])
		if !d.difference {
			s = math.Log(s)
		}
		if !math.IsNaN(s) && !math.IsInf(s, 0) {
			steps = append(steps, s)
		}
	}
	if len(steps) < len(draws)*99/100 {
		f.Why = "some seconds have none of it"
		return f
	}
	slices.Sort(steps)
	widening := max(sides[0].widening(), sides[1].widening())
	middle := stat.Quantile(.5, stat.Empirical, steps, nil)
	f.Low = middle - widening*(middle-stat.Quantile(.025, stat.Empirical, steps, nil))
	f.High = middle + widening*(stat.Quantile(.975, stat.Empirical, steps, nil)-middle)
	switch {
	case f.Low <= 0 && 0 <= f.High:
		f.Verdict = NotShown
	case (f.Low > 0) == d.moreIsGood:
		f.Verdict = Better
	default:
		f.Verdict = Worse
	}
	if !d.difference {
		f.Low, f.High = math.Exp(f.Low), math.Exp(f.High)
	}
	return f
}

func (d *definition) step(a, b float64) float64 {
	if d.difference {
		return b - a
	}
	return b / a
}

// doubt is why there can be no interval.
func doubt(sides [2]*side, i int) string {
	for _, s := range sides {
		if why := s.why[i]; why != "" {
			return why
		}
	}
	return ""
}

// step writes a ratio as it is, and a difference in percentage points.
func (f *Figure) step(v float64) string {
	if f.Difference {
		return fmt.Sprintf("%+.3g pp", v*100)
	}
	return fmt.Sprintf("%.3f", v)
}

// ValueA and ValueB are the values as text, Change and Interval what is between them; "-" is
// what is not known.
func (f *Figure) ValueA() string { return f.value(f.A) }

// ValueB is ValueA for the other side.
func (f *Figure) ValueB() string { return f.value(f.B) }

func (f *Figure) value(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return f.format(v)
}

// Change is the ratio, or the difference in percentage points.
func (f *Figure) Change() string {
	if math.IsNaN(f.Step) || math.IsInf(f.Step, 0) {
		return "-"
	}
	return f.step(f.Step)
}

// Interval is that of Change, or why there is none.
func (f *Figure) Interval() string {
	if f.Why != "" {
		return f.Why
	}
	return f.step(f.Low) + " to " + f.step(f.High)
}
