package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// report is what results.json holds.
type report struct {
	Command string   `json:"command"`
	Machine string   `json:"machine"`
	LeftOut []string `json:"left_out"` // why sizes were not measured
	Results []result `json:"results"`
}

// write writes results.json into a folder.
func (r *report) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "results.json"), append(b, '\n'), 0o644)
}

// commandLine describes what shapes the figures.
func commandLine(o *options) string {
	return fmt.Sprintf("ledgerscale: %d waiters x %d coins, %v, cache %sB, %d analysts",
		o.Waiters, o.Coins, o.Time, si(float64(o.CacheBytes)), analystCount)
}

// columns of the two tables, whose rows are sizes and paths.
var redeeming = []column{
	{"coins/s", func(r *result) string { return si(r.CoinsPerS) }},
	{"CPU us/coin", func(r *result) string { return fmt.Sprintf("%.2f", r.CPUUs) }},
	{"with compaction", func(r *result) string { return fmt.Sprintf("%.2f", r.CPUDrainedUs) }},
	{"p50 / p99 / p99.9 ms", func(r *result) string { return fmt.Sprintf("%.1f / %.1f / %.1f", r.P50Ms, r.P99Ms, r.P999Ms) }},
	{"write amplification = log + tables + compaction", func(r *result) string {
		return fmt.Sprintf("%.1f = %.1f + %.1f + %.1f", r.WriteAmp, r.WriteAmpLog, r.WriteAmpTables, r.WriteAmpCompact)
	}},
	{"redeemed", func(r *result) string { return si(float64(r.Redeemed)) }},
}

var keeping = []column{
	{"load coins/s", func(r *result) string { return si(r.LoadCoinsPerS) }},
	{"disk B/coin", func(r *result) string { return fmt.Sprintf("%.1f", r.DiskBytesPerCoin) }},
	{"after redeeming", func(r *result) string { return fmt.Sprintf("%.1f", r.DiskBytesPerCoinAfter) }},
	{"index B/coin", func(r *result) string { return blankIf(r.IndexLimit == 0, fmt.Sprintf("%.1f", r.IndexBytesPerCoin)) }},
	{"memory", func(r *result) string { return si(float64(r.RSSBytes)) + "B" }},
	{"reopen after kill -9 s", func(r *result) string { return fmt.Sprintf("%.2f", r.OpenS) }},
	{"first redeem", func(r *result) string { return fmt.Sprintf("%.2f", r.FirstRedeemS) }},
	{"whole index", func(r *result) string {
		if r.IndexLimit > 0 && r.IndexedShare < 1 {
			return fmt.Sprintf("%.0f %% fit", 100*r.IndexedShare)
		}
		return blankIf(r.IndexLimit == 0, fmt.Sprintf("%.2f", r.IndexedS))
	}},
	{"answered, lost", func(r *result) string { return fmt.Sprintf("%s, %d", si(float64(r.Answered)), r.Lost) }},
	{"audit s", func(r *result) string { return fmt.Sprintf("%.1f", r.AuditS) }},
}

type column struct {
	title string
	cell  func(*result) string
}

func blankIf(blank bool, s string) string {
	if blank {
		return ""
	}
	return s
}

// table writes the results in Markdown.
func (r *report) table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", r.Machine, r.Command)
	for _, columns := range [][]column{redeeming, keeping} {
		b.WriteString("\n| coins | path |")
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", c.title)
		}
		b.WriteString("\n|" + strings.Repeat("---|", 2+len(columns)) + "\n")
		for i := range r.Results {
			m := &r.Results[i]
			fmt.Fprintf(&b, "| %s | %s |", si(float64(m.Coins)), m.Path)
			for _, c := range columns {
				fmt.Fprintf(&b, " %s |", c.cell(m))
			}
			b.WriteString("\n")
		}
	}
	for _, line := range r.LeftOut {
		fmt.Fprintf(&b, "\n%s\n", line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// si writes three digits and k, M, G or T.
func si(x float64) string {
	unit := ""
	for _, u := range []string{"k", "M", "G", "T"} {
		if math.Abs(x) < 999.5 {
			break
		}
		x, unit = x/1000, u
	}
	digits := 0
	if a := math.Abs(x); a != math.Trunc(a) || unit != "" {
		digits = max(0, 2-int(math.Floor(math.Log10(max(a, 1)))))
	}
	s := strconv.FormatFloat(x, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + unit
}
