package schedule

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// must parses a schedule; a trace's text is that of its file.
func must(t testing.TB, text string) *Spec {
	t.Helper()
	s, err := parse(text, func(rows string) ([]row, error) { return parseTrace([]byte(rows)) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// all returns the moments of one worker.
func all(s *Sends) (list []time.Duration) {
	for at, ok := s.Next(); ok; at, ok = s.Next() {
		list = append(list, at)
	}
	return list
}

func TestMoments(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, c := range []struct {
		text string
		of   time.Duration
		want []time.Duration
	}{
		{"2", 2 * s, []time.Duration{0, 500 * ms, s, 1500 * ms}},
		{"constant:3", s, []time.Duration{0, 333333333, 666666667}},
		{"constant:3", 666666667, []time.Duration{0, 333333333, 666666666}},                                                          // not at the very end, where rounding puts it
		{"constant:0.07", 100 * s, []time.Duration{0, 14285714286, 28571428571, 42857142857, 57142857143, 71428571429, 85714285714}}, // .07*100 > 7
		{"constant:0.1", s, []time.Duration{0}},
		{"constant:0.1", 10*s + 1, []time.Duration{0, 10 * s}},
		{"constant:5", 0, nil},
		{"constant:5", -s, nil},
		{"constant:5", 1, []time.Duration{0}},
		// t²/2·4/2 = k
		{"ramp:0..4", 2 * s, []time.Duration{0, s, 1414213562, 1732050808}},
		{"ramp:4..0", 2 * s, []time.Duration{0, 2*s - 1732050808, 2*s - 1414213562, s}},
		{"ramp:2..2", s, []time.Duration{0, 500 * ms}},
		{"step:1,2", 4 * s, []time.Duration{0, s, 2 * s, 2500 * ms, 3 * s, 3500 * ms}},
		{"step:1,0,2", 6 * s, []time.Duration{0, s, 4 * s, 4500 * ms, 5 * s, 5500 * ms}},
		{"step:1x2s,2x1s", 9 * s, []time.Duration{0, s, 2 * s, 2500 * ms}},
		{"step:1x2s,2x1s", 2100 * ms, []time.Duration{0, s, 2 * s}},
		// A gap may begin in one step and end in the next: 1.5 sends, then the last half of the second.
		{"step:1x1500ms,2x1500ms", 3 * s, []time.Duration{0, s, 1750 * ms, 2250 * ms, 2750 * ms}},
		{"trace:1,1\n3,4\n4,0\n5,2", 99 * s, []time.Duration{s, 2 * s, 3 * s, 3250 * ms, 3500 * ms, 3750 * ms, 5 * s, 5500 * ms}},
		{"trace:2*1,1\n3,0", 99 * s, []time.Duration{s, 1500 * ms, 2 * s, 2500 * ms}},
		{"trace:1,1", 3 * s, []time.Duration{s, 2 * s}},
		{"trace:5,1", 3 * s, nil},
		// Whole periods have mean·period sends. The first quarter has a quarter of them and amplitude·period/2π more.
		{"sine:1+-0/1s", 3 * s, []time.Duration{0, s, 2 * s}},
		{"sine:1+-1/1s", 3 * s, []time.Duration{0, s, 2 * s}},
	} {
		spec := must(t, c.text)
		if got := all(spec.Sends(c.of, 1, 0, 1)); !slices.Equal(got, c.want) {
			t.Errorf("%q of %v: %v, want %v", c.text, c.of, got, c.want)
		}
		if got := spec.Total(c.of); got != int64(len(c.want)) {
			t.Errorf("%q of %v: %d in all, want %d", c.text, c.of, got, len(c.want))
		}
	}
}

// TestMomentsStayExact looks at the last sends of a day at a million a second.
func TestMomentsStayExact(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		text    string
		of      time.Duration
		n       int64
		k       int64
		at, gap time.Duration
	}{
		{"1000000", day, 86_400_000_000, 86_399_999_990, day - 10*time.Microsecond, time.Microsecond},
		{"step:500000x12h,1000000x12h", day, 64_800_000_000, 64_799_999_990, day - 10*time.Microsecond, time.Microsecond},
		{"sine:1000000+-0/60s", day, 86_400_000_000, 86_399_999_990, day - 10*time.Microsecond, time.Microsecond},
		{"ramp:1000000..1000000", day, 86_400_000_000, 86_399_999_990, day - 10*time.Microsecond, time.Microsecond},
		{"trace:0,1000000\n0.1,1000000", 200 * time.Millisecond, 200_000, 199_990, 199990 * time.Microsecond, time.Microsecond},
		{"10000000", day, 864_000_000_000, 863_999_999_990, day - time.Microsecond, 100},
	} {
		spec := must(t, c.text)
		if got := spec.Total(c.of); got != c.n {
			t.Errorf("%s: %d sends, want %d", c.text, got, c.n)
		}
		s := spec.Sends(c.of, 0, 0, 1)
		s.k = c.k
		for i := range 10 {
			at, ok := s.Next()
			if want := c.at + time.Duration(i)*c.gap; !ok || at != want {
				t.Errorf("%s: send %d at %v, want %v", c.text, c.k+int64(i), at, want)
			}
		}
		if at, ok := s.Next(); ok {
			t.Errorf("%s: another send at %v", c.text, at)
		}
	}
}

// TestLongTrace sums a tenth of a send two million times.
func TestLongTrace(t *testing.T) {
	rows := make([]row, 2_000_001)
	for i := range rows {
		rows[i] = row{float64(i), .1}
	}
	pieces := straight(rows, 1)
	if last := pieces[len(pieces)-1]; math.Abs(last.integral(last.end)-200_000) > 1e-9 {
		t.Errorf("%v sends", last.integral(last.end))
	}
}

func TestRate(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		text string
		at   time.Duration
		want float64 // of a run of 8 s
	}{
		{"7", 0, 7}, {"7", 8*s - 1, 7}, {"7", 8 * s, 0}, {"7", -1, 0},
		{"poisson:7", s, 7},
		{"ramp:0..8", 2 * s, 2}, {"ramp:8..0", 2 * s, 6},
		{"step:1,2", 4*s - 1, 1}, {"step:1,2", 4 * s, 2},
		{"step:1x1s,2x1s", s, 2}, {"step:1x1s,2x1s", 2 * s, 0},
		{"sine:5+-2/4s", 0, 5}, {"sine:5+-2/4s", s, 7}, {"sine:5+-2/4s", 3 * s, 3}, {"sine:5+-2/4s", 5 * s, 7}, {"sine:5+-2/4s", 8 * s, 0},
		{"trace:3*1,1\n2,2", 0, 0}, {"trace:3*1,1\n2,2", s, 3}, {"trace:3*1,1\n2,2", 2 * s, 6}, {"trace:3*1,1\n2,2", 3 * s, 0},
	} {
		if got := must(t, c.text).Rate(c.at, 8*s); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%q at %v: %v a second, want %v", c.text, c.at, got, c.want)
		}
	}
}

