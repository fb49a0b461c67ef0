package report

import (
	"math"

	"ecoin/internal/chart"
	"ecoin/loadgen/result"
)

// mostBins is how many points a plot over time has at most.
const mostBins = 240

// A bin is some neighbouring seconds of a run; counts are a second.
type bin struct {
	from, to                         float64 // seconds since the start
	planned, ok, refused, bad, coins float64
	inFlight, lagMaxUs, cores        float64 // the highest; the server's cores are an average
	response                         result.Latency
}

// timeline puts the seconds of a run into at most mostBins bins of equal length.
func timeline(seconds []result.Second) []bin {
	size := (len(seconds) + mostBins - 1) / mostBins
	trusted := trustworthy(seconds)
	var bins []bin
	for i := 0; i < len(seconds); i += size {
		part := seconds[i:min(i+size, len(seconds))]
		n := float64(len(part))
		b := bin{from: float64(i), to: float64(i) + n}
		if trusted {
			b.from, b.to = part[0].At, part[len(part)-1].At+1
		}
		for k := range part {
			s := &part[k]
			b.planned += float64(s.Planned) / n
			b.ok += float64(s.OK) / n
			b.refused += float64(s.Refused) / n
			b.bad += float64(s.Failed) / n
			b.coins += float64(s.Coins) / n
			b.cores += s.CPU / n
			b.inFlight = max(b.inFlight, float64(s.InFlight))
			b.lagMaxUs = max(b.lagMaxUs, float64(s.LagMaxUs))
			b.response.Merge(&s.Response)
		}
		bins = append(bins, b)
	}
	return bins
}

// trustworthy says whether the times of seconds are such that they can be an axis.
func trustworthy(seconds []result.Second) bool {
	last := math.Inf(-1)
	for i := range seconds {
		at := seconds[i].At
		if !(at >= 0) || at > 1e8 || at < last {
			return false
		}
		last = at
	}
	return true
}

// steps are the points of a value that holds for the length of each bin.
func steps(bins []bin, value func(*bin) float64) []chart.Point {
	points := make([]chart.Point, 0, 2*len(bins))
	for i := range bins {
		v := value(&bins[i])
		points = append(points, chart.Point{X: bins[i].from, Y: v}, chart.Point{X: bins[i].to, Y: v})
	}
	return points
}

// middles are points in the middle of each bin.
func middles(bins []bin, value func(*bin) float64) []chart.Point {
	points := make([]chart.Point, 0, len(bins))
	for i := range bins {
		points = append(points, chart.Point{X: (bins[i].from + bins[i].to) / 2, Y: value(&bins[i])})
	}
	return points
}

// highest is the largest value of all points, 0 of none.
func highest(all ...[]chart.Point) float64 {
	top := 0.0
	for _, points := range all {
		for _, p := range points {
			if p.Y > top {
				top = p.Y
			}
		}
	}
	return top
}

// heat counts the response times of each bin by their length, on a logarithmic scale from lo
// to hi microseconds.
func heat(bins []bin, lo, hi float64) *chart.Heat {
	const rowsPerDecade = 12
	h := &chart.Heat{Name: "share of the answers", Colour: chart.Blue}
	rows := max(int(math.Ceil(math.Log10(hi/lo)*rowsPerDecade)), 1)
	for i := range rows + 1 {
		h.Ys = append(h.Ys, lo*math.Pow(10, float64(i)/rowsPerDecade))
	}
	for i := range bins {
		b := &bins[i]
		h.Xs = append(h.Xs, b.from)
		column := make([]float64, rows)
		for _, bar := range b.response.Histogram().Distribution() {
			if bar.Count > 0 {
				row := int(math.Log10(float64(max(bar.From, 1))/lo) * rowsPerDecade)
				column[min(max(row, 0), rows-1)] += float64(bar.Count)
			}
		}
		h.Cells = append(h.Cells, column)
	}
	if len(bins) > 0 {
		h.Xs = append(h.Xs, bins[len(bins)-1].to)
	}
	return h
}
