package chart

import (
	"image/color"
	"regexp"
	"strconv"
)

// Colour is one of the page's colours, which differ in light and dark.
type Colour uint8

// Series take Blue, Orange, Teal and Violet, which the colour-blind can tell apart, and
// what is good, doubtful or bad takes Good, Warn or Bad.
const (
	Ink Colour = iota
	Quiet
	Line
	Grid
	Blue
	Orange
	Teal
	Violet
	Good
	Warn
	Bad
)

// variables are the colours' names in page.css.
var variables = [...]string{"ink", "quiet", "line", "grid", "blue", "orange", "teal", "violet", "good", "warn", "bad"}

func (c Colour) String() string { return variables[c] }

// mark is the red of every colour that is drawn: the green is then the Colour and the
// blue its opacity in percent, until restyle writes variables of the page instead.
const mark = 0xEC

func (c Colour) at(percent uint8) color.Color { return color.RGBA{mark, uint8(c), percent, 0xff} }

var (
	styles  = regexp.MustCompile(`style="[^"]*"`)
	colours = regexp.MustCompile(`(fill|stroke):#EC([0-9A-F]{2})([0-9A-F]{2})`)
	fonts   = regexp.MustCompile(`font-family:[^";]*;font-variant:[^";]*;font-weight:[^";]*;font-style:[^";]*;?`)
)

// restyle makes an SVG follow the page: its colours, and its font. Text in it is escaped,
// so what looks like a style is one.
func restyle(svg string) string {
	return styles.ReplaceAllStringFunc(svg, func(style string) string {
		style = fonts.ReplaceAllString(style, "")
		return colours.ReplaceAllStringFunc(style, func(s string) string {
			m := colours.FindStringSubmatch(s)
			c, _ := strconv.ParseUint(m[2], 16, 8)
			percent, _ := strconv.ParseUint(m[3], 16, 8)
			if c >= uint64(len(variables)) {
				return s
			}
			s = m[1] + ":var(--" + variables[c] + ")"
			if percent < 100 {
				s += ";" + m[1] + "-opacity:" + strconv.FormatFloat(float64(percent)/100, 'g', 2, 64)
			}
			return s
		})
	})
}
