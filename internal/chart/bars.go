package chart

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bars is a plot of bars that lie under each other, the first on top. It is drawn twice,
// as a [Chart] is.
type Bars struct {
	Title string
	Alt   string // what it shows, for those who do not see it
	Note  string // below it; may be empty
	Bars  []Bar
}

// Bar is one of them.
type Bar struct {
	Name   string  // beside it
	Value  string  // at its end
	Length float64 // not negative
	Colour Colour
	Faint  bool
}

// HTML draws b.
func (b *Bars) HTML() (template.HTML, error) {
	var out bytes.Buffer
	height := float64(len(b.Bars))*barHeight + 4
	err := figureTemplate.Execute(&out, struct {
		*Chart
		Wide, Narrow template.HTML
	}{&Chart{Title: b.Title, Note: b.Note}, b.svg("wide", 640, height), b.svg("narrow", 360, height)})
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", b.Title, err)
	}
	return template.HTML(out.String()), nil
}

// barHeight is that of a bar and the room around it.
const barHeight = 26

func (b *Bars) svg(class string, width, height float64) template.HTML {
	p := plot.New()
	p.BackgroundColor = nil
	p.HideAxes()
	p.Add(drawn(b.draw))
	p.X.Max, p.Y.Max = 1, 1 // not used, but a plot has ranges
	return inline(p, class, b.Alt, width, height, func(*strings.Builder, draw.Canvas) {})
}

func (b *Bars) draw(v *view) {
	var sty text.Style
	style(&sty)
	sty.Color, sty.YAlign, sty.Handler = Ink.at(100), text.YCenter, plot.DefaultTextHandler
	var names, values vg.Length
	longest := 0.0
	for _, bar := range b.Bars {
		names, values = max(names, sty.Width(bar.Name)), max(values, sty.Width(bar.Value))
		longest = max(longest, bar.Length)
	}
	const gap, wider = 9, 1.18 // a viewer's font may be so much wider than gonum's
	left := v.Min.X + names*wider + gap
	room := v.Max.X - values*wider - gap - left
	for i, bar := range b.Bars {
		y := v.Max.Y - vg.Length(i)*barHeight - barHeight/2
		right := left + 1
		if longest > 0 {
			right += room * vg.Length(bar.Length/longest)
		}
		opacity := uint8(100)
		if bar.Faint {
			opacity = 40
		}
		v.FillPolygon(bar.Colour.at(opacity), []vg.Point{{X: left, Y: y - 8}, {X: right, Y: y - 8}, {X: right, Y: y + 8}, {X: left, Y: y + 8}})
		sty.XAlign = text.XRight
		v.FillText(sty, vg.Point{X: left - gap - names*(wider-1), Y: y}, bar.Name)
		sty.XAlign = text.XLeft
		v.FillText(sty, vg.Point{X: right + gap - 3, Y: y}, bar.Value)
	}
}
