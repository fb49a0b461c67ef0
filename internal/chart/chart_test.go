package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// TestColours draws every colour in every opacity, and looks for its variable.
func TestColours(t *testing.T) {
	for c := Ink; c <= Bad; c++ {
		for percent := uint8(1); percent <= 100; percent++ {
			canvas := vgsvg.New(10, 10)
			canvas.SetColor(c.at(percent))
			var p vg.Path
			p.Move(vg.Point{})
			p.Line(vg.Point{X: 1, Y: 1})
			canvas.Fill(p)
			var b bytes.Buffer
			if _, err := canvas.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("fill:var(--%s)", c)
			if percent < 100 {
				want += fmt.Sprintf(";fill-opacity:%v", float64(percent)/100)
			}
			if got := restyle(b.String()); !strings.Contains(got, `style="`+want+`"`) {
				t.Fatalf("no %s in %s", want, got)
			}
		}
	}
	if got := restyle(`<text>style=&#34;fill:#EC0064&#34; fill:#EC0064</text>`); strings.Contains(got, "var") {
		t.Errorf("text was taken for a style: %s", got)
	}
}

func sample() *Chart {
	c := &Chart{
		Title: "a <b>", Alt: `a "line" & <a>`, Note: "n", X: TimeAxis(60), Y: NumberAxis(93),
		Series: []Series{
			{Name: "a", Colour: Blue},
			{Name: "b", Colour: Orange, Dashed: true, Points: []Point{{5, 7}}},
			{Name: "c", Colour: Good, Area: true, Points: []Point{{0, 9}, {30, 20}, {60, 10}}, Low: []float64{0, 5, 5}},
		},
		Spans: []Span{{From: 20, To: 25, Label: "1"}, {From: 70, Label: "<2>"}},
		Tips:  []Tip{{From: 0, To: 1, Text: `"<script>`}},
		Heat:  &Heat{Name: "h", Colour: Violet, Xs: []float64{0, 1, 2}, Ys: []float64{1, 10, 100}, Cells: [][]float64{{1, 64}, {0, 3}}},
	}
	for i := range 61 {
		c.Series[0].Points = append(c.Series[0].Points, Point{float64(i), float64(i)})
	}
	c.Series[0].Points[30].Y = math.NaN()
	return c
}

// wellFormed reads an HTML fragment as XML, which ours are.
func wellFormed(t *testing.T, s string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(s))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, s)
		}
	}
}

func TestChart(t *testing.T) {
	html, err := sample().HTML()
	if err != nil {
		t.Fatal(err)
	}
	s := string(html)
	wellFormed(t, s)
	for part, times := range map[string]int{
		"<svg":        2,
		"a &lt;b&gt;": 1,
		"aria-label=\"a &#34;line&#34; &amp; &lt;a": 2,
		"&lt;2&gt;":                            2,
		"<title>&#34;&lt;script&gt;":           2,
		">60 s</text>":                         2,
		"NaN":                                  0,
		"#EC":                                  0,
		"Liberation":                           0,
		"stroke:var(--blue)":                   4, // two runs beside the gap
		"fill:var(--orange)":                   2, // the one point
		"fill:var(--violet);fill-opacity:0.06": 2, // 1 of 64 in a column is the palest shade,
		"fill:var(--violet);fill-opacity:0.41": 2, // and the fullest cell of each column the strongest
	} {
		if got := strings.Count(s, part); got != times {
			t.Errorf("%s is there %d times, want %d", part, got, times)
		}
	}
}

