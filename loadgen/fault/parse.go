package fault

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBytes = 1_000_000        // of a schedule
	maxTime  = 1000 * time.Hour // of a moment or length
	maxRate  = 1e12             // bytes a second
)

// Parse reads a schedule of faults and returns them by time. Lengths are written as Go
// writes them ("200ms", "1m30s"), rates in B, kB, MB or GB a second.
//
//	t=30s kill                      kill the server without warning, start it again at once
//	t=30s kill for 5s               start it again after 5 s
//	t=60s pause for 1s              stop the server's process, let it go on after 1 s
//	t=60s delay 200ms for 10s       every byte is 200 ms late, each way
//	t=90s drop                      close all connections
//	t=95s cut for 3s                connections stay and nothing gets through, as if a cable were cut
//	t=100s throttle 1MB/s for 5s    each way 1 MB a second, all connections together
//
// Empty lines and what follows a # are skipped. Two faults of one kind must not overlap,
// nor a kill and a pause.
func Parse(r io.Reader) ([]Fault, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fault: read the schedule: %w", err)
	case len(b) > maxBytes:
		return nil, fmt.Errorf("fault: a schedule of more than %d bytes", maxBytes)
	}
	type numbered struct {
		Fault
		line int
	}
	var list []numbered
	for i, text := range strings.Split(string(b), "\n") {
		text, _, _ = strings.Cut(text, "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		f, err := parseFault(words)
		if err != nil {
			return nil, fmt.Errorf("fault: line %d: %w", i+1, err)
		}
		list = append(list, numbered{f, i + 1})
	}
	if len(list) == 0 {
		return nil, errors.New(`fault: no faults; want lines as "t=30s kill"`)
	}
	slices.SortStableFunc(list, func(a, b numbered) int { return cmp.Compare(a.At, b.At) })
	last := map[string]numbered{}
	faults := make([]Fault, len(list))
	for i, f := range list {
		if before, ok := last[f.target()]; ok && (f.At < before.At+before.length || f.At == before.At) {
			return nil, fmt.Errorf("fault: line %d: %q begins before %q of line %d is over", f.line, f, before, before.line)
		}
		last[f.target()], faults[i] = f, f.Fault
	}
	return faults, nil
}

// parseFault reads the words of a line, of which there is one at least.
func parseFault(words []string) (Fault, error) {
	at, ok := strings.CutPrefix(words[0], "t=")
	if !ok || len(words) < 2 {
		return Fault{}, fmt.Errorf(`%q: want a time and a fault, as "t=30s kill"`, strings.Join(words, " "))
	}
	f := Fault{kind: kind(words[1])}
	var err error
	if f.At, err = parseTime(at); err != nil {
		return Fault{}, err
	}
	rest := words[2:]
	value := func() string { // the next word, none when there is none
		if len(rest) == 0 {
			return ""
		}
		v := rest[0]
		rest = rest[1:]
		return v
	}
	switch f.kind {
	case delay:
		f.late, err = parseLength(value())
	case throttle:
		f.rate, err = parseRate(value())
	case kill, pause, drop, cut:
	default:
		err = fmt.Errorf("%q is no fault; there are kill, pause, delay, drop, cut and throttle", words[1])
	}
	if err != nil {
		return Fault{}, err
	}
	switch {
	case len(rest) == 0 && (f.kind == kill || f.kind == drop):
		return f, nil
	case len(rest) != 2 || rest[0] != "for" || f.kind == drop:
		return Fault{}, fmt.Errorf("%q: want %s", strings.Join(words[1:], " "), usage[f.kind])
	}
	f.length, err = parseLength(rest[1])
	if err != nil {
		return Fault{}, err
	}
	return f, nil
}

var usage = map[kind]string{
	kill:     `"kill" or "kill for 5s"`,
	pause:    `"pause for 1s"`,
	delay:    `"delay 200ms for 10s"`,
	drop:     `"drop" alone`,
	cut:      `"cut for 3s"`,
	throttle: `"throttle 1MB/s for 5s"`,
}

func parseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxTime {
		return 0, fmt.Errorf("%q is not a time; want one from 0 to %v, as 90s or 1h30m", text, maxTime)
	}
	return d, nil
}

func parseLength(text string) (time.Duration, error) {
	d, err := parseTime(text)
	if err != nil || d == 0 {
		return 0, fmt.Errorf("%q is not a length of time; want one of more than 0 and at most %v, as 200ms or 1m30s", text, maxTime)
	}
	return d, nil
}

// units are those of a rate, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"GB/s", 1e9}, {"MB/s", 1e6}, {"kB/s", 1e3}, {"B/s", 1}}

func parseRate(text string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(digits, 64)
		if v *= float64(u.bytes); err == nil && v >= 1 && v <= maxRate {
			return int64(v), nil
		}
		break
	}
	return 0, fmt.Errorf("%q is not a rate; want one from 1B/s to 1000GB/s, as 500kB/s or 1.5MB/s", text)
}

func formatRate(rate int64) string {
	for _, u := range units {
		if rate%u.bytes == 0 {
			return strconv.FormatInt(rate/u.bytes, 10) + u.name
		}
	}
	panic("fault: a rate is a number of bytes")
}
