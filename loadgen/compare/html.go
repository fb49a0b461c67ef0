package compare

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"ecoin/internal/chart"
	"ecoin/internal/columns"
	"ecoin/internal/figure"
	"ecoin/loadgen/report"
	"ecoin/loadgen/result"
)

//go:embed compare.html
var compareHTML string

var compareTemplate = template.Must(template.New("compare").Parse(compareHTML))

// HTML writes the comparison as one file, in the style of a run's report.
func (c *Comparison) HTML(w io.Writer) error {
	p := struct {
		Level    columns.Level
		Verdict  string
		Workload string
		Notes    []string
		Figures  []row
		Charts   []template.HTML
		Runs     []runRow
	}{Level: c.level(), Verdict: c.verdict(), Workload: figure.Printable(c.A[0].Setup.Workload), Figures: c.rows()}
	for _, n := range c.Notes {
		p.Notes = append(p.Notes, figure.Printable(n))
	}
	c.each(func(label string, r *Run) {
		p.Runs = append(p.Runs, runRow{label, figure.Printable(r.Name), r.Started.UTC().Format("2006-01-02 15:04:05 UTC"),
			figure.Seconds(r.Took), figure.Number(r.GoodRate()), figure.Printable(r.Machine), figure.Printable(r.Command)})
	})
	for _, chart := range []*chart.Chart{c.percentiles(), c.throughput()} {
		h, err := chart.HTML()
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		p.Charts = append(p.Charts, h)
	}
	var body bytes.Buffer
	if err := compareTemplate.Execute(&body, &p); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	return chart.Page(w, "Load compared: "+p.Workload, template.HTML(body.String()))
}

type runRow struct{ Label, Name, Started, Took, Rate, Machine, Command string }

// row is a figure, and its interval as a line from 0 to 100.
type row struct {
	*Figure
	Class           string
	Drawn           bool
	Low, Mid, Width float64
}

func (c *Comparison) rows() []row {
	classes := map[Verdict]string{Better: "good", Worse: "bad", NotShown: "quiet", Unknown: "quiet"}
	far := math.Log(1.05) // the furthest end of an interval
	for i := range c.Figures {
		if f := &c.Figures[i]; f.drawable() {
			far = max(far, math.Abs(math.Log(f.Low)), math.Abs(math.Log(f.High)), math.Abs(math.Log(f.Step)))
		}
	}
	far = min(far, math.Log(100))
	place := func(ratio float64) float64 { return 50 + 48*min(max(math.Log(ratio)/far, -1), 1) }
	rows := make([]row, len(c.Figures))
	for i := range c.Figures {
		f := &c.Figures[i]
		rows[i] = row{Figure: f, Class: classes[f.Verdict]}
		if f.drawable() {
			rows[i].Drawn, rows[i].Low, rows[i].Mid = true, place(f.Low), place(f.Step)
			rows[i].Width = max(place(f.High)-place(f.Low), .5)
		}
	}
	return rows
}

// drawable says whether the interval has a place on an axis of ratios.
func (f *Figure) drawable() bool { return f.Why == "" && !f.Difference && f.Low > 0 && f.Step > 0 }

// colours of the sides.
var colours = [2]chart.Colour{chart.Blue, chart.Orange}

func (c *Comparison) percentiles() *chart.Chart {
	var series []chart.Series
	lowest, highest := math.Inf(1), 1.0
	for s, side := range [][]Run{c.A, c.B} {
		var all result.Latency
		for i := range side {
			all.Merge(&total(side[i].Run).Response)
		}
		points := report.PercentileCurve(&all)
		for _, p := range points {
			lowest, highest = min(lowest, p.Y), max(highest, p.Y)
		}
		series = append(series, chart.Series{Name: string(rune('A' + s)), Value: p99Of(&all), Colour: colours[s], Dashed: s == 1, Points: points})
	}
	return &chart.Chart{
		Title: "Response time by percentile",
		Alt:   fmt.Sprintf("Response time over percentile, %s of A and %s of B.", series[0].Value, series[1].Value),
		Note:  report.PercentileNote, X: chart.PercentileAxis(), Y: chart.DurationAxis(lowest, highest), Series: series,
	}
}

func p99Of(l *result.Latency) string {
	if l.Count() == 0 {
		return "no answer"
	}
	return "p99 " + figure.Duration(l.Quantile(.99))
}

func (c *Comparison) throughput() *chart.Chart {
	ch := &chart.Chart{Title: "Coins a second", Note: "Each run from its own start."}
	longest, highest := 0.0, 0.0
	for s, side := range [][]Run{c.A, c.B} {
		for i := range side {
			points, length := report.ThroughputBins(side[i].Run)
			longest = max(longest, length)
			for _, p := range points {
				highest = max(highest, p.Y)
			}
			line := chart.Series{Colour: colours[s], Thin: len(side) > 1, Dashed: s == 1, Points: points}
			if i == 0 {
				line.Name = string(rune('A' + s))
			}
			ch.Series = append(ch.Series, line)
		}
	}
	ch.Alt = fmt.Sprintf("Coins a second over time, %s of A and %s of B.", c.Figures[rate].ValueA(), c.Figures[rate].ValueB())
	ch.X, ch.Y = chart.TimeAxis(longest), chart.NumberAxis(highest)
	return ch
}
