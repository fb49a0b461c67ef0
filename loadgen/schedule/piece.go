package schedule

import (
	"math"
	"sort"
)

// row says that from a moment on, in seconds, the rate is so many sends a second.
type row struct{ at, rate float64 }

// piece is a stretch of a schedule in which the rate is a straight line. Times are
// seconds since the start of the run.
type piece struct {
	start, end  float64
	rate, slope float64 // at start, and by how much a second it grows
	before      float64 // the integral of the rate until start
}

// straight returns pieces of even rates, each row's times factor until the next row. The
// last row is the end. Where the first begins later than the run, nothing is sent until then.
func straight(rows []row, factor float64) []piece {
	pieces := make([]piece, 0, len(rows))
	if rows[0].at > 0 {
		pieces = append(pieces, piece{end: rows[0].at})
	}
	sum, lost := 0.0, 0.0 // Kahan's sum: a trace may have millions of rows
	for i := range len(rows) - 1 {
		p := piece{start: rows[i].at, end: rows[i+1].at, rate: rows[i].rate * factor, before: sum}
		pieces = append(pieces, p)
		add := p.rate*(p.end-p.start) - lost
		next := sum + add
		sum, lost = next, (next-sum)-add
	}
	return pieces
}

// during returns the piece that a moment is in, false after the last.
func during(pieces []piece, t float64) (piece, bool) {
	i := sort.Search(len(pieces), func(i int) bool { return pieces[i].end > t })
	if i == len(pieces) {
		return piece{}, false
	}
	return pieces[i], true
}

// integral returns how many sends are planned until t, which is in p.
func (p *piece) integral(t float64) float64 {
	d := t - p.start
	return p.before + d*(p.rate+p.slope*d/2)
}

// at returns when the integral reaches k, which it does in p.
func (p *piece) at(k float64) float64 {
	d := k - p.before
	switch {
	case d <= 0:
		return p.start
	case p.slope == 0:
		return min(p.start+d/p.rate, p.end)
	}
	// The root of slope/2 t² + rate t = d that does not cancel.
	return min(p.start+2*d/(p.rate+math.Sqrt(max(0, p.rate*p.rate+2*p.slope*d))), p.end)
}