func TestMean(t *testing.T) {
	for text, want := range map[string]float64{ // of a run of 8 s
		"7": 7, "poisson:7": 7, "ramp:0..8": 4, "step:1,2": 1.5, "step:1x1s,2x1s": 3. / 8, "sine:5+-2/4s": 5,
		"sine:5+-2/16s": 5 + 2*16/(2*math.Pi)*2/8, "trace:3*1,1\n2,2": 9. / 8,
	} {
		if got := must(t, text).Mean(8 * time.Second); math.Abs(got-want) > 1e-12 {
			t.Errorf("%q: %v a second, want %v", text, got, want)
		}
	}
	if got := must(t, "7").Mean(0); got != 0 {
		t.Errorf("of no time: %v", got)
	}
}

func TestScale(t *testing.T) {
	for text, want := range map[string]string{
		"5": "constant:10", "poisson:5": "poisson:10", "ramp:1..5": "ramp:2..10", "step:1,0": "step:2,0", "step:1x1m": "step:2x1m0s",
		"sine:5+-2/60s": "sine:10+-4/1m0s", "trace:3,1": "trace:2*3,1", "trace:3*3,1": "trace:6*3,1", "trace:.5*3,1": "trace:3,1",
		"8000000": "constant:10000000", // no more than that
	} {
		s := must(t, text)
		before := s.String()
		got := s.Scale(2)
		if got.String() != want || !reflect.DeepEqual(got, must(t, want)) {
			t.Errorf("%q twice: %v, want %s", text, got, want)
		}
		if s.String() != before || !reflect.DeepEqual(s, must(t, text)) {
			t.Errorf("%q was changed to %v", text, s)
		}
		for _, f := range []float64{math.SmallestNonzeroFloat64, math.MaxFloat64, 1. / 3} {
			text := s.Scale(f).String()
			if must(t, text).String() != text { // must can fail, too
				t.Errorf("%q times %g is not read again", text, f)
			}
		}
	}
	for i := range 1000 { // at the limit, where rounding goes either way
		text := must(t, number(float64(i+1)/7)).Scale(math.MaxFloat64).String()
		if must(t, text).String() != text {
			t.Errorf("%q is not read again", text)
		}
	}
	for _, f := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("scaled by %v", f)
				}
			}()
			must(t, "5").Scale(f)
		}()
	}
}

func TestSendsForNobody(t *testing.T) {
	for _, w := range [][2]int{{0, 0}, {-1, 1}, {1, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("worker %d of %d has sends", w[0], w[1])
				}
			}()
			must(t, "5").Sends(time.Second, 0, w[0], w[1])
		}()
	}
}

func TestTraceFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "2*day.csv") // the name begins as a factor would
	if err := os.WriteFile(file, []byte("seconds,rate\n0,10\n60,20\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	s, err := Parse("trace:1*2*day.csv")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Total(time.Hour); got != 60*10+60*20 {
		t.Errorf("%d sends", got)
	}
	for _, s := range []*Spec{s, s.Scale(1. / 3), s.Scale(2)} {
		if again, err := Parse(s.String()); err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%v is read as %v (%v)", s, again, err)
		}
	}
	if _, err := Parse("trace:none.csv"); err == nil || !strings.Contains(err.Error(), "none.csv") {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile("big.csv", make([]byte, 10e6+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("trace:big.csv"); err == nil || !strings.Contains(err.Error(), "10 MB") {
		t.Errorf("a big file: %v", err)
	}
}
