package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curve is one line of a plot: a figure of a path over the number of coins.
type curve struct {
	path  string
	name  string // "" for a plot of one figure
	value func(*result) float64
	style int // of its dashes and marks
}

// plots writes the plots into a folder. Figures that are 0 were not measured, and are
// left out, since they have no place on a logarithmic axis.
func (r *report) plots(dir string) error {
	var rate, cpu, latency, bytes []curve
	for _, path := range []string{"index", "plain"} {
		rate = append(rate, curve{path, "", func(m *result) float64 { return m.CoinsPerS }, 0})
		cpu = append(cpu,
			curve{path, "until the last answer", func(m *result) float64 { return m.CPUUs }, 0},
			curve{path, "with compaction", func(m *result) float64 { return m.CPUDrainedUs }, 1})
		latency = append(latency,
			curve{path, "p50", func(m *result) float64 { return m.P50Ms }, 0},
			curve{path, "p99", func(m *result) float64 { return m.P99Ms }, 1},
			curve{path, "p99.9", func(m *result) float64 { return m.P999Ms }, 2})
		bytes = append(bytes,
			curve{path, "disk, loaded", func(m *result) float64 { return m.DiskBytesPerCoin }, 0},
			curve{path, "disk, after redeeming", func(m *result) float64 { return m.DiskBytesPerCoinAfter }, 1})
	}
	bytes = append(bytes, curve{"index", "memory", func(m *result) float64 { return m.IndexBytesPerCoin }, 2})
	for _, p := range []struct {
		file, title, y string
		log            bool
		curves         []curve
	}{
		{"ledger-rate.svg", "Redeems", "coins/s", false, rate},
		{"ledger-cpu.svg", "CPU time of a redeemed coin", "us", false, cpu},
		{"ledger-latency.svg", "Latency of a call", "ms", true, latency},
		{"ledger-bytes.svg", "Bytes of a live coin", "bytes", false, bytes},
	} {
		if err := r.plot(filepath.Join(dir, p.file), p.title, p.y, p.log, p.curves); err != nil {
			return fmt.Errorf("plot %s: %w", p.file, err)
		}
	}
	return nil
}

// The colours differ for the colour-blind too.
var colours = map[string]color.Color{
	"index": color.RGBA{0x00, 0x72, 0xb2, 0xff},
	"plain": color.RGBA{0xd5, 0x5e, 0x00, 0xff},
}

var dashes = [][]vg.Length{nil, {6, 3}, {2, 3}}

var marks = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}

// height of the axis, about, in points; a pixel is 3/4 of one.
const height = 250

func (r *report) plot(path, title, y string, log bool, curves []curve) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "live coins at first"
	p.Y.Label.Text = y
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Variant, f.Size = "Sans", 12
	}
	// The names stand to the right of their marks, where a viewer's wider font does no harm.
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.XOffs, p.Legend.YOffs, p.Legend.Padding = 8, -2, 3
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(grid)

	entries := 0
	low, high, bottom, top := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, c := range curves {
		var points plotter.XYs
		for i := range r.Results {
			m := &r.Results[i]
			if v := c.value(m); m.Path == c.path && v > 0 {
				points = append(points, plotter.XY{X: float64(m.Coins), Y: v})
				low, high = min(low, float64(m.Coins)), max(high, float64(m.Coins))
				bottom, top = min(bottom, v), max(top, v)
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, line.Width, line.Dashes = colours[c.path], 1.5, dashes[c.style]
		dots.Color, dots.Shape, dots.Radius = colours[c.path], marks[c.style], 3.5
		p.Add(line, dots)
		name := c.path
		if c.name != "" {
			name += ", " + c.name
		}
		p.Legend.Add(name, line, dots)
		entries++
	}
	if top == 0 {
		return nil // nothing of it was measured
	}
	p.X.Min, p.X.Max = low/1.5, high*1.5
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	below := 1 - (float64(entries)*17+14)/height // the share of the axis below the legend
	if log {
		p.Y.Min = bottom / 1.5
		p.Y.Max = p.Y.Min * math.Pow(top/p.Y.Min, 1/below)
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	} else {
		p.Y.Min, p.Y.Max = 0, top/below
		p.Y.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
			ticks := plot.DefaultTicks{}.Ticks(low, high)
			for i := range ticks {
				if ticks[i].Label != "" {
					ticks[i].Label = si(ticks[i].Value)
				}
			}
			return ticks
		})
	}
	return p.Save(525, height+75, path)
}

// decades marks powers of ten with a label and their multiples without one.
type decades struct{}

func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for k := range 9 {
			v := float64(k+1) * math.Pow(10, e)
			if v < low || v > high {
				continue
			}
			t := plot.Tick{Value: v}
			if k == 0 {
				t.Label = si(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}
