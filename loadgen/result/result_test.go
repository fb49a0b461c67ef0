package result

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func sample(ok int64, ms ...int) *Run {
	r := &Run{
		Command: "loadgen redeem", Machine: "m", Started: time.Unix(1_700_000_000, 0).UTC(), Took: 2,
		Setup:  Setup{Workload: "redeem", Model: "open", Rate: 100, Conns: 4, Fleet: 10, Workers: 1},
		Kinds:  []Kind{{Name: "redeem", Planned: ok + 2, Sent: ok + 1, Skipped: 1, OK: ok, Failed: 1, Coins: ok * 8}},
		Errors: []Error{{Kind: "redeem", Reason: "no answer", Count: 1}},
		Audit:  &Audit{OK: true, Issued: 9, Redeemed: 9},
	}
	for _, m := range ms {
		r.Kinds[0].Response.Record(time.Duration(m) * time.Millisecond)
		r.Generator.Lag.Record(time.Duration(m) * time.Microsecond)
	}
	r.Seconds = []Second{{At: 0, OK: ok, Coins: ok * 8, Response: r.Kinds[0].Response}, {At: 1}}
	return r
}

func TestRunSurvivesItsFile(t *testing.T) {
	r := sample(3, 1, 2, 30)
	var file bytes.Buffer
	if err := r.Write(&file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Kinds[0].Response.Histogram().Equals(r.Kinds[0].Response.Histogram()) {
		t.Error("the histogram changed")
	}
	var again bytes.Buffer
	if err := got.Write(&again); err != nil {
		t.Fatal(err)
	}
	if file.String() != again.String() {
		t.Errorf("written again, the run differs:\n%s\n%s", &file, &again)
	}
	for _, part := range []string{`"p50_us": 2000`, `"p99.9_us": 30`, `"count": 3`} {
		if !strings.Contains(file.String(), part) {
			t.Errorf("no %s in the file", part)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	var file bytes.Buffer
	if err := sample(3, 1, 2, 30).Write(&file); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(string) string{
		"not JSON":              func(s string) string { return s[:len(s)/2] },
		"another format":        func(s string) string { return strings.Replace(s, `"format": 1`, `"format": 2`, 1) },
		"no kinds":              func(s string) string { return strings.Replace(s, `"kinds"`, `"sorts"`, 1) },
		"a count that is not":   func(s string) string { return strings.Replace(s, `"count": 3`, `"count": 4`, 1) },
		"a histogram cut short": func(s string) string { return strings.Replace(s, `"hdr": "HIST`, `"hdr": "HI`, 1) },
		"no histogram":          func(s string) string { return strings.Replace(s, `"hdr"`, `"rdh"`, 1) },
		"a negative time":       func(s string) string { return strings.Replace(s, `"took_s": 2`, `"took_s": -2`, 1) },
	} {
		changed := change(file.String())
		if changed == file.String() {
			t.Errorf("%s: nothing was changed", name)
		}
		if _, err := Read(strings.NewReader(changed)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestLatency(t *testing.T) {
	var l Latency
	if l.Count() != 0 || l.Quantile(.5) != 0 || l.Mean() != 0 || l.Max() != 0 || l.Histogram().TotalCount() != 0 {
		t.Error("an empty one holds something")
	}
	for range 99 {
		l.Record(time.Millisecond)
	}
	l.Record(2 * time.Hour) // counts as an hour
	if l.Count() != 100 || l.Quantile(.5).Round(10*time.Microsecond) != time.Millisecond {
		t.Errorf("%d durations, median %v", l.Count(), l.Quantile(.5))
	}
	if m := l.Max(); m < time.Hour || m > time.Hour+5*time.Second {
		t.Errorf("the longest is %v, want an hour", m)
	}
	l.Reset()
	l.Record(-time.Second)
	if l.Count() != 1 || l.Max() != time.Microsecond {
		t.Errorf("after a reset and a negative duration: %d, %v", l.Count(), l.Max())
	}
}

func TestMerge(t *testing.T) {
	a, b := sample(3, 1, 2, 30), sample(5, 4, 5)
	b.Seconds = append(b.Seconds, Second{At: 2, OK: 7})
	b.Audit.Problems, b.Audit.OK = []string{"a coin was lost"}, false
	b.Errors[0].Reason = "another"
	m, err := Merge(a, b)
	if err != nil {
		t.Fatal(err)
	}
	total := m.Total()
	if total.OK != 8 || total.Planned != 12 || total.Skipped != 2 || total.Coins != 64 || total.Response.Count() != 5 {
		t.Errorf("together: %+v", total)
	}
	if got := total.ErrorShare(); got != 4.0/12 {
		t.Errorf("error share %v, want 4 of 12", got)
	}
	if m.GoodRate() != 32 {
		t.Errorf("%v coins a second, want 64 in 2", m.GoodRate())
	}
	if len(m.Seconds) != 3 || m.Seconds[0].OK != 8 || m.Seconds[0].Response.Count() != 5 || m.Seconds[2].OK != 7 {
		t.Errorf("seconds: %+v", m.Seconds)
	}
	if m.Setup.Workers != 2 || m.Setup.Rate != 200 || m.Setup.Fleet != 20 {
		t.Errorf("setup: %+v", m.Setup)
	}
	if len(m.Errors) != 2 || m.Audit.OK || len(m.Audit.Problems) != 1 || m.Audit.Issued != 18 || m.Generator.Lag.Count() != 5 {
		t.Errorf("merged: %+v, %+v", m.Errors, m.Audit)
	}
	if a.Kinds[0].Response.Count() != 3 || a.Seconds[0].Response.Count() != 3 {
		t.Error("merging changed a run")
	}
	b.Setup.Workload = "withdraw"
	if _, err := Merge(a, b); err == nil {
		t.Error("runs of different loads were merged")
	}
	if _, err := Merge(); err == nil {
		t.Error("nothing was merged")
	}
}
