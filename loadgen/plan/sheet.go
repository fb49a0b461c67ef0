package plan

import (
	"fmt"
	"math"
)

// Kind is where the figure of a line comes from.
type Kind string

const (
	Given    Kind = "given"    // by a flag
	Measured Kind = "measured" // by what Line.Basis names
	Assumed  Kind = "assumed"  // for the reason in Line.Basis
	Computed Kind = "computed" // by Line.Formula from lines above
)

// Line is one figure of a plan.
type Line struct {
	Number  int     `json:"number"` // from 1
	Key     string  `json:"key"`
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   float64 `json:"value"` // as printed: rounded to four digits
	Unit    string  `json:"unit,omitempty"`
	Kind    Kind    `json:"kind"`
	Formula string  `json:"formula,omitempty"` // in numbers of lines: "[3] x [7] / 86,400"
	Basis   string  `json:"basis,omitempty"`   // of a figure that is not computed; a note on one that is

	// Beyond is how many times the figure is of what was measured, where that says
	// something; above [Far] the line is extrapolated.
	Beyond   float64 `json:"beyond,omitempty"`
	BeyondOf string  `json:"beyond_of,omitempty"` // what was measured
}

// Far is how many times a figure may be of what was measured before its line is marked as
// extrapolated.
const Far = 10

// Extrapolated reports whether the line is further from what was measured than [Far].
func (l *Line) Extrapolated() bool { return l.Beyond > Far }

// sheet is lines, each calculated from those above it.
type sheet struct {
	lines   []Line
	byKey   map[string]int // index in lines
	section string
	prefix  string // before the keys of the section: lines of another ledger have the same keys
	err     error  // the first
}

// begin begins a section, whose keys are told from others by prefix.
func (s *sheet) begin(section, prefix string) { s.section, s.prefix = section, prefix }

func (s *sheet) add(l Line) {
	if s.byKey == nil {
		s.byKey = map[string]int{}
	}
	l.Key = s.prefix + l.Key
	if _, twice := s.byKey[l.Key]; twice {
		panic("plan: two lines " + l.Key)
	}
	l.Number, l.Section = len(s.lines)+1, s.section
	if l.Kind != Given {
		l.Value = round(l.Value)
	}
	if s.err == nil && (math.IsNaN(l.Value) || math.IsInf(l.Value, 0)) {
		s.err = fmt.Errorf("line %d, %s, is not a finite number: the target is too far from anything that was measured", l.Number, l.Name)
	}
	s.byKey[l.Key] = len(s.lines)
	s.lines = append(s.lines, l)
}

// given adds a figure of the target under its flag. It is printed in full.
func (s *sheet) given(key, name, unit string, value float64, flag string) {
	s.add(Line{Key: key, Name: name, Unit: unit, Value: value, Kind: Given, Basis: flag})
}

// figure adds a measured or assumed figure.
func (s *sheet) figure(key, name, unit string, f Figure) {
	kind := Measured
	if f.Assumed {
		kind = Assumed
	}
	s.add(Line{Key: key, Name: name, Unit: unit, Value: f.Value, Kind: kind, Basis: f.Where})
}

// line adds what a formula makes of the lines above.
func (s *sheet) line(key, name, unit, expr string) {
	f, err := parseFormula(expr)
	if err != nil {
		panic("plan: " + err.Error())
	}
	s.add(Line{Key: key, Name: name, Unit: unit, Kind: Computed,
		Value:   f.eval(s.value),
		Formula: f.text(func(key string) string { return fmt.Sprintf("[%d]", s.at(key).Number) }),
	})
}

// at returns the line of a key, of this section before others.
func (s *sheet) at(key string) *Line {
	i, ok := s.byKey[s.prefix+key]
	if !ok {
		i, ok = s.byKey[key]
	}
	if !ok {
		panic("plan: no line " + key)
	}
	return &s.lines[i]
}

func (s *sheet) value(key string) float64 { return s.at(key).Value }

// note puts a remark to the last line.
func (s *sheet) note(text string) { s.lines[len(s.lines)-1].Basis = text }

// beyond says how many times the last line is of what was measured, if it is more.
func (s *sheet) beyond(measured float64, what string) {
	s.mark(s.lines[len(s.lines)-1].Value/measured, what)
}

func (s *sheet) mark(times float64, what string) {
	if times > 1 {
		l := &s.lines[len(s.lines)-1]
		l.Beyond, l.BeyondOf = round(times), what
	}
}