// TestChartOfAnything draws axes and points that no measurement has.
func TestChartOfAnything(t *testing.T) {
	odd := []float64{0, -1, 1e-300, 1, 1e18, 1e300, math.Inf(1), math.Inf(-1), math.NaN()}
	for _, lo := range odd {
		for _, hi := range odd {
			for _, x := range []Axis{TimeAxis(hi), PercentileAxis()} {
				for _, y := range []Axis{NumberAxis(hi), DurationAxis(lo, hi)} {
					c := sample()
					c.X, c.Y = x, y
					c.Series[0].Points = []Point{{lo, hi}, {hi, lo}, {lo, lo}}
					html, err := c.HTML()
					if err != nil {
						t.Fatal(err)
					}
					wellFormed(t, string(html))
					if strings.Contains(string(html), "NaN") || strings.Contains(string(html), "Inf") {
						t.Fatalf("of %v and %v: %s", lo, hi, html)
					}
				}
			}
		}
	}
}

func TestTicks(t *testing.T) {
	labels := func(a Axis, most int) string {
		var all []string
		for _, tick := range a.Ticks.fixed(a, most).Ticks(a.Min, a.Max) {
			if tick.Label != "" {
				all = append(all, tick.Label)
			}
		}
		return strings.Join(all, ", ")
	}
	for _, c := range []struct{ got, want string }{
		{labels(NumberAxis(93), 5), "0, 20, 40, 60, 80, 100"},
		{labels(NumberAxis(0), 5), "0, 0.2, 0.4, 0.6, 0.8, 1"},
		{labels(NumberAxis(120000), 5), "0, 50,000, 100,000, 150,000"},
		{labels(TimeAxis(1), 5), "0 s, 0.2 s, 0.4 s, 0.6 s, 0.8 s, 1 s"},
		{labels(TimeAxis(60), 5), "0 s, 15 s, 30 s, 45 s, 60 s"},
		{labels(TimeAxis(600), 5), "0 min, 2 min, 4 min, 6 min, 8 min, 10 min"},
		{labels(TimeAxis(86400), 5), "0 h, 5 h, 10 h, 15 h, 20 h"},
		{labels(DurationAxis(700, 9000), 5), "500 µs, 1 ms, 2 ms, 5 ms, 10 ms"},
		{labels(DurationAxis(70, 3e6), 5), "100 µs, 1 ms, 10 ms, 100 ms, 1 s"},
		{labels(PercentileAxis(), 5), "50, 90, 99, 99.9, 99.99, 99.999 %"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}

func TestPage(t *testing.T) {
	var b bytes.Buffer
	if err := Page(&b, "<t>", "<p>body</p>"); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"<title>&lt;t&gt;</title>", "<p>body</p>", "default-src 'none'", "prefers-color-scheme: dark"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %s in the page", part)
		}
	}
	if strings.Contains(b.String(), "ZgotmplZ") {
		t.Error("the template refused something")
	}
}

// TestPlaces reads where an area and its bounds are drawn.
func TestPlaces(t *testing.T) {
	c := &Chart{Title: "t", X: TimeAxis(1), Y: NumberAxis(4), Series: []Series{{Colour: Blue, Area: true, Points: []Point{{0, 4}, {1, 4}}, Low: []float64{2, 2}}}}
	svg := string(c.svg("wide", 400, 200))
	var x0, x1, top, x2, low, x3, y1, y2 float64
	_, path, _ := strings.Cut(svg, `<path d="M`)
	for path != "" && !strings.Contains(path[:strings.Index(path, "/>")], "--blue") {
		_, path, _ = strings.Cut(path, `<path d="M`)
	}
	if _, err := fmt.Sscanf(path, "%g,%gL%g,%gL%g,%gL%g,%gZ", &x0, &top, &x1, &y1, &x2, &low, &x3, &y2); err != nil {
		t.Fatalf("%v in %.100s", err, path)
	}
	height := (top - low) * 2 // of the axis: the area is its upper half
	if x0 != x3 || x1 != x2 || top != y1 || low != y2 || x1-x0 < 300 || height < 150 || height > 200 || low-height/2 < 10 || low-height/2 > 30 {
		t.Errorf("an area from (%v, %v) to (%v, %v)", x0, low, x1, top)
	}
}
