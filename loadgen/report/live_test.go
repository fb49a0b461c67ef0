package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ecoin/loadgen/result"
)

// second is one in which ok requests of 8 coins were answered in 1..ok ms.
func second(at float64, ok int64) *result.Second {
	s := &result.Second{At: at, Planned: 10, OK: ok, Coins: 8 * ok, InFlight: 2}
	for i := range ok {
		s.Response.Record(time.Duration(i+1) * time.Millisecond)
	}
	return s
}

func TestLivePlain(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out, LiveOptions{Name: "redeem", Seconds: 120, Planned: 1200})
	l.Second(second(0, 10))
	s := second(1, 0)
	s.Refused, s.Failed = 3, 7000
	l.Second(s)
	l.Second(second(120, 1))
	l.Close()
	want := "1 s of 2 min 0 s: 80 coins/s, 10 good, 0 refused, 0 failed, p50 5 ms, p99 10 ms, longest 10 ms, 2 under way\n" +
		"2 s of 2 min 0 s: 0 coins/s, 0 good, 3 refused, 7,000 failed, p50 -, p99 -, longest -, 2 under way\n" +
		"2 min 0 s over: 8 coins/s, 1 good, 0 refused, 0 failed, p50 1 ms, p99 1 ms, longest 1 ms, 2 under way\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

// draws are the lines that a terminal shows one after the other.
func draws(t *testing.T, out string) []string {
	t.Helper()
	parts := strings.Split(out, "\r\x1b[K")
	if parts[0] != "" {
		t.Errorf("before the first: %q", parts[0])
	}
	var lines []string
	for _, p := range parts[1:] {
		p = strings.TrimSuffix(strings.TrimPrefix(p, "\x1b[?7l"), "\x1b[?7h")
		if strings.ContainsAny(p, "\x1b\r\n\t\a") {
			t.Errorf("a terminal would obey %q", p)
		}
		lines = append(lines, p)
	}
	return lines
}

func TestLiveTerminal(t *testing.T) {
	width := 200
	var out bytes.Buffer
	l := NewLive(&out, LiveOptions{Name: "a\x1b[2J\nb", Seconds: 4, Planned: 40, Unicode: true, Width: func() int { return width }})
	for i, w := range []int{200, 80, 20, 3, 1, 0, -1} {
		width = w
		s := second(float64(i), int64(10-i))
		s.Failed = int64(i)
		l.Second(s)
	}
	l.Close()
	lines := draws(t, out.String())
	if want := "a\ufffd[2J b  1 s of 4 s  ████░░░░░░░░░░░░  25 %  80 coins/s  0 refused  0 failed  p50 5 ms  p99 10 ms  longest 10 ms  2 under way  █"; lines[0] != want {
		t.Errorf("got  %q\nwant %q", lines[0], want)
	}
	if want := "2 s of 4 s  50 %  72 coins/s  0 refused  1 failed  p99 9.01 ms"; lines[1] != want {
		t.Errorf("got  %q\nwant %q", lines[1], want)
	}
	for i, w := range []int{200, 80, 20, 3, 1, 80, 80} {
		if n := utf8.RuneCountInString(lines[i]); n >= w && n > 0 {
			t.Errorf("%d columns where there are %d: %s", n, w, lines[i])
		}
	}
	if lines[2] != "3 s of 4 s" || lines[3] != "" || lines[len(lines)-1] != "" || len(lines) != 8 {
		t.Errorf("lines: %q", lines)
	}
}

func TestLiveWithoutPlan(t *testing.T) {
	var out bytes.Buffer
	l := NewLive(&out, LiveOptions{Width: func() int { return 100 }})
	for i := range 40 {
		l.Second(second(float64(i), 1))
	}
	if got := draws(t, out.String())[39]; got != "40 s  8 coins/s  0 refused  0 failed  p50 1 ms  p99 1 ms  longest 1 ms  2 under way" {
		t.Errorf("%q", got)
	}
	if len(l.good) != historyLen {
		t.Errorf("%d seconds are kept", len(l.good))
	}
}

func TestLiveOptionsOfAFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for locale, want := range map[string]bool{"": false, "C": false, "de_DE.UTF-8": true, "C.utf8": true} {
		o := LiveOptions{Name: "n", Planned: 7}.TerminalOptions(f, func(name string) string {
			return map[string]string{"LANG": locale, "LC_ALL": ""}[name]
		})
		if o.Width != nil || o.Unicode != want || o.Planned != 7 {
			t.Errorf("locale %q: %+v", locale, o)
		}
	}
}
