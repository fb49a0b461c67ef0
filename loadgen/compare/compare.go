// Package compare says what differs between two sides of runs, and whether that is more
// than chance. Each side is one run or several of the same. Of a figure it gives both
// values, their ratio, and a 95 % interval of it from a bootstrap: whole runs are drawn
// with replacement, then blocks of neighbouring seconds of each, since what a second
// shows depends on the one before. Start with [Runs].
package compare

import (
	"errors"
	"fmt"
	"strings"

	"ecoin/loadgen/result"
)

// Run is a run and how it is called.
type Run struct {
	Name string
	*result.Run
}

// Comparison is side B against side A.
type Comparison struct {
	A, B    []Run
	Figures []Figure
	Notes   []string // what a reader must know before believing the figures
}

// Verdict is about side B.
type Verdict string

// What a figure may show.
const (
	Better   Verdict = "better"
	Worse    Verdict = "worse"
	NotShown Verdict = "no difference shown"
	Unknown  Verdict = "not known" // there is no interval
)

// Figure is one figure of both sides.
type Figure struct {
	Name    string
	Verdict Verdict

	A, B float64
	Step float64 // B/A, or B-A where Difference is set

	// Low and High are the interval of Step, which there is where Why is empty.
	Low, High  float64
	Difference bool
	Why        string

	format func(float64) string
}

// Runs compares. Runs of different workloads, models, batch sizes or kinds of request are
// refused unless force is set.
func Runs(a, b []Run, force bool) (*Comparison, error) { return runs(a, b, force, pairs) }

// runs is Runs with a number of draws.
func runs(a, b []Run, force bool, draws int) (*Comparison, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, errors.New("compare: a side has no run")
	}
	c := &Comparison{A: a, B: b}
	if err := c.check(force); err != nil {
		return nil, err
	}
	c.note()
	sides := [2]*side{newSide(a), newSide(b)}
	drawn := draw(sides, draws)
	for i := range figures {
		c.Figures = append(c.Figures, figures[i].compare(sides, drawn, i))
	}
	return c, nil
}

// Worse says whether a figure of B is worse beyond its interval.
func (c *Comparison) Worse() bool { return c.count(Worse) > 0 }

func (c *Comparison) count(v Verdict) int {
	n := 0
	for i := range c.Figures {
		if c.Figures[i].Verdict == v {
			n++
		}
	}
	return n
}

// each calls f for all runs, the first of side A first, with a label such as "B2".
func (c *Comparison) each(f func(label string, r *Run)) {
	for s, side := range [][]Run{c.A, c.B} {
		for i := range side {
			f(fmt.Sprintf("%c%d", 'A'+s, i+1), &side[i])
		}
	}
}

// check looks for what makes a comparison meaningless.
func (c *Comparison) check(force bool) error {
	first := c.A[0].Run
	var err error
	c.each(func(label string, r *Run) {
		for _, f := range []struct{ name, want, got string }{
			{"workload", first.Setup.Workload, r.Setup.Workload},
			{"model", first.Setup.Model, r.Setup.Model},
			{"coins a request", fmt.Sprint(first.Setup.Batch), fmt.Sprint(r.Setup.Batch)},
			{"kinds of request", kinds(first), kinds(r.Run)},
		} {
			if f.want == f.got {
				continue
			}
			what := fmt.Sprintf("%s of A1 and %s differ: %q and %q", f.name, label, f.want, f.got)
			if force {
				c.Notes = append(c.Notes, "The "+what+".")
			} else if err == nil {
				err = fmt.Errorf("compare: %s; --force compares them all the same", what)
			}
		}
	})
	return err
}

func kinds(r *result.Run) string {
	var names []string
	for i := range r.Kinds {
		names = append(names, r.Kinds[i].Name)
	}
	return strings.Join(names, " ")
}

// note tells what does not forbid a comparison, and colours it.
func (c *Comparison) note() {
	c.each(func(label string, r *Run) {
		for _, why := range r.Invalid {
			c.Notes = append(c.Notes, label+" was INVALID: "+why)
		}
		if r.Audit != nil && (!r.Audit.OK || len(r.Audit.Problems) > 0) {
			c.Notes = append(c.Notes, label+" failed its audit.")
		}
	})
	first := c.A[0].Run
	differs := map[string]bool{}
	c.each(func(_ string, r *Run) {
		s, o := &first.Setup, &r.Setup
		differs["planned rates"] = differs["planned rates"] || s.Rate != o.Rate || s.Schedule != o.Schedule
		differs["suites"] = differs["suites"] || s.Suite != o.Suite
		differs["numbers of connections"] = differs["numbers of connections"] || s.Conns != o.Conns
		differs["numbers of identities"] = differs["numbers of identities"] || s.Fleet != o.Fleet
		differs["machines"] = differs["machines"] || first.Machine != r.Machine
	})
	for _, what := range []string{"planned rates", "suites", "numbers of connections", "numbers of identities", "machines"} {
		if differs[what] {
			c.Notes = append(c.Notes, "The "+what+" differ.")
		}
	}
	switch fewest := min(len(c.A), len(c.B)); {
	case fewest == 1:
		c.Notes = append(c.Notes, "With one run on a side the intervals hold what changes from second to second, and not what changes from run to run. Make five of each.")
	case fewest < 5:
		c.Notes = append(c.Notes, "With fewer than five runs on a side the intervals are too narrow.")
	}
}
