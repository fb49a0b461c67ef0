package chart

import "gonum.org/v1/plot/vg"

// shades is how many a heat map has.
const shades = 6

// draw fills the cells of a shade with one path. A column's shades are by its own fullest cell, so
// that a second with few counts shows its shape, too; each shade is half as much as the
// next.
func (h *Heat) draw(v *view) {
	var paths [shades]vg.Path
	for x, column := range h.Cells {
		most := 0.0
		for _, n := range column {
			most = max(most, n)
		}
		for y, n := range column {
			if n <= 0 {
				continue
			}
			shade := shades - 1
			for ; shade > 0 && n*2 <= most; n *= 2 {
				shade--
			}
			low, high := v.place(h.Xs[x], h.Ys[y]), v.place(h.Xs[x+1], h.Ys[y+1])
			p := &paths[shade]
			p.Move(low)
			p.Line(vg.Point{X: high.X, Y: low.Y})
			p.Line(high)
			p.Line(vg.Point{X: low.X, Y: high.Y})
			p.Close()
		}
	}
	for shade, p := range paths {
		if len(p) > 0 {
			v.SetColor(h.Colour.at(uint8(6 + shade*7)))
			v.Fill(p)
		}
	}
}
