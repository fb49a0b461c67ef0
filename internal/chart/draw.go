package chart

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// textSize is that of an axis, in the SVG's own units.
const textSize = 11

// svg draws c with a size in the SVG's own units.
func (c *Chart) svg(class string, width, height float64) template.HTML {
	p := c.plot(width, height)
	return inline(p, class, c.Alt, width, height, func(out *strings.Builder, area draw.Canvas) { c.tips(out, p, area, height) })
}

// inline returns a plot as a part of a page; more adds to it.
func inline(p *plot.Plot, class, alt string, width, height float64, more func(out *strings.Builder, area draw.Canvas)) template.HTML {
	canvas := vgsvg.New(vg.Length(width), vg.Length(height))
	area := draw.Crop(draw.New(canvas), 0, -12, 0, -2) // a viewer's font may be wider than gonum's
	p.Draw(area)
	var b bytes.Buffer
	_, _ = canvas.WriteTo(&b) // a buffer fails never
	_, body, _ := strings.Cut(b.String(), "xlink\">")
	body = strings.TrimSuffix(strings.TrimSpace(body), "</svg>")
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="%s" viewBox="0 0 %g %g" role="img" aria-label="%s">`, class, width, height, html.EscapeString(alt))
	out.WriteString(restyle(body))
	more(&out, area)
	out.WriteString("</svg>")
	return template.HTML(out.String())
}

func (c *Chart) plot(width, height float64) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Tick.Marker = c.X.Ticks.fixed(c.X, int(width/64))
	p.Y.Tick.Marker = c.Y.Ticks.fixed(c.Y, int(height/36))
	for axis, from := range map[*plot.Axis]Axis{&p.X: c.X, &p.Y: c.Y} {
		axis.Min, axis.Max = from.Min, from.Max
		if from.Log {
			axis.Scale = plot.LogScale{}
		}
		axis.Padding = 0
		axis.LineStyle.Color, axis.LineStyle.Width = Line.at(100), 1
		axis.Tick.LineStyle.Color, axis.Tick.LineStyle.Width = Line.at(100), 1
		axis.Tick.Length = 4
		style(&axis.Tick.Label)
	}
	p.X.Padding = 3
	p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width, p.Y.Tick.Length = 0, 0, 9 // labels get room instead
	p.Add(drawn(c.grid))
	if c.Heat != nil {
		p.Add(drawn(c.Heat.draw))
	}
	for i := range c.Series {
		p.Add(drawn(c.Series[i].draw))
	}
	p.Add(drawn(c.spans))
	return p
}

func style(s *text.Style) {
	s.Color = Quiet.at(100)
	s.Font = font.From(plot.DefaultFont, textSize)
	s.Font.Variant = "Sans"
}

// view is where a plotter draws, and how its units become places.
type view struct {
	draw.Canvas
	p    *plot.Plot
	x, y func(float64) vg.Length
}

// drawn is a function as gonum's plotter.
type drawn func(v *view)

// Plot implements plot.Plotter.
func (d drawn) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	d(&view{c, p, x, y})
}

// place returns where a point is, inside of the axes.
func (v *view) place(x, y float64) vg.Point {
	x, y = min(max(x, v.p.X.Min), v.p.X.Max), min(max(y, v.p.Y.Min), v.p.Y.Max)
	return vg.Point{X: v.x(x), Y: v.y(y)}
}

func (c *Chart) grid(v *view) {
	sty := draw.LineStyle{Color: Grid.at(100), Width: 1}
	for _, t := range v.p.Y.Tick.Marker.Ticks(v.p.Y.Min, v.p.Y.Max) {
		if !t.IsMinor() {
			v.StrokeLine2(sty, v.Min.X, v.y(t.Value), v.Max.X, v.y(t.Value))
		}
	}
}

func (s *Series) draw(v *view) {
	for from := 0; from < len(s.Points); {
		to := from
		for to < len(s.Points) && !math.IsNaN(s.Points[to].X+s.Points[to].Y) {
			to++
		}
		if to > from {
			s.run(v, from, to)
		}
		from = to + 1
	}
}

// run draws points without a gap.
func (s *Series) run(v *view, from, to int) {
	points := make([]vg.Point, 0, 2*(to-from))
	for _, p := range s.Points[from:to] {
		points = append(points, v.place(p.X, p.Y))
	}
	if s.Area {
		for i := to - 1; i >= from; i-- {
			low := v.p.Y.Min
			if s.Low != nil {
				low = s.Low[i]
			}
			points = append(points, v.place(s.Points[i].X, low))
		}
		v.FillPolygon(s.Colour.at(30), points)
		return
	}
	sty := draw.LineStyle{Color: s.Colour.at(100), Width: 1.8}
	if s.Thin {
		sty.Width = 1.1
	}
	if s.Dashed {
		sty.Dashes = []vg.Length{5, 3}
	}
	if len(points) == 1 { // a line of one point would not be seen
		v.DrawGlyph(draw.GlyphStyle{Color: sty.Color, Radius: 2, Shape: draw.CircleGlyph{}}, points[0])
		return
	}
	v.StrokeLines(sty, points)
}

func (c *Chart) spans(v *view) {
	label := v.p.X.Tick.Label
	label.Color, label.XAlign, label.YAlign = Ink.at(100), text.XLeft, text.YTop
	for _, s := range c.Spans {
		from, to := v.place(s.From, 0).X, v.place(s.To, 0).X
		if s.To > s.From {
			v.FillPolygon(Ink.at(8), []vg.Point{{X: from, Y: v.Min.Y}, {X: to, Y: v.Min.Y}, {X: to, Y: v.Max.Y}, {X: from, Y: v.Max.Y}})
		}
		v.StrokeLine2(draw.LineStyle{Color: Ink.at(100), Width: 1.2, Dashes: []vg.Length{2, 2}}, from, v.Min.Y, from, v.Max.Y)
		v.FillText(label, vg.Point{X: from + 3, Y: v.Max.Y - 1}, s.Label)
	}
}

// tips writes invisible parts with titles, which browsers show to a pointer.
func (c *Chart) tips(out *strings.Builder, p *plot.Plot, area draw.Canvas, height float64) {
	if len(c.Tips) == 0 {
		return
	}
	data := p.DataCanvas(area)
	x, _ := p.Transforms(&data)
	inside := func(v float64) float64 { return x(min(max(v, p.X.Min), p.X.Max)).Points() }
	out.WriteString(`<g class="tips">`)
	for _, t := range c.Tips {
		from, to := inside(t.From), inside(t.To)
		fmt.Fprintf(out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			from, height-data.Max.Y.Points(), to-from, (data.Max.Y - data.Min.Y).Points(), html.EscapeString(t.Text))
	}
	out.WriteString("</g>")
}
