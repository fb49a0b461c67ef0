package fault

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	faults, err := Parse(strings.NewReader(`
# the worst night
t=1m30s drop

t=30s  kill for 5s # and again at 100 s
t=60s pause for 1s
	t=60s delay 200ms for 10s
t=95s cut for 3s
t=100s throttle 1.5MB/s for 5s
t=100s kill
t=105s throttle 500kB/s for 5s
t=0s throttle 999B/s for 1s
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	want := []string{
		"t=0s throttle 999B/s for 1s", "t=30s kill for 5s", "t=1m0s pause for 1s", "t=1m0s delay 200ms for 10s", "t=1m30s drop",
		"t=1m35s cut for 3s", "t=1m40s throttle 1500kB/s for 5s", "t=1m40s kill", "t=1m45s throttle 500kB/s for 5s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("read as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if f := faults[3]; f.At != time.Minute || f.late != 200*time.Millisecond || f.length != 10*time.Second {
		t.Errorf("%+v", f)
	}
	if f := faults[6]; f.rate != 1_500_000 {
		t.Errorf("%+v", f)
	}
}

func TestNeeds(t *testing.T) {
	for line, want := range map[string][2]bool{
		"t=1s kill": {true, false}, "t=1s pause for 1s": {true, false}, "t=1s drop": {false, true}, "t=1s cut for 1s": {false, true},
		"t=1s delay 1s for 1s": {false, true}, "t=1s throttle 1B/s for 1s": {false, true}, "t=1s kill\nt=1s drop": {true, true},
	} {
		faults, err := Parse(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{NeedsServer(faults), NeedsProxy(faults)}; got != want {
			t.Errorf("%q: server, proxy %v, want %v", line, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "no faults"}, {"# none\n\n", "no faults"}, {"t=1s drop\nkill", "line 2: "}, {"\n\nt=30s", "line 3: "}, {"30s kill", "t=30s kill"},
		{"t= kill", `"" is not a time`}, {"t=30 kill", `"30" is not a time`}, {"t=-1s kill", "is not a time"}, {"t=1001h kill", "to 1000h"},
		{"t=1s explode", "no fault"}, {"t=1s Kill", "no fault"},
		{"t=1s kill 5s", "kill for 5s"}, {"t=1s kill for", "kill for 5s"}, {"t=1s kill in 5s", "kill for 5s"}, {"t=1s kill for 5s now", "kill for 5s"},
		{"t=1s kill for 0s", "not a length"}, {"t=1s kill for -5s", "not a length"}, {"t=1s kill for 5", "not a length"},
		{"t=1s pause", "pause for 1s"}, {"t=1s cut", "cut for 3s"}, {"t=1s drop for 1s", "alone"}, {"t=1s drop 1s", "alone"},
		{"t=1s delay", "not a length"}, {"t=1s delay 1s", "delay 200ms for 10s"}, {"t=1s delay for 1s", "not a length"}, {"t=1s delay 0s for 1s", "not a length"},
		{"t=1s throttle", "not a rate"}, {"t=1s throttle 1MB/s", "throttle 1MB/s for 5s"}, {"t=1s throttle 1MB for 5s", "not a rate"},
		{"t=1s throttle 0B/s for 5s", "not a rate"}, {"t=1s throttle 0.5B/s for 5s", "not a rate"}, {"t=1s throttle nanMB/s for 5s", "not a rate"},
		{"t=1s throttle InfMB/s for 5s", "not a rate"}, {"t=1s throttle 1001GB/s for 5s", "not a rate"}, {"t=1s throttle -1MB/s for 5s", "not a rate"},
		{"t=1s throttle MB/s for 5s", "not a rate"}, {"t=1s throttle 1 MB/s for 5s", "not a rate"},
		{"t=5s cut for 5s\nt=9s cut for 1s", `line 2: "t=9s cut for 1s" begins before "t=5s cut for 5s" of line 1`},
		{"t=9s cut for 1s\nt=5s cut for 5s", "line 1: "},
		{"t=5s kill for 5s\nt=6s pause for 1s", "line 2: "}, {"t=5s pause for 5s\nt=6s kill", "line 2: "},
		{"t=5s kill\nt=5s kill", "line 2: "}, {"t=5s drop\nt=5s drop", "line 2: "},
		{"t=1s drop\n" + strings.Repeat(" ", maxBytes), "more than 1000000 bytes"},
	} {
		faults, err := Parse(strings.NewReader(c.text))
		if err == nil || faults != nil {
			t.Errorf("%.60q is read as %v", c.text, faults)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60q: %v; want it to say %q", c.text, err, c.says)
		}
	}
	if _, err := Parse(strings.NewReader("t=5s cut for 5s\nt=10s cut for 1s\nt=5s delay 1s for 1s")); err != nil {
		t.Errorf("one after the other, and two kinds at once: %v", err)
	}
}

// FuzzParse checks that what is read is printed as what is read as the same.
func FuzzParse(f *testing.F) {
	f.Add("t=30s kill\nt=60s kill for 5s\nt=90s pause for 1s # x")
	f.Add("t=60s delay 200ms for 10s\nt=60s drop\n\nt=60s cut for 3s\nt=60s throttle 1MB/s for 5s")
	f.Add("t=1s throttle 1.5kB/s for 1h2m3.4s\nt=1s kill for")
	f.Fuzz(func(t *testing.T, text string) {
		faults, err := Parse(strings.NewReader(text))
		if err != nil {
			if faults != nil {
				t.Fatal("faults with an error")
			}
			return
		}
		var lines []string
		for _, f := range faults {
			lines = append(lines, f.String())
		}
		again, err := Parse(strings.NewReader(strings.Join(lines, "\n")))
		if err != nil || !slices.Equal(faults, again) {
			t.Fatalf("%v are read as %v (%v)", faults, again, err)
		}
	})
}
