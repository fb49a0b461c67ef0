package harness

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Print writes an answer as Markdown: what was asked, the table, and what it rests on.
func (a *Answer) Print(w io.Writer) {
	fmt.Fprintf(w, "### %s\n%s\n\n", a.Title, a.Text)
	fmt.Fprintf(w, "| figure | peer | peer's | ours | ratio | spread | |\n|---|---|---|---|---|---|---|\n")
	for _, c := range a.Columns {
		for i := range a.Rows {
			for _, name := range a.Rows[i].Against {
				a.printRow(w, c, &a.Rows[i], a.row(name))
			}
		}
	}
	fmt.Fprintln(w)
	for _, r := range a.Rows {
		if r.Note != "" {
			fmt.Fprintf(w, "- *%s*: %s\n", r.Name, r.Note)
		}
	}
	for _, s := range a.Skipped {
		fmt.Fprintf(w, "- Not measured: %s\n", s)
	}
	if a.Limits != "" {
		fmt.Fprintf(w, "- Not shown: %s\n", a.Limits)
	}
	fmt.Fprintf(w, "- %s\n", a.disturbance())
	if a.Where != "" {
		fmt.Fprintf(w, "- %s\n", a.Where)
	}
	fmt.Fprintln(w)
}

// Headlines writes one table with a ratio for each peer: of the column that says most, against
// the first of ours that it is compared with.
func Headlines(w io.Writer, answers []*Answer) {
	fmt.Fprintf(w, "| question | figure | peer | ours | times better | spread |\n|---|---|---|---|---|---|\n")
	for _, h := range headlines(answers) {
		fmt.Fprintf(w, "| %s | %s | %s | %s | **%s** | %s..%s |\n", h.question, h.figure, h.peer, h.ours, Number(h.Ratio.Mid), Number(h.Ratio.Low), Number(h.Ratio.High))
	}
	fmt.Fprintln(w)
}

// Check says what is wrong with an answer that was read from a file.
func (a *Answer) Check() error {
	for _, r := range a.Rows {
		for _, name := range r.Against {
			if !slices.ContainsFunc(a.Rows, func(r Row) bool { return r.Name == name }) {
				return fmt.Errorf("harness: %q is compared with %q, which is not there", r.Name, name)
			}
		}
	}
	return nil
}

func (a *Answer) row(name string) *Row {
	i := slices.IndexFunc(a.Rows, func(r Row) bool { return r.Name == name })
	if i < 0 {
		panic("harness: no contender is called " + name)
	}
	return &a.Rows[i]
}

// printRow writes a row, if both have this figure.
func (a *Answer) printRow(w io.Writer, c Column, theirs, ours *Row) {
	t, o := theirs.figures(c.Key), ours.figures(c.Key)
	if len(t) == 0 || len(o) == 0 {
		return
	}
	ratio := Ratio(o, t, c.MoreIsBetter)
	says := ""
	switch {
	case ratio.High < 1:
		says = "**the peer wins**"
	case ratio.Low <= 1:
		says = "no difference shown"
	}
	which := "" // of ours, where there are several
	if slices.ContainsFunc(a.Rows, func(r Row) bool { return len(r.Against) == 0 && r.Name != ours.Name }) {
		which = " (" + ours.Name + ")"
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s%s | %s | %s..%s | %s |\n", c.Head, theirs.Name, SpreadOf(t), SpreadOf(o), which, Number(ratio.Mid), Number(ratio.Low), Number(ratio.High), says)
}

// Ratio is the spread, round by round, of how many times better ours is.
func Ratio(ours, theirs []float64, moreIsBetter bool) Spread {
	var v []float64
	for i := range min(len(ours), len(theirs)) {
		v = append(v, gain(ours[i], theirs[i], moreIsBetter))
	}
	return SpreadOf(v)
}

// figures returns what a row has of one kind, in the order of the rounds.
func (r *Row) figures(key string) (v []float64) {
	for _, m := range r.Rounds {
		if f, ok := m.Figures[key]; ok {
			v = append(v, f)
		}
	}
	return v
}

// disturbance says how quiet the machine was.
func (a *Answer) disturbance() string {
	var loads, others, stolen []float64
	rounds, repeats, busy := 0, 0, 0
	for _, r := range a.Rows {
		rounds = max(rounds, len(r.Rounds))
		for _, m := range r.Rounds {
			loads, others, stolen = append(loads, m.Load), append(others, 100*m.Others), append(stolen, 100*m.Stolen)
			repeats += m.Repeats
			if m.Busy {
				busy++
			}
		}
	}
	return fmt.Sprintf("%d rounds in %.0f s; load average before a measurement %s; other processes took %s %% of the processors, the hypervisor %s %%; %d measurements repeated, %d of %d disturbed all the same",
		rounds, a.Seconds, SpreadOf(loads), SpreadOf(others), SpreadOf(stolen), repeats, busy, len(loads))
}

// line is a measurement in a few words.
func (m *Measurement) line(columns []Column) string {
	var b strings.Builder
	for _, c := range columns {
		if f, ok := m.Figures[c.Key]; ok {
			fmt.Fprintf(&b, " %s %s,", Number(f), c.Head)
		}
	}
	fmt.Fprintf(&b, " others %.0f %%, stolen %.0f %%", 100*m.Others, 100*m.Stolen)
	if m.Busy {
		b.WriteString(", disturbed")
	}
	return b.String()
}

// String is the median, and the lowest and highest in brackets.
func (s Spread) String() string {
	if s.Low == s.High {
		return Number(s.Mid)
	}
	return Number(s.Mid) + " [" + Number(s.Low) + ".." + Number(s.High) + "]"
}

// Number writes a figure with three significant digits and commas between thousands.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	default:
		return strconv.FormatFloat(v, 'f', max(0, min(6, 2-int(math.Floor(math.Log10(a))))), 64)
	}
}
