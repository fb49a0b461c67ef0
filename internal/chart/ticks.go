package chart

import (
	"math"
	"time"

	"gonum.org/v1/plot"

	"ecoin/internal/figure"
)

// Ticks finds the ticks of an axis, about most of them with a label.
type Ticks func(a Axis, most int) plot.ConstantTicks

func (t Ticks) fixed(a Axis, most int) plot.Ticker { return t(a, max(most, 2)) }

// numbers are ticks at round numbers.
func numbers(a Axis, most int) plot.ConstantTicks {
	return linear(a, roundStep((a.Max-a.Min)/float64(most)), figure.Number)
}

// roundStep is the next step of 1, 2 or 5 times a power of ten.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}

// roundUp is the next number at which an axis may end: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a
// power of ten. What is not above 0 becomes 1.
func roundUp(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}

func linear(a Axis, step float64, label func(float64) string) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for i := math.Ceil(a.Min / step); i*step <= a.Max*(1+1e-9) && len(ticks) < 100; i++ {
		ticks = append(ticks, plot.Tick{Value: min(i*step, a.Max), Label: label(i * step)})
	}
	return ticks
}

// times are ticks of seconds since the start.
func times(a Axis, most int) plot.ConstantTicks {
	wanted := (a.Max - a.Min) / float64(most)
	step := roundStep(wanted)
	if wanted > 1 {
		for _, s := range []float64{2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600} {
			if step = s; s >= wanted {
				break
			}
		}
		if step < wanted {
			step = 3600 * roundStep(wanted/3600)
		}
	}
	return linear(a, step, func(v float64) string {
		switch {
		case step >= 3600:
			return figure.Number(v/3600) + " h"
		case step >= 60:
			return figure.Number(v/60) + " min"
		}
		return figure.Number(v) + " s"
	})
}

// durations are ticks of a logarithmic axis in microseconds.
func durations(a Axis, most int) plot.ConstantTicks {
	decades := math.Log10(a.Max / a.Min)
	var ticks plot.ConstantTicks
	for power := math.Pow(10, math.Floor(math.Log10(a.Min)+1e-9)); power <= a.Max*1.0001 && len(ticks) < 100; power *= 10 {
		for f := 1.0; f < 10; f++ {
			v := f * power
			if v < a.Min*.9999 || v > a.Max*1.0001 {
				continue
			}
			t := plot.Tick{Value: min(max(v, a.Min), a.Max)}
			if f == 1 || decades < 2.5 && (f == 2 || f == 5) {
				t.Label = figure.Duration(time.Duration(math.Round(v * 1e3)))
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// DurationAxis is a logarithmic axis for values from lo to hi microseconds, whatever
// they are.
func DurationAxis(lo, hi float64) Axis {
	if !(lo >= 1) {
		lo = 1
	}
	if !(hi > lo) {
		hi = lo
	}
	lo, hi = min(lo, 1e10), min(hi, 1e10)
	a := Axis{Log: true, Ticks: durations, Min: roundDown(lo)}
	a.Max = max(roundUp(hi*1.02), a.Min*5)
	return a
}

// roundDown is the last 1, 2 or 5 times a power of ten.
func roundDown(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{5, 2} {
		if f*power <= v {
			return f * power
		}
	}
	return power
}

// NumberAxis is from 0 to hi, or a bit more.
func NumberAxis(hi float64) Axis { return Axis{Max: roundUp(hi), Ticks: numbers} }

// TimeAxis is from 0 to length seconds.
func TimeAxis(length float64) Axis {
	if !(length > 0) || length > 1e9 {
		length = 1
	}
	return Axis{Max: length, Ticks: times}
}

// PercentileAxis is for 1/(1-percentile), from 2 (50 %) to 1e5 (99.999 %).
func PercentileAxis() Axis {
	return Axis{Min: 2, Max: 1e5, Log: true, Ticks: percentiles}
}

func percentiles(Axis, int) plot.ConstantTicks {
	return plot.ConstantTicks{{Value: 2, Label: "50"}, {Value: 10, Label: "90"}, {Value: 100, Label: "99"},
		{Value: 1e3, Label: "99.9"}, {Value: 1e4, Label: "99.99"}, {Value: 1e5, Label: "99.999 %"}}
}
