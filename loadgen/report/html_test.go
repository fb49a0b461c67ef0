package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

func asHTML(t *testing.T, r *result.Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"NaN", "Inf", "ZgotmplZ", "<script", "src=", "url(", "@import", "%!"} {
		if strings.Contains(b.String(), wrong) {
			t.Errorf("%s is in the report", wrong)
		}
	}
	return b.String()
}

func TestHTML(t *testing.T) {
	got := asHTML(t, resulttest.Run(resulttest.Options{}))
	for _, part := range []string{
		`class="verdict good" id="verdict"><p>Valid, audit ok, 1 of 1 thresholds met</p>`,
		"<dd>7,520<span> /s</span></dd>",                         // coins
		"<dt>p99</dt><dd>1.24 s</dd><small>service time 1.99 ms", // the stall is seen from the plan alone
		"good <b>56,399</b>",
		"<title>at 26 s: 1,000 planned, 0 good, 0 refused, 0 failed or skipped</title>",
		"<td>40.2 s</td><td class=\"text\">kill -9 the bank</td>",
		"<td class=\"value\">100 of 100</td>",
		"ecoin loadgen redeem --self-contained --rate 1000",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s", part)
		}
	}
	if n := strings.Count(got, "<svg"); n != 12 {
		t.Errorf("%d SVGs, want 6 wide and 6 narrow", n)
	}
}

func TestHTMLVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*result.Run)
		want   string
	}{
		{"not audited", func(r *result.Run) { r.Audit = nil }, `good" id="verdict"><p>Valid, not audited, 1 of 1 thresholds met<`},
		{"invalid", func(r *result.Run) { r.Invalid = []string{"lag"} }, `warn" id="verdict"><p>INVALID, audit ok, 1 of 1 thresholds met</p><ul><li>invalid: lag</li>`},
		{"breach", func(r *result.Run) { r.Audit.Problems = []string{"p"} }, `bad" id="verdict"><p>Valid, AUDIT BREACH, 1 of 1 thresholds met</p><ul><li>audit: p</li>`},
		{"breach without words", func(r *result.Run) { r.Audit.OK = false }, `bad" id="verdict"><p>Valid, AUDIT BREACH, `},
		{"threshold", func(r *result.Run) { r.Checks = []result.Check{{Name: "p99<1ms", Value: "2 ms"}} }, `bad" id="verdict"><p>Valid, audit ok, 0 of 1 thresholds met</p><ul><li>threshold: p99&lt;1ms is not met: 2 ms</li>`},
	} {
		r := resulttest.Run(resulttest.Options{Seconds: 3, Rate: 20, Calm: true})
		c.change(r)
		if got := asHTML(t, r); !strings.Contains(got, c.want) {
			t.Errorf("%s: no %s in %s", c.name, c.want, got[strings.Index(got, `<div class="verdict`):][:300])
		}
	}
}

func TestHTMLOfLittle(t *testing.T) {
	for name, r := range small() {
		got := asHTML(t, r)
		for _, part := range []string{`id="verdict"`, `id="plots"`, `id="audit"`, `id="server"`, "Latency by percentile"} {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %s", name, part)
			}
		}
	}
}

// TestHTMLOfALongRun checks that a report does not grow with the length of the run.
func TestHTMLOfALongRun(t *testing.T) {
	r := resulttest.Run(resulttest.Options{Seconds: 3000, Rate: 20})
	got := asHTML(t, r)
	if len(got) > 2<<20 {
		t.Errorf("%d bytes of 3000 seconds", len(got))
	}
	bins := timeline(r.Seconds)
	sum, answers := 0.0, int64(0)
	for i := range bins {
		sum += bins[i].ok * (bins[i].to - bins[i].from)
		answers += bins[i].response.Count()
	}
	if total := r.Total(); len(bins) > mostBins || int64(sum+.5) != total.OK || answers != total.OK || length(bins) != 3000 {
		t.Errorf("%d bins of %v answers, %d with a time, until %v; want %d until 3000", len(bins), sum, answers, length(bins), total.OK)
	}
}

func TestTimelineDistrustsTimes(t *testing.T) {
	for _, at := range [][]float64{{0, 2, 1}, {-1, 0, 1}, {0, 1, 1e300}} {
		seconds := make([]result.Second, 3)
		for i := range seconds {
			seconds[i].At = at[i]
		}
		if bins := timeline(seconds); bins[2].from != 2 || bins[2].to != 3 {
			t.Errorf("times %v: the last is from %v to %v", at, bins[2].from, bins[2].to)
		}
	}
	if bins := timeline([]result.Second{{At: 0}, {At: 5}}); bins[1].from != 5 {
		t.Errorf("a gap was lost: %v", bins[1].from)
	}
}

func TestPercentileCurve(t *testing.T) {
	var l result.Latency
	if got := PercentileCurve(&l); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 1000 {
		l.Record(time.Duration(i+1) * time.Millisecond)
	}
	curve := PercentileCurve(&l)
	last := curve[len(curve)-1]
	if curve[0].X != 2 || curve[0].Y < 499e3 || curve[0].Y > 501e3 || last.X > 1000 || last.X < 900 || last.Y < 998e3 {
		t.Errorf("from %v to %v, want from 500 ms at 50 %% to 999 ms at 99.9 %%, where 1000 answers end", curve[0], last)
	}
}

func TestThroughputIsStacked(t *testing.T) {
	c := newPlots(&result.Run{Seconds: []result.Second{{Planned: 9, OK: 4, Refused: 2, Failed: 1}}}).throughput()
	var got []string
	for _, s := range c.Series {
		got = append(got, fmt.Sprint(s.Name, s.Points, s.Low))
	}
	if want := "good[{0 4} {1 4}] [] refused[{0 6} {1 6}] [4 4] failed or skipped[{0 7} {1 7}] [6 6] planned[{0 9} {1 9}] []"; strings.Join(got, " ") != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
