package server

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"

	"ecoin/internal/wire"
)

// TestGrafana: every query of the dashboard is PromQL, and the metrics and labels that
// it names are among those that the server writes.
func TestGrafana(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana/ecoin-bank.json")
	if err != nil {
		t.Fatal(err)
	}
	type source struct{ Type, UID string }
	var dashboard struct {
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
		Panels []struct {
			ID         int
			Type       string
			Title      string
			Datasource source
			GridPos    struct{ X, Y, W, H int }
			Targets    []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if v := dashboard.Templating.List; len(v) != 2 || v[0].Name != "datasource" || v[0].Type != "datasource" || v[0].Query != "prometheus" ||
		v[1].Name != "instance" || v[1].Query != "label_values(ecoin_ready, instance)" {
		t.Errorf("variables: %+v", v)
	}

	h := start(t)
	h.analyst().do("POST", wire.PathRedeem, h.records(h.collector().withdraw(1))).want(t, "redeem", 200)
	_, metrics := h.health("/metrics")
	labels := map[string][]string{} // by metric
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		expr, err := metricsql.Parse(line[:strings.LastIndexByte(line, ' ')])
		if err != nil {
			t.Fatalf("metrics: %q: %v", line, err)
		}
		filters := expr.(*metricsql.MetricExpr).LabelFilterss[0]
		name := filters[0].Value
		labels[name] = append(labels[name], "instance") // which Prometheus adds
		for _, f := range filters[1:] {
			labels[name] = append(labels[name], f.Label)
		}
	}

	seen := map[int]bool{}
	queries := 0
	for _, p := range dashboard.Panels {
		if seen[p.ID] || p.Title == "" || p.Type != "stat" && p.Type != "timeseries" || p.Datasource != (source{"prometheus", "${datasource}"}) ||
			p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > 24 || len(p.Targets) == 0 {
			t.Errorf("panel %+v", p)
		}
		seen[p.ID] = true
		refs := map[string]bool{}
		for _, target := range p.Targets {
			queries++
			if target.RefID == "" || refs[target.RefID] {
				t.Errorf("%s: reference %q is twice or empty", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			expr, err := metricsql.Parse(strings.ReplaceAll(target.Expr, "$__rate_interval", "1m"))
			if err != nil {
				t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
				continue
			}
			var names, grouped []string
			metricsql.VisitAll(expr, func(e metricsql.Expr) {
				switch e := e.(type) {
				case *metricsql.AggrFuncExpr:
					grouped = append(grouped, e.Modifier.Args...)
				case *metricsql.MetricExpr:
					name := e.LabelFilterss[0][0].Value
					names = append(names, name)
					instance := false
					for _, f := range e.LabelFilterss[0][1:] {
						instance = instance || f.Label == "instance" && f.Value == "$instance"
						if !slices.Contains(labels[name], f.Label) {
							t.Errorf("%s: %s has no label %s", p.Title, name, f.Label)
						}
					}
					if labels[name] == nil || !instance {
						t.Errorf("%s: the server does not write %s, or the query is not for $instance", p.Title, name)
					}
				}
			})
			if len(names) == 0 {
				t.Errorf("%s: %s names no metric", p.Title, target.Expr)
				continue
			}
			for _, label := range grouped {
				if !slices.Contains(labels[names[0]], label) {
					t.Errorf("%s: %s has no label %s", p.Title, names[0], label)
				}
			}
		}
	}
	if queries < 40 {
		t.Errorf("%d queries, want at least 40", queries)
	}
}
