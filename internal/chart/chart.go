// Package chart draws plots as SVG inside of a page, and the page around them: one file
// that needs no other, without scripts, for light and dark, for a telephone and for paper.
// The plots are gonum's. Start with [Chart.HTML] and [Page].
package chart

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
)

// Chart is one plot. It is drawn twice, wide and narrow, and the page shows what fits.
type Chart struct {
	Title string
	Alt   string // what it shows, for those who do not see it
	Note  string // below it; may be empty
	X, Y  Axis

	Heat   *Heat // behind everything else; may be nil
	Series []Series
	Spans  []Span
	Tips   []Tip
}

// Axis is from Min to Max. On a logarithmic one both are above 0.
type Axis struct {
	Min, Max float64
	Log      bool
	Ticks    Ticks
}

// Series is a line, or an area. Points are by X, one that is not a number is a gap.
type Series struct {
	Name   string // "" is not in the legend
	Value  string // beside the name
	Colour Colour
	Dashed bool
	Thin   bool
	Points []Point
	Area   bool      // fill between Points and Low
	Low    []float64 // of each point; nil means the axis
}

// Point is a place in the units of the axes.
type Point struct{ X, Y float64 }

// Span is a time in which something was so, marked over the whole height.
type Span struct {
	From, To float64 // To <= From: it began, and that is all
	Label    string  // one or two characters
}

// Tip is what a pointer over a part of the X axis is told.
type Tip struct {
	From, To float64
	Text     string
}

// Heat is a map of counts: Cells[x][y] between Xs[x] and Xs[x+1], and between Ys[y] and
// Ys[y+1].
type Heat struct {
	Name   string // in the legend
	Colour Colour
	Xs, Ys []float64
	Cells  [][]float64
}

//go:embed figure.html
var figureHTML string

var figureTemplate = template.Must(template.New("figure").Parse(figureHTML))

// HTML draws c.
func (c *Chart) HTML() (template.HTML, error) {
	var b bytes.Buffer
	err := figureTemplate.Execute(&b, struct {
		*Chart
		Wide, Narrow template.HTML
	}{c, c.svg("wide", 640, 250), c.svg("narrow", 360, 230)})
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", c.Title, err)
	}
	return template.HTML(b.String()), nil
}
