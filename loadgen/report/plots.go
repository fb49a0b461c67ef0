package report

import (
	"fmt"
	"html/template"
	"math"
	"time"

	"ecoin/internal/chart"
	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// PercentileCurve is how long the answers up to a percentile took, in microseconds over
// 1/(1-percentile), as far as there are answers.
func PercentileCurve(l *result.Latency) []chart.Point {
	var points []chart.Point
	n := float64(l.Count())
	for x := 2.0; x <= 1.0001e5 && x <= n; x *= math.Pow(10, 1./40) {
		points = append(points, chart.Point{X: x, Y: microseconds(l.Quantile(1 - 1/x))})
	}
	return points
}

// PercentileNote explains the axis of percentile plots.
const PercentileNote = "At 99 %, one answer of a hundred took longer than that. A curve ends where there are no more answers."

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// ThroughputBins returns the coins a second of a run, for a plot over time, and its length in
// seconds.
func ThroughputBins(r *result.Run) ([]chart.Point, float64) {
	bins := timeline(r.Seconds)
	return steps(bins, func(b *bin) float64 { return b.coins }), length(bins)
}

func length(bins []bin) float64 {
	if len(bins) == 0 {
		return 0
	}
	return bins[len(bins)-1].to
}

// plots are the charts of a run.
type plots struct {
	r     *result.Run
	all   result.Kind
	bins  []bin
	x     chart.Axis
	spans []chart.Span
}

func newPlots(r *result.Run) *plots {
	p := &plots{r: r, all: r.Total(), bins: timeline(r.Seconds)}
	p.x = chart.TimeAxis(length(p.bins))
	for i := range r.Faults {
		f := &r.Faults[i]
		s := chart.Span{From: f.At, To: f.At + f.RecoveryS, Label: fmt.Sprint(i + 1)}
		if f.RecoveryS < 0 {
			s.To = p.x.Max
		}
		p.spans = append(p.spans, s)
	}
	return p
}

// overTime returns a chart with the faults, and a tip on each of its bins.
func (p *plots) overTime(c chart.Chart, tip func(*bin) string) *chart.Chart {
	c.X, c.Spans = p.x, p.spans
	for i := range p.bins {
		b := &p.bins[i]
		when := "at " + figure.Seconds(b.from)
		if b.to-b.from > 1 {
			when = figure.Seconds(b.from) + " to " + figure.Seconds(b.to)
		}
		c.Tips = append(c.Tips, chart.Tip{From: b.from, To: b.to, Text: when + ": " + tip(b)})
	}
	return &c
}

func (p *plots) percentiles() *chart.Chart {
	response, service := PercentileCurve(&p.all.Response), PercentileCurve(&p.all.Service)
	c := &chart.Chart{
		Title: "Latency by percentile",
		Alt: fmt.Sprintf("Latency over percentile. Response time: p50 %s, p99 %s, longest %s. Service time: p50 %s, p99 %s, longest %s.",
			at(&p.all.Response, .5), at(&p.all.Response, .99), at(&p.all.Response, 1), at(&p.all.Service, .5), at(&p.all.Service, .99), at(&p.all.Service, 1)),
		Note: PercentileNote,
		X:    chart.PercentileAxis(),
		Y:    chart.DurationAxis(lowest(response, service), highest(response, service)),
	}
	if n := min(len(response), len(service)); n > 0 {
		wait := chart.Series{Name: "waited to be sent", Colour: chart.Orange, Area: true, Points: response[:n]}
		for _, s := range service[:n] {
			wait.Low = append(wait.Low, s.Y)
		}
		c.Series = append(c.Series, wait)
	}
	c.Series = append(c.Series,
		chart.Series{Name: "response time, from the planned send", Colour: chart.Blue, Points: response},
		chart.Series{Name: "service time, from the actual send", Colour: chart.Teal, Dashed: true, Points: service})
	for i := range response {
		text := fmt.Sprintf("%s: response %s", figure.Percent(1-1/response[i].X), figure.Microseconds(response[i].Y))
		if i < len(service) {
			text += ", service " + figure.Microseconds(service[i].Y)
		}
		width := math.Pow(10, 1./80)
		c.Tips = append(c.Tips, chart.Tip{From: response[i].X / width, To: response[i].X * width, Text: text})
	}
	return c
}

// byKind is nil where there is one kind of request.
func (p *plots) byKind() *chart.Chart {
	if len(p.r.Kinds) < 2 {
		return nil
	}
	c := &chart.Chart{Title: "Response time by kind", Note: PercentileNote, X: chart.PercentileAxis()}
	colours := []chart.Colour{chart.Blue, chart.Orange, chart.Teal, chart.Violet}
	var curves [][]chart.Point
	c.Alt = "Response time over percentile."
	for i := range p.r.Kinds {
		k := &p.r.Kinds[i]
		points := PercentileCurve(&k.Response)
		curves = append(curves, points)
		c.Series = append(c.Series, chart.Series{Name: k.Name, Value: "p99 " + at(&k.Response, .99), Colour: colours[i%len(colours)], Dashed: i%2 == 1, Points: points})
		c.Alt += fmt.Sprintf(" %s: p50 %s, p99 %s, longest %s.", k.Name, at(&k.Response, .5), at(&k.Response, .99), at(&k.Response, 1))
	}
	c.Y = chart.DurationAxis(lowest(curves...), highest(curves...))
	return c
}

// lowest is the smallest value of all points, 1 of none.
func lowest(all ...[]chart.Point) float64 {
	low := math.Inf(1)
	for _, points := range all {
		for _, p := range points {
			if p.Y < low {
				low = p.Y
			}
		}
	}
	if math.IsInf(low, 1) {
		return 1
	}
	return low
}

func (p *plots) throughput() *chart.Chart {
	planned := steps(p.bins, func(b *bin) float64 { return b.planned })
	ok := steps(p.bins, func(b *bin) float64 { return b.ok })
	refused := steps(p.bins, func(b *bin) float64 { return b.ok + b.refused })
	bad := steps(p.bins, func(b *bin) float64 { return b.ok + b.refused + b.bad })
	lows := func(points []chart.Point) []float64 {
		low := make([]float64, 0, len(points))
		for _, q := range points {
			low = append(low, q.Y)
		}
		return low
	}
	a := &p.all
	return p.overTime(chart.Chart{
		Title: "Requests a second",
		Alt: fmt.Sprintf("Requests a second over time: %s planned, %s good, %s refused, %s failed or skipped.",
			figure.Count(a.Planned), figure.Count(a.OK), figure.Count(a.Refused), figure.Count(a.Failed+a.Skipped)),
		Note: "Planned requests count when they should leave, answers when they come, so those that waited stand above the plan.",
		Y:    chart.NumberAxis(highest(planned, bad)),
		Series: []chart.Series{
			{Name: "good", Value: figure.Count(a.OK), Colour: chart.Good, Area: true, Points: ok},
			{Name: "refused", Value: figure.Count(a.Refused), Colour: chart.Warn, Area: true, Points: refused, Low: lows(ok)},
			{Name: "failed or skipped", Value: figure.Count(a.Failed + a.Skipped), Colour: chart.Bad, Area: true, Points: bad, Low: lows(refused)},
			{Name: "planned", Value: figure.Count(a.Planned), Colour: chart.Ink, Dashed: true, Thin: true, Points: planned},
		},
	}, func(b *bin) string {
		return fmt.Sprintf("%s planned, %s good, %s refused, %s failed or skipped", figure.Number(b.planned), figure.Number(b.ok), figure.Number(b.refused), figure.Number(b.bad))
	})
}

func (p *plots) latency() *chart.Chart {
	of := func(q float64) func(*bin) float64 {
		return func(b *bin) float64 {
			switch {
			case b.response.Count() == 0:
				return math.NaN()
			case q == 1:
				return microseconds(b.response.Max())
			}
			return microseconds(b.response.Quantile(q))
		}
	}
	p50, p99, longest := middles(p.bins, of(.5)), middles(p.bins, of(.99)), middles(p.bins, of(1))
	low := math.Inf(1)
	for i := range p.bins {
		if r := &p.bins[i].response; r.Count() > 0 {
			low = min(low, microseconds(r.Quantile(0)))
		}
	}
	if math.IsInf(low, 1) {
		low = 1
	}
	y := chart.DurationAxis(low, highest(longest))
	c := p.overTime(chart.Chart{
		Title: "Response time",
		Alt: fmt.Sprintf("Response time over time, as a heat map with p50, p99 and the longest. Of the whole run: p50 %s, p99 %s, longest %s.",
			at(&p.all.Response, .5), at(&p.all.Response, .99), at(&p.all.Response, 1)),
		Note: "By the second in which the answer came. The stronger the colour, the more of them took so long.",
		Y:    y,
		Series: []chart.Series{
			{Name: "longest", Colour: chart.Quiet, Thin: true, Dashed: true, Points: longest},
			{Name: "p99", Colour: chart.Orange, Points: p99},
			{Name: "p50", Colour: chart.Ink, Points: p50},
		},
	}, func(b *bin) string {
		if b.response.Count() == 0 {
			return "no answer"
		}
		return fmt.Sprintf("p50 %s, p99 %s, longest %s", at(&b.response, .5), at(&b.response, .99), at(&b.response, 1))
	})
	c.Heat = heat(p.bins, y.Min, y.Max)
	return c
}

func (p *plots) lag() *chart.Chart {
	lag := steps(p.bins, func(b *bin) float64 { return max(b.lagMaxUs, 1) })
	return p.overTime(chart.Chart{
		Title:  "Send lag of the generator",
		Alt:    fmt.Sprintf("Longest send lag in each second. Of the whole run: p99 %s, longest %s.", at(&p.r.Generator.Lag, .99), at(&p.r.Generator.Lag, 1)),
		Note:   "How late a request left that no busy connection explains. As long as this is small, the latencies are the server's.",
		Y:      chart.DurationAxis(lowest(lag), highest(lag)),
		Series: []chart.Series{{Name: "longest in each second", Colour: chart.Violet, Points: lag}},
	}, func(b *bin) string { return "at most " + figure.Microseconds(b.lagMaxUs) })
}

func (p *plots) inFlight() *chart.Chart {
	waiting := steps(p.bins, func(b *bin) float64 { return b.inFlight })
	return p.overTime(chart.Chart{
		Title:  "Requests under way",
		Alt:    fmt.Sprintf("Requests under way at the end of each second, at most %s.", figure.Number(highest(waiting))),
		Note:   "Sent and not answered yet, at the end of each second.",
		Y:      chart.NumberAxis(highest(waiting)),
		Series: []chart.Series{{Name: "requests", Colour: chart.Teal, Points: waiting}},
	}, func(b *bin) string { return figure.Number(b.inFlight) + " requests" })
}

// cpu is nil where the server's CPU time is not known.
func (p *plots) cpu() *chart.Chart {
	cores := steps(p.bins, func(b *bin) float64 { return b.cores })
	if highest(cores) == 0 {
		return nil
	}
	c := chart.Chart{
		Title:  "CPU of the server",
		Alt:    fmt.Sprintf("Cores that the server used in each second, at most %s.", figure.Number(highest(cores))),
		Y:      chart.NumberAxis(highest(cores)),
		Series: []chart.Series{{Name: "cores", Colour: chart.Blue, Points: cores}},
	}
	if p.r.Server != nil {
		c.Note = "On average " + figure.Microseconds(p.r.Server.CPUUs) + " a coin."
	}
	return p.overTime(c, func(b *bin) string { return figure.Number(b.cores) + " cores" })
}

// html draws the charts that there are.
func (p *plots) html() ([]template.HTML, error) {
	var out []template.HTML
	for _, c := range []*chart.Chart{p.percentiles(), p.throughput(), p.latency(), p.byKind(), p.lag(), p.inFlight(), p.cpu()} {
		if c == nil {
			continue
		}
		h, err := c.HTML()
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}
