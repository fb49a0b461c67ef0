package chart

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestBars(t *testing.T) {
	b := Bars{Title: "Nodes & more", Alt: `of "all"`, Note: "a note", Bars: []Bar{
		{Name: "memory", Value: "238", Length: 238, Colour: Blue},
		{Name: "<disk>", Value: "119", Length: 119, Colour: Orange, Faint: true},
		{Name: "nothing", Value: "0"},
	}}
	html, err := b.HTML()
	if err != nil {
		t.Fatal(err)
	}
	got := string(html)
	for part, times := range map[string]int{
		"Nodes &amp; more": 1, "a note": 1, "<svg": 2, `class="wide"`: 1, `class="narrow"`: 1, `aria-label="of &#34;all&#34;"`: 2,
		">memory</text>": 2, ">238</text>": 2, "&lt;disk&gt;</text>": 2, "<disk>": 0, "fill:var(--blue)\"": 2, "fill:var(--orange);fill-opacity:0.4": 2, "#EC": 0, "NaN": 0,
	} {
		if n := strings.Count(got, part); n != times {
			t.Errorf("%s is there %d times, want %d:\n%s", part, n, times, got)
		}
	}
	// A bar is from left to right edge and back; one of half the length ends half as far.
	var widths []float64
	for _, m := range regexp.MustCompile(`d="M([\d.]+),[\d.]+L([\d.]+),`).FindAllStringSubmatch(got, 2) {
		widths = append(widths, parse(t, m[2])-parse(t, m[1]))
	}
	if len(widths) != 2 || widths[0] < 300 || widths[0]-1 < 1.99*(widths[1]-1) || widths[0]-1 > 2.01*(widths[1]-1) {
		t.Errorf("bars of 238 and 119 are %v wide", widths)
	}
	if _, err := (&Bars{Bars: []Bar{{Name: "a"}}}).HTML(); err != nil {
		t.Errorf("only a bar of nothing: %v", err)
	}
}

func parse(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
