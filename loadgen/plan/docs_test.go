package plan

import (
	"os"
	"strings"
	"testing"
)

// TestBenchmarksSaysSo checks that BENCHMARKS.md has the figures that this package took from
// it by hand, and the outcome of the plan that it tells of.
func TestBenchmarksSaysSo(t *testing.T) {
	file, err := os.ReadFile("../../BENCHMARKS.md")
	if err != nil {
		t.Fatal(err)
	}
	section := func(title string) string {
		_, rest, found := strings.Cut(string(file), "\n## "+title+"\n")
		if !found {
			t.Fatalf("no section %q", title)
		}
		text, _, _ := strings.Cut(rest, "\n## ")
		return text
	}
	thousandths := func(us float64) string { return number(us * 1000) } // the tables are in ns
	p := make_(t, "nvme-16c", nil)
	line := func(key string) string { return number(at(t, p, key).Value) }
	for title, figures := range map[string][]string{
		"The codec against the standard library": {
			thousandths(codec["x25519"].batch64), thousandths(codec["x25519"].batch8), thousandths(codec["xwing"].batch64), thousandths(codec["xwing"].batch8),
		},
		"The bank's coins": {"| coins | 43 | 75 |", "eight lanes | 50 | 93 |"},
		"A redeem":         {number(groupCoins.Value) + " coins a sync"},
		"Disk":             {number(diskSyncs.Value) + "/s", number(diskWrites.Value) + " MB/s", number(diskReads.Value) + "/s"},
		"A ledger in a database": {
			"| redeem | " + number(sqlRate.Value) + " | " + number(sqlRedeemUs.Value) + " | " + number(sqlAskUs.Value) + " | " + number(sqlLogHot.Value) + " | " + number(sqlSpentBytes.Value) + " |",
			"| withdraw | " + number(sqlIssue.Value) + " | " + number(sqlWithdrawUs.Value) + " | " + number(sqlIssueUs.Value) + " | 162 | " + number(sqlBytes.Value) + " |",
			number(sqlLogCold.Value) + " bytes", number(sqlRows.Value) + " live coins", "0.3 s", "30 s",
		},
		"A plan for 10^12 coins": {
			line("mean") + " redeems a second", line("redeems") + " at the peak", line("connects") + " a second",
			line("index_n_cores") + " nodes.", line("index_nodes") + " nodes.", line("index_n_disk_space") + " nodes.",
			line("plain_n_cores") + " nodes for cores", line("plain_n_disk_reads") + " for reads", "cheapest, " + line("plain_nodes") + " nodes",
			line("sql_copy") + " nodes a copy", line("sql_engine") + " for three", line("sql_banks") + " for the banks",
		},
	} {
		text := section(title)
		for _, figure := range figures {
			if !strings.Contains(text, figure) {
				t.Errorf("section %q does not say %q", title, figure)
			}
		}
	}
	if mintUs.Value != 0.075+0.093 {
		t.Errorf("a coin and its fingerprint take %v us", mintUs.Value)
	}
}
