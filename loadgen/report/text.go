package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// textWidth is how wide the summary is at most, in columns.
const textWidth = 100

// Text writes the summary of r that a person reads at the end of a run: the verdict
// first, at most 100 columns. With colour it may hold escape sequences of a terminal;
// what comes from r never does.
func Text(w io.Writer, r *result.Run, colour bool) error {
	r = clean(r)
	t := &text{colour: colour}
	v := judge(r)
	t.line(t.paint(v.level, v.line()))
	for _, why := range v.reasons {
		t.wrap("  ", why)
	}
	t.setup(r)
	t.requests(r)
	t.latencies(r)
	t.errors(r)
	t.line("")
	t.facts("Generator", generatorFacts(&r.Generator))
	if r.Server != nil {
		t.facts("Server", serverFacts(r.Server, r.Took))
	}
	if r.Audit != nil {
		t.facts("Audit", auditFacts(r.Audit))
	}
	for i := range r.Faults {
		f := &r.Faults[i]
		t.item("Fault", fmt.Sprintf("%s at %s: %s", f.What, figure.Seconds(f.At), recovery(f)))
	}
	for _, c := range r.Checks {
		word := "met"
		if !c.OK {
			word = "NOT MET"
		}
		t.item("Threshold", fmt.Sprintf("%s: %s, %s", c.Name, c.Value, word))
	}
	if _, err := io.WriteString(w, t.b.String()); err != nil {
		return fmt.Errorf("report: write the summary: %w", err)
	}
	return nil
}

type text struct {
	b      strings.Builder
	colour bool
}

func (t *text) line(s string) { t.b.WriteString(strings.TrimRight(s, " ") + "\n") }

func (t *text) paint(l level, s string) string {
	if !t.colour {
		return s
	}
	return map[level]string{good: "\x1b[1;32m", doubtful: "\x1b[1;33m", bad: "\x1b[1;31m"}[l] + s + "\x1b[0m"
}

// nameWidth is the column in which values begin.
const nameWidth = 12

// item writes a value under its name.
func (t *text) item(name, value string) { t.wrap(pad(name, nameWidth), value) }

// wrap writes the words of s behind first, and further lines below its first word.
func (t *text) wrap(first, s string) { t.wrapParts(first, strings.Fields(s)) }

// wrapParts is wrap for parts that stay in one line where they can.
func (t *text) wrapParts(first string, parts []string) {
	column := utf8.RuneCountInString(first)
	line, have := first, column
	for len(parts) > 0 {
		part := parts[0]
		n, blank := utf8.RuneCountInString(part), 0
		if have > column {
			blank = 1
		}
		switch words := strings.Fields(part); {
		case have+blank+n <= textWidth:
			line, have = line+strings.Repeat(" ", blank)+part, have+blank+n
			parts = parts[1:]
			continue
		case column+n <= textWidth: // fits into the next line
		case len(words) > 1:
			parts = append(words, parts[1:]...)
			continue
		case have == column: // a word longer than a line
			cut := []rune(part)
			line += string(cut[:textWidth-column])
			parts = append([]string{string(cut[textWidth-column:])}, parts[1:]...)
		}
		t.line(line)
		line, have = strings.Repeat(" ", column), column
	}
	t.line(line)
}

func (t *text) facts(title string, facts []fact) {
	parts := make([]string, 0, len(facts))
	for i, f := range facts {
		name := f.Name
		if name[1:] == strings.ToLower(name[1:]) { // no abbreviation
			name = strings.ToLower(name)
		}
		part := name + " " + f.Value
		if f.Bad {
			part += " (WRONG)"
		}
		if i < len(facts)-1 {
			part += ";"
		}
		parts = append(parts, part)
	}
	t.wrapParts(pad(title, nameWidth), parts)
}

func (t *text) setup(r *result.Run) {
	s := &r.Setup
	parts := []string{s.Workload, s.Model + " model"}
	for _, p := range []string{s.Schedule, s.Suite} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	parts = append(parts, coins(int64(s.Batch))+" a request", plural(s.Conns, "connection"), plural(s.Fleet, "identity"),
		plural(s.Workers, "process"), figure.Seconds(r.Took)+" after "+figure.Seconds(s.WarmupS)+" of warm-up")
	t.line("")
	t.item("Load", strings.Join(parts, ", "))
	t.item("Machine", r.Machine)
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	many := map[string]string{"identity": "identities", "process": "processes"}[one]
	if many == "" {
		many = one + "s"
	}
	return figure.Count(int64(n)) + " " + many
}

func (t *text) requests(r *result.Run) {
	all := r.Total()
	t.item("Rate", fmt.Sprintf("%s coins/s, %s of %s planned requests/s answered well", figure.Number(r.GoodRate()),
		figure.Number(ratio(float64(all.OK), r.Took)), figure.Number(ratio(float64(all.Planned), r.Took))))
	t.line("")
	columns := []string{"planned", "sent", "ok", "refused", "failed", "skipped"}
	row := pad("Requests", nameWidth)
	for _, c := range columns {
		row += left(c, 13)
	}
	t.line(row + left("errors", 9))
	kinds := r.Kinds
	if len(kinds) > 1 {
		kinds = append(append([]result.Kind(nil), kinds...), all)
	}
	for i := range kinds {
		k := &kinds[i]
		row := pad("  "+k.Name, nameWidth)
		for _, n := range []int64{k.Planned, k.Sent, k.OK, k.Refused, k.Failed, k.Skipped} {
			row += left(figure.Count(n), 13)
		}
		t.line(row + left(figure.Percent(k.ErrorShare()), 9))
	}
}

// latencies writes response and service time side by side, four kinds in a row.
func (t *text) latencies(r *result.Run) {
	for i := 0; i < len(r.Kinds); i += 4 {
		kinds := r.Kinds[i:min(i+4, len(r.Kinds))]
		names, head := pad("Latency", nameWidth), pad("", nameWidth)
		for k := range kinds {
			names += left(kinds[k].Name, 22)
			head += left("response", 11) + left("service", 11)
		}
		t.line("")
		t.line(names)
		t.line(head)
		for _, q := range quantiles {
			row := pad("  "+q.name, nameWidth)
			for k := range kinds {
				row += left(at(&kinds[k].Response, q.q), 11) + left(at(&kinds[k].Service, q.q), 11)
			}
			t.line(row)
		}
	}
}

// mostErrors is how many lines of errors a summary has.
const mostErrors = 12

func (t *text) errors(r *result.Run) {
	if len(r.Errors) == 0 {
		return
	}
	t.line("")
	t.line("Errors")
	for _, e := range frequent(r.Errors, mostErrors) {
		t.wrap(left(figure.Count(e.Count), nameWidth)+"  "+pad(e.Kind, 10)+" ", e.Reason)
	}
}

// pad fills s with blanks up to n columns, or cuts it.
func pad(s string, n int) string {
	if have := utf8.RuneCountInString(s); have < n {
		return s + strings.Repeat(" ", n-have)
	}
	return string([]rune(s)[:n])
}

// left puts s at the right end of n columns, behind at least one blank.
func left(s string, n int) string {
	have := utf8.RuneCountInString(s)
	if have >= n {
		s, have = string([]rune(s)[:n-1]), n-1
	}
	return strings.Repeat(" ", n-have) + s
}
