package plan

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"

	"gonum.org/v1/plot"

	"ecoin/internal/chart"
)

// bars draws how many nodes each resource asks for.
func (l *Ledger) bars() (template.HTML, error) {
	b := chart.Bars{Title: kindTitle(l.Name) + ": nodes by what they would be needed for alone", Alt: "Nodes of " + kindTitle(l.Name) + " by resource"}
	for _, n := range l.byNodes() {
		b.Bars = append(b.Bars, chart.Bar{Name: n.Resource, Value: number(n.Nodes), Length: n.Nodes, Colour: chart.Blue, Faint: n.Resource != l.DecidedBy})
	}
	return b.HTML()
}

// chart draws the points, the curve and its band.
func (c *Curve) chart() (template.HTML, error) {
	points := slices.Clone(c.Points)
	slices.SortFunc(points, func(a, b Point) int { return cmp.Compare(a.N, b.N) })
	most, highest := points[len(points)-1].N, 0.0
	measured := chart.Series{Name: "measured", Colour: chart.Orange}
	for _, p := range points {
		// A gap on each side makes a dot of a point.
		measured.Points = append(measured.Points, chart.Point{X: p.N, Y: p.Rate}, chart.Point{X: p.N, Y: math.NaN()})
		highest = max(highest, p.Rate)
	}
	band := chart.Series{Name: "95 % band", Colour: chart.Blue, Area: true}
	law := chart.Series{Name: "law", Colour: chart.Blue}
	const steps = 80
	for i := range steps + 1 {
		n := math.Pow(most, float64(i)/steps)
		x := c.At(n)
		law.Points = append(law.Points, chart.Point{X: n, Y: x.Value})
		band.Points, band.Low = append(band.Points, chart.Point{X: n, Y: x.High}), append(band.Low, x.Low)
		highest = max(highest, x.High)
	}
	drawn := chart.Chart{
		Title: "Coins a second, by connections at work",
		Alt:   fmt.Sprintf("The Universal Scalability Law, fitted to %d measured rates with 1 to %s connections", len(points), number(most)),
		Note: fmt.Sprintf("X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)); lambda %s/s, sigma %s, kappa %s, R^2 %s. The band is 95 %% of a bootstrap.",
			number(round(c.Lambda.Value)), number(round(c.Sigma.Value)), number(round(c.Kappa.Value)), number(round(c.R2))),
		X:      chart.Axis{Min: 1, Max: most, Log: true, Ticks: doublings},
		Y:      chart.NumberAxis(highest),
		Series: []chart.Series{band, law, measured},
	}
	return drawn.HTML()
}

// doublings are ticks at powers of two.
func doublings(a chart.Axis, _ int) (ticks plot.ConstantTicks) {
	for n := 1.0; n <= a.Max; n *= 2 {
		ticks = append(ticks, plot.Tick{Value: n, Label: number(n)})
	}
	return ticks
}
