package source

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// barren is a machine that has nothing to read.
func barren() probes {
	return probes{
		cpuSeconds:   func(context.Context) [2]float64 { return nan2 },
		load:         func(context.Context) [3]float64 { return [3]float64{nan, nan, nan} },
		memory:       func(context.Context) memory { return memory{nan, nan, nan} },
		diskPercent:  func(context.Context) float64 { return nan },
		diskBytes:    func(context.Context) [2]float64 { return nan2 },
		netBytes:     func(context.Context) [2]float64 { return nan2 },
		temperatures: func(context.Context) map[string]float64 { return nil },
	}
}

func newTestHost(t *testing.T, p probes, o HostOptions) *Host {
	t.Helper()
	h, err := NewHost(o)
	if err != nil {
		t.Fatal(err)
	}
	h.p, h.name = p, "test"
	return h
}

func TestHostRowsAndPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := barren()
		var cpu, disk float64
		p.cpuSeconds = func(context.Context) [2]float64 { cpu++; return [2]float64{4 * cpu, cpu} } // 25 % busy
		p.diskBytes = func(context.Context) [2]float64 { disk += 4096; return [2]float64{disk, 0} }
		p.load = func(context.Context) [3]float64 { return [3]float64{1.5, nan, math.Inf(1)} }
		p.temperatures = func(context.Context) map[string]float64 { return map[string]float64{"core_1": 40, "acpi": 35.25} }
		h := newTestHost(t, p, HostOptions{Interval: 2 * time.Second, Rows: 2})

		start := time.Now()
		b, err := h.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("two samples took %v, want 4s", d)
		}
		const want = fixedColumns + ",temp_acpi_c,temp_core_1_c\n" +
			"2000-01-01T00:00:02.000Z,25,1.5,,,,,,,2,0,,,35.25,40\n" + // 4096 B in 2 s = 2 KiB/s
			"2000-01-01T00:00:04.000Z,25,1.5,,,,,,,2,0,,,35.25,40\n"
		if string(b.CSV) != want {
			t.Errorf("got\n%swant\n%s", b.CSV, want)
		}
		if b.Name != "test samples 1-2" || b.Rows != 2 {
			t.Errorf("batch %q of %d rows", b.Name, b.Rows)
		}

		time.Sleep(time.Minute) // nobody asks; the source must not catch up in a burst
		start = time.Now()
		if _, err := h.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("after a pause two samples took %v, want one at once and one 2s later", d)
		}
	})
}

func TestHostVanishingSensorIsAnEmptyCell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := barren()
		reads := 0
		p.diskPercent = func(context.Context) float64 { return 50 }
		p.temperatures = func(context.Context) map[string]float64 {
			if reads++; reads > 2 {
				return map[string]float64{"new": 1}
			}
			return map[string]float64{"old": 2}
		}
		b, err := newTestHost(t, p, HostOptions{Rows: 1}).Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if want := ",50,,,,,\n"; !strings.HasSuffix(string(b.CSV), want) || !strings.Contains(string(b.CSV), "temp_old_c\n") {
			t.Errorf("got\n%swant a row that ends in %q below temp_old_c", b.CSV, want)
		}
	})
}

func TestHostWithoutAnyReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newTestHost(t, barren(), HostOptions{Rows: 2}).Next(context.Background())
		if err == nil || !strings.Contains(err.Error(), "use a CSV file") {
			t.Errorf("error %v", err)
		}
	})
}

func TestHostStopsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := newTestHost(t, barren(), HostOptions{}).Next(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("stopped after %v with %v", time.Since(start), err)
		}
	})
}

func TestHostBatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := barren()
		p.temperatures = func(context.Context) map[string]float64 {
			all := map[string]float64{}
			for i := range 100 {
				all["a_sensor_with_a_long_name_"+strconv.Itoa(i)] = 12345.678
			}
			return all
		}
		h := newTestHost(t, p, HostOptions{Rows: maxHostRows})
		b, err := h.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(b.CSV) > defaultMaxBytes || b.Rows >= maxHostRows || len(h.sensors) != maxSensors {
			t.Errorf("%d bytes, %d rows, %d sensors", len(b.CSV), b.Rows, len(h.sensors))
		}
	})
}

func TestHostOptionsChecked(t *testing.T) {
	for _, o := range []HostOptions{{Interval: time.Millisecond}, {Interval: -1}, {Rows: -1}, {Rows: maxHostRows + 1}} {
		if _, err := NewHost(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestCountersReset(t *testing.T) {
	var c counters
	at := time.Unix(1000, 0)
	steps := []struct {
		v, want [2]float64
	}{
		{[2]float64{100, 100}, nan2},                // nothing to compare with
		{[2]float64{150, 100}, [2]float64{50, 0}},   // 150-100
		{[2]float64{10, 130}, [2]float64{nan, 30}},  // the first was reset
		{[2]float64{nan, 131}, [2]float64{nan, 1}},  // the first could not be read
		{[2]float64{20, 132}, [2]float64{nan, 1}},   // nor could it last time
		{[2]float64{25, 133.5}, [2]float64{5, 1.5}}, // both again
	}
	for i, s := range steps {
		at = at.Add(time.Second)
		got, _ := c.grown(at, s.v)
		for j := range got {
			if got[j] != s.want[j] && !(missing(got[j]) && missing(s.want[j])) {
				t.Errorf("step %d: %v, want %v", i, got, s.want)
			}
		}
	}
}

// This machine, whatever it has.
func TestThisHost(t *testing.T) {
	h, err := NewHost(HostOptions{Interval: minInterval, Rows: 3})
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(b.CSV)).ReadAll()
	if err != nil || len(records) != 4 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, rec := range records[1:] {
		if _, err := time.Parse(time.RFC3339, rec[0]); err != nil {
			t.Error(err)
		}
		for i, cell := range rec[1:] {
			v, err := strconv.ParseFloat(cell, 64)
			if cell == "" {
				continue
			}
			if err != nil || v < 0 && !strings.HasPrefix(records[0][i+1], "temp_") {
				t.Errorf("%s is %q", records[0][i+1], cell)
			}
		}
	}
}
