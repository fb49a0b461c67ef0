package report

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"ecoin/loadgen/result"
	"ecoin/loadgen/resulttest"
)

// TestHgrm reads the percentiles as HdrHistogram's plotter does: lines of four
// columns, value and 1/(1-percentile).
func TestHgrm(t *testing.T) {
	var l result.Latency
	for i := range 1000 {
		l.Record(time.Duration(i+1) * time.Millisecond)
	}
	var file bytes.Buffer
	if err := WriteHgrm(&file, &l); err != nil {
		t.Fatal(err)
	}
	points := 0
	for line := range strings.Lines(file.String()) {
		columns := regexp.MustCompile(" +").Split(strings.TrimSpace(line), -1)
		if line[0] == '#' || len(columns) != 4 || columns[3] == "inf" {
			continue
		}
		ms, err := strconv.ParseFloat(columns[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		percentile, err := strconv.ParseFloat(columns[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1000 * percentile; ms < want-1 || ms > want+2 {
			t.Errorf("%v ms at %v, want about %v", ms, percentile, want)
		}
		points++
	}
	if points < 20 || !strings.Contains(file.String(), "Total count    =         1000") {
		t.Errorf("%d points:\n%s", points, &file)
	}
	file.Reset()
	if err := WriteHgrm(&file, new(result.Latency)); err != nil {
		t.Fatal(err)
	}
}

func TestHlogReadBack(t *testing.T) {
	r := resulttest.Run(resulttest.Options{Seconds: 20, Rate: 100})
	r.Command = "ecoin\n1,1,1,HIST" // must not become a line of its own
	r.Seconds[3].Response = result.Latency{}
	var file bytes.Buffer
	if err := WriteHlog(&file, r); err != nil {
		t.Fatal(err)
	}
	log := hdrhistogram.NewHistogramLogReader(&file)
	for i := range r.Seconds {
		h, err := log.NextIntervalHistogram()
		if err != nil || h == nil {
			t.Fatalf("second %d: %v, %v", i, h, err)
		}
		want := r.Seconds[i].Response.Histogram()
		if !h.Equals(want) {
			t.Errorf("second %d: another histogram, of %d durations and not %d", i, h.TotalCount(), want.TotalCount())
		}
		from := r.Started.UnixMilli() + int64(i)*1000
		if h.StartTimeMs() != from || h.EndTimeMs() != from+1000 || h.Tag() != "" {
			t.Errorf("second %d: from %d to %d, tag %q", i, h.StartTimeMs(), h.EndTimeMs(), h.Tag())
		}
	}
	if h, err := log.NextIntervalHistogram(); h != nil || err != nil {
		t.Errorf("after the last: %v, %v", h, err)
	}
}
