package compare

import (
	"fmt"
	"io"
	"strings"

	"ecoin/internal/columns"
	"ecoin/internal/figure"
)

// verdict says how many figures are better or worse.
func (c *Comparison) verdict() string {
	var parts []string
	for _, v := range []Verdict{Worse, Better} {
		if n := c.count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	if len(parts) == 0 {
		return "No difference shown"
	}
	return "B against A: " + strings.Join(parts, ", ")
}

func (c *Comparison) level() columns.Level {
	switch {
	case c.Worse():
		return columns.Bad
	case c.count(Better) > 0:
		return columns.Good
	}
	return columns.Plain
}

// Text writes the comparison for a terminal, at most 100 columns. With colour it may
// hold escape sequences; what comes from the runs never does.
func (c *Comparison) Text(w io.Writer, colour bool) error {
	t := columns.New(colour)
	t.Headline(c.level(), c.verdict())
	c.each(func(label string, r *Run) {
		t.Item(label, fmt.Sprintf("%s: %s, %s, %s coins/s", r.Name, r.Setup.Workload, figure.Seconds(r.Took), figure.Number(r.GoodRate())))
	})
	t.Line("")
	t.Line(fmt.Sprintf("%-23s%11s%11s%9s  %-24s%s", "", "A", "B", "B/A", "95 % interval", "B"))
	for i := range c.Figures {
		f := &c.Figures[i]
		t.Line(fmt.Sprintf("%-23s%11s%11s%9s  %-24s%s", f.Name, f.ValueA(), f.ValueB(), f.Change(), f.Interval(), f.Verdict))
	}
	if len(c.Notes) > 0 {
		t.Line("")
	}
	for _, n := range c.Notes {
		t.Item("Note", n)
	}
	if err := t.Write(w); err != nil {
		return fmt.Errorf("compare: write: %w", err)
	}
	return nil
}
