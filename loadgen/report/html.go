package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"ecoin/internal/chart"
	"ecoin/internal/columns"
	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

//go:embed report.html
var reportHTML string

var reportTemplate = template.Must(template.New("report").Parse(reportHTML))

// HTML writes a report of r as one file, which needs no other and no network.
func HTML(w io.Writer, r *result.Run) error {
	r = clean(r)
	charts, err := newPlots(r).html()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	v := judge(r)
	p := page{
		Run: r, Level: v.level, Verdict: v.line(), Reasons: v.reasons, Tiles: tiles(r), Charts: charts,
		Setup: setupFacts(r), Generator: generatorFacts(&r.Generator), Latencies: latencyRows(r), Kinds: kindRows(r),
	}
	if r.Server != nil {
		p.Server = serverFacts(r)
	}
	if r.Audit != nil {
		p.Audit = auditFacts(r.Audit)
	}
	for i := range r.Faults {
		p.Faults = append(p.Faults, faultRow{i + 1, figure.Seconds(r.Faults[i].At), r.Faults[i].What, recovery(&r.Faults[i]), r.Faults[i].RecoveryS < 0})
	}
	p.Errors = errorRows(r)
	var body bytes.Buffer
	if err := reportTemplate.Execute(&body, &p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return chart.Page(w, "Load: "+r.Setup.Workload+", "+v.line(), template.HTML(body.String()))
}

// page is what report.html shows.
type page struct {
	Run                             *result.Run
	Level                           columns.Level
	Verdict                         string
	Reasons                         []string
	Tiles                           []tile
	Charts                          []template.HTML
	Setup, Generator, Server, Audit []fact
	Latencies                       []latencyRow
	Kinds                           []kindRow
	Errors                          []errorRow
	Faults                          []faultRow
}

// A tile is a key figure.
type tile struct{ Name, Value, Unit, More string }

func tiles(r *result.Run) []tile {
	all := r.Total()
	cpu := tile{Name: "CPU a coin", Value: "-", More: "of the server; not known"}
	if r.Server != nil {
		cpu = tile{Name: "CPU a coin", Value: figure.Microseconds(r.Server.CPUUs), More: "of the server"}
	}
	return []tile{
		{"Coins", figure.Number(r.GoodRate()), "/s", figure.Number(ratio(float64(all.OK), r.Took)) + " requests/s answered well"},
		{"p50", at(&all.Response, .5), "", "response time"},
		{"p99", at(&all.Response, .99), "", "service time " + at(&all.Service, .99)},
		{"p99.9", at(&all.Response, .999), "", "service time " + at(&all.Service, .999)},
		{"Longest", at(&all.Response, 1), "", "service time " + at(&all.Service, 1)},
		{"Errors", figure.Percent(all.ErrorShare()), "", "of " + figure.Count(all.Planned) + " planned requests"},
		cpu,
	}
}

type latencyRow struct {
	Kind, What string
	Values     []string
}

func latencyRows(r *result.Run) []latencyRow {
	var rows []latencyRow
	add := func(k *result.Kind) {
		for _, l := range []struct {
			kind, what string
			l          *result.Latency
		}{{k.Name, "response", &k.Response}, {"", "service", &k.Service}} {
			row := latencyRow{Kind: l.kind, What: l.what}
			for _, q := range quantiles {
				row.Values = append(row.Values, at(l.l, q.q))
			}
			rows = append(rows, row)
		}
	}
	for i := range r.Kinds {
		add(&r.Kinds[i])
	}
	return rows
}

type kindRow struct {
	Name   string
	Values []string
}

func kindRows(r *result.Run) []kindRow {
	kinds := append([]result.Kind(nil), r.Kinds...)
	if len(kinds) > 1 {
		kinds = append(kinds, r.Total())
	}
	var rows []kindRow
	for i := range kinds {
		k := &kinds[i]
		row := kindRow{Name: k.Name}
		for _, n := range []int64{k.Planned, k.Sent, k.OK, k.Refused, k.Failed, k.Skipped} {
			row.Values = append(row.Values, figure.Count(n))
		}
		rows = append(rows, kindRow{k.Name, append(row.Values, figure.Percent(k.ErrorShare()))})
	}
	return rows
}

type errorRow struct {
	Kind, Reason, Count string
	Percent             float64 // of the most frequent
}

func errorRows(r *result.Run) []errorRow {
	all := frequent(r.Errors, 20)
	most := int64(1)
	for _, e := range all {
		most = max(most, e.Count)
	}
	var rows []errorRow
	for _, e := range all {
		rows = append(rows, errorRow{e.Kind, e.Reason, figure.Count(e.Count), 100 * max(float64(e.Count), 0) / float64(most)})
	}
	return rows
}

type faultRow struct {
	Number             int
	At, What, Recovery string
	Bad                bool
}
