package harness

import (
	"bytes"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// headline is how many times better ours is than a peer, in the figure that says most.
type headline struct {
	question, figure, peer, ours string
	Ratio                        Spread
}

// headlines are those of all peers that were measured.
func headlines(answers []*Answer) (out []headline) {
	for _, a := range answers {
		i := slices.IndexFunc(a.Columns, func(c Column) bool { return c.Key == a.Headline })
		if i < 0 {
			continue
		}
		c := a.Columns[i]
		for _, theirs := range a.Rows {
			if len(theirs.Against) == 0 {
				continue
			}
			ratio := Ratio(a.row(theirs.Against[0]).figures(c.Key), theirs.figures(c.Key), c.MoreIsBetter)
			if ratio.Mid > 0 {
				out = append(out, headline{a.Title, c.Head, theirs.Name, theirs.Against[0], ratio})
			}
		}
	}
	return out
}

// Plot draws the headlines as SVG: a mark for each ratio and a line over its spread, on a
// logarithmic axis, with a line at 1, where a peer would be as good. Without headlines it
// returns nothing.
func Plot(answers []*Answer) ([]byte, error) {
	lines := headlines(answers)
	if len(lines) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text = "Times better than a peer"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant, f.Size = "Mono", 10 // as wide in a viewer's font as in ours
	}
	p.Y.Padding = 8
	var marks ratios
	var names []string
	slices.Reverse(lines) // the first on top
	for i, h := range lines {
		marks.XYs = append(marks.XYs, plotter.XY{X: h.Ratio.Mid, Y: float64(i)})
		marks.XErrors = append(marks.XErrors, struct{ Low, High float64 }{h.Ratio.Mid - h.Ratio.Low, h.Ratio.High - h.Ratio.Mid})
		names = append(names, h.question+": "+h.peer)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xee}
	p.Add(grid)
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(lines)) - 0.5}})
	if err != nil {
		return nil, err
	}
	one.Dashes = []vg.Length{4, 3}
	p.Add(one)
	points, err := plotter.NewScatter(marks.XYs)
	if err != nil {
		return nil, err
	}
	bars, err := plotter.NewXErrorBars(marks)
	if err != nil {
		return nil, err
	}
	blue := color.RGBA{0x00, 0x72, 0xb2, 0xff}
	points.Shape, points.Color, points.Radius = draw.CircleGlyph{}, blue, 3
	bars.Color, bars.Width = blue, 1.5
	p.Add(bars, points)
	p.NominalY(names...)
	p.X.Max *= 1.1 // no mark stands on the edge
	canvas := vgsvg.New(720, vg.Length(100+18*len(lines)))
	p.Draw(draw.Crop(draw.New(canvas), 16, -8, 4, -8)) // names are as long in a viewer's font, nearly
	var out bytes.Buffer
	_, err = canvas.WriteTo(&out)
	return out.Bytes(), err
}

// ratios are points with their spreads, as gonum's error bars want them.
type ratios struct {
	plotter.XYs
	plotter.XErrors
}
