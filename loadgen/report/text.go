package report

import (
	"fmt"
	"io"
	"strings"

	"ecoin/internal/columns"
	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// Text writes the summary of r that a person reads at the end of a run: the verdict
// first, at most 100 columns. With colour it may hold escape sequences of a terminal;
// what comes from r never does.
func Text(w io.Writer, r *result.Run, colour bool) error {
	r = clean(r)
	t := text{columns.New(colour)}
	v := judge(r)
	t.Headline(v.level, v.line())
	for _, why := range v.reasons {
		t.Wrap("  ", why)
	}
	t.setup(r)
	t.requests(r)
	t.latencies(r)
	t.errors(r)
	t.Line("")
	t.facts("Generator", generatorFacts(&r.Generator))
	if r.Server != nil {
		t.facts("Server", serverFacts(r))
	}
	if r.Audit != nil {
		t.facts("Audit", auditFacts(r.Audit))
	}
	for i := range r.Faults {
		f := &r.Faults[i]
		t.Item("Fault", fmt.Sprintf("%s at %s: %s", f.What, figure.Seconds(f.At), recovery(f)))
	}
	for _, c := range r.Checks {
		word := "met"
		if !c.OK {
			word = "NOT MET"
		}
		t.Item("Threshold", fmt.Sprintf("%s: %s, %s", c.Name, c.Value, word))
	}
	if err := t.Write(w); err != nil {
		return fmt.Errorf("report: write the summary: %w", err)
	}
	return nil
}

type text struct{ *columns.Text }

func (t text) facts(title string, facts []fact) {
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
	t.Parts(columns.Pad(title, columns.Names), parts)
}

func (t text) setup(r *result.Run) {
	s := &r.Setup
	parts := []string{s.Workload, s.Model + " model"}
	for _, p := range []string{s.Schedule, s.Suite} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	parts = append(parts, coins(int64(s.Batch))+" a request", plural(s.Conns, "connection"), plural(s.Fleet, "identity"),
		plural(s.Workers, "process"), figure.Seconds(r.Took)+" after "+figure.Seconds(s.WarmupS)+" of warm-up")
	t.Line("")
	t.Item("Load", strings.Join(parts, ", "))
	t.Item("Machine", r.Machine)
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

func (t text) requests(r *result.Run) {
	all := r.Total()
	t.Item("Rate", fmt.Sprintf("%s coins/s, %s of %s planned requests/s answered well", figure.Number(r.GoodRate()),
		figure.Number(ratio(float64(all.OK), r.Took)), figure.Number(ratio(float64(all.Planned), r.Took))))
	t.Line("")
	counts := []string{"planned", "sent", "ok", "refused", "failed", "skipped"}
	row := columns.Pad("Requests", columns.Names)
	for _, c := range counts {
		row += columns.Left(c, 13)
	}
	t.Line(row + columns.Left("errors", 10))
	kinds := r.Kinds
	if len(kinds) > 1 {
		kinds = append(append([]result.Kind(nil), kinds...), all)
	}
	for i := range kinds {
		k := &kinds[i]
		row := columns.Pad("  "+k.Name, columns.Names)
		for _, n := range []int64{k.Planned, k.Sent, k.OK, k.Refused, k.Failed, k.Skipped} {
			row += columns.Left(figure.Count(n), 13)
		}
		t.Line(row + columns.Left(figure.Percent(k.ErrorShare()), 10))
	}
}

// latencies writes response and service time side by side, four kinds in a row.
func (t text) latencies(r *result.Run) {
	for i := 0; i < len(r.Kinds); i += 4 {
		kinds := r.Kinds[i:min(i+4, len(r.Kinds))]
		names, head := columns.Pad("Latency", columns.Names), columns.Pad("", columns.Names)
		for k := range kinds {
			names += columns.Left(kinds[k].Name, 22)
			head += columns.Left("response", 11) + columns.Left("service", 11)
		}
		t.Line("")
		t.Line(names)
		t.Line(head)
		for _, q := range quantiles {
			row := columns.Pad("  "+q.name, columns.Names)
			for k := range kinds {
				row += columns.Left(at(&kinds[k].Response, q.q), 11) + columns.Left(at(&kinds[k].Service, q.q), 11)
			}
			t.Line(row)
		}
	}
}

// mostErrors is how many lines of errors a summary has.
const mostErrors = 12

func (t text) errors(r *result.Run) {
	if len(r.Errors) == 0 {
		return
	}
	t.Line("")
	t.Line("Errors")
	for _, e := range frequent(r.Errors, mostErrors) {
		t.Wrap(columns.Left(figure.Count(e.Count), columns.Names)+"  "+columns.Pad(e.Kind, 10)+" ", e.Reason)
	}
}
