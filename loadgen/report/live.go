package report

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// LiveOptions says what a Live shows and where.
type LiveOptions struct {
	Name    string     // of the load; may be anything
	Seconds float64    // that the run is to take; 0 means not known
	Planned int64      // requests of the run; 0 means not known
	Width   func() int // columns of the terminal at the moment; nil where it is none
	Unicode bool       // the terminal shows it; used for bars alone
}

// TerminalOptions fills in what a file says of itself and its environment.
func (o LiveOptions) TerminalOptions(f *os.File, getenv func(string) string) LiveOptions {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	o.Unicode = strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
	o.Width = nil
	if term.IsTerminal(int(f.Fd())) && getenv("TERM") != "dumb" {
		o.Width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0
			}
			return width
		}
	}
	return o
}

// Live tells once a second how a run goes: on a terminal with one line that is written
// over and erased at the end, elsewhere with a line each. It is for one goroutine.
// Failures to write are nobody's concern: a terminal that is gone is no reason to end a run.
type Live struct {
	w    io.Writer
	o    LiveOptions
	done int64     // planned so far
	good []float64 // requests a second, the last ones
}

// historyLen is how many seconds the small bars show.
const historyLen = 24

// NewLive returns a Live that writes to w.
func NewLive(w io.Writer, o LiveOptions) *Live {
	o.Name = figure.Printable(o.Name)
	return &Live{w: w, o: o}
}

// Second shows what a second brought.
func (l *Live) Second(s *result.Second) {
	l.done += s.Planned
	l.good = append(l.good, float64(s.OK))
	if n := len(l.good) - historyLen; n > 0 {
		l.good = slices.Delete(l.good, 0, n)
	}
	if l.o.Width == nil {
		fmt.Fprintln(l.w, l.plain(s))
		return
	}
	width := l.o.Width()
	if width <= 0 {
		width = 80
	}
	// Without wrapping, a line that is wider than counted is cut at the edge.
	fmt.Fprintf(l.w, "\r\x1b[K\x1b[?7l%s\x1b[?7h", fit(l.parts(s), width-1))
}

// Close erases the line of a terminal.
func (l *Live) Close() {
	if l.o.Width != nil {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
}

func (l *Live) plain(s *result.Second) string {
	return fmt.Sprintf("%s: %s coins/s, %s good, %s refused, %s failed, p50 %s, p99 %s, longest %s, %s under way", l.when(s), figure.Count(s.Coins),
		figure.Count(s.OK), figure.Count(s.Refused), figure.Count(s.Failed), at(&s.Response, .5), at(&s.Response, .99), at(&s.Response, 1), figure.Count(s.InFlight))
}

func (l *Live) when(s *result.Second) string {
	now := figure.Seconds(s.At + 1)
	switch {
	case l.o.Seconds <= 0:
		return now
	case s.At >= l.o.Seconds: // what was sent is waited for
		return figure.Seconds(l.o.Seconds) + " over"
	}
	return now + " of " + figure.Seconds(l.o.Seconds)
}

// share is how much of the run is over, 0 to 1; negative if that is not known.
func (l *Live) share(s *result.Second) float64 {
	switch {
	case l.o.Planned > 0:
		return min(float64(l.done)/float64(l.o.Planned), 1)
	case l.o.Seconds > 0:
		return min((s.At+1)/l.o.Seconds, 1)
	}
	return -1
}

// A part of the line; where there is not room for all, those of the highest rank go first.
type part struct {
	text string
	rank int
}

func (l *Live) parts(s *result.Second) []part {
	failed := part{figure.Count(s.Failed) + " failed", 5}
	refused := part{figure.Count(s.Refused) + " refused", 6}
	if s.Failed > 0 {
		failed.rank = 1
	}
	if s.Refused > 0 {
		refused.rank = 1
	}
	parts := []part{{l.o.Name, 10}, {l.when(s), 0}}
	if share := l.share(s); share >= 0 {
		parts = append(parts, part{bar(share, l.o.Unicode), 7}, part{fmt.Sprintf("%.0f %%", share*100), 4})
	}
	parts = append(parts, part{figure.Count(s.Coins) + " coins/s", 2}, refused, failed, part{"p50 " + at(&s.Response, .5), 8},
		part{"p99 " + at(&s.Response, .99), 3}, part{"longest " + at(&s.Response, 1), 9}, part{figure.Count(s.InFlight) + " under way", 11})
	if l.o.Unicode {
		parts = append(parts, part{spark(l.good), 12})
	}
	return slices.DeleteFunc(parts, func(p part) bool { return p.text == "" })
}

// fit joins as many parts as there is room for.
func fit(parts []part, width int) string {
	for {
		texts := make([]string, 0, len(parts))
		worst := 0
		for i, p := range parts {
			texts = append(texts, p.text)
			if p.rank > parts[worst].rank {
				worst = i
			}
		}
		line := strings.Join(texts, "  ")
		if len(parts) == 0 || utf8.RuneCountInString(line) <= width {
			return line
		}
		parts = slices.Delete(parts, worst, worst+1)
	}
}

// bar is a progress bar of a share from 0 to 1.
func bar(share float64, unicode bool) string {
	const length = 16
	full := int(min(max(share, 0), 1) * length)
	if unicode {
		return strings.Repeat("█", full) + strings.Repeat("░", length-full)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", length-full) + "]"
}

// spark draws values as small bars, the highest as high as a line.
func spark(values []float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	top := max(slices.Max(values), 1)
	var b strings.Builder
	for _, v := range values {
		b.WriteRune([]rune(bars)[int(min(max(v/top, 0), 1)*7)])
	}
	return b.String()
}
