// Package figure writes numbers with their units for people, and makes text of
// strangers safe to show on a terminal.
package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Duration writes d with three significant digits: "850 µs", "1.23 ms", "12 s".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, -math.MaxInt64))
	}
	v, unit := float64(d), "ns"
	for _, next := range []struct {
		factor float64
		unit   string
	}{{1e3, "µs"}, {1e3, "ms"}, {1e3, "s"}} {
		if v < 999.5 {
			break
		}
		v, unit = v/next.factor, next.unit
	}
	return digits(v) + " " + unit
}

// Microseconds writes a duration given in microseconds; "-" if it is not a number.
func Microseconds(us float64) string {
	if math.IsNaN(us) || math.IsInf(us, 0) {
		return "-"
	}
	return Duration(time.Duration(min(max(us*1e3, -math.MaxInt64/2), math.MaxInt64/2)))
}

// Number writes v with three significant digits, or as a whole number with its thousands
// apart: "0.042", "12.3", "5,012"; "-" if it is not a number.
func Number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case math.Abs(v) < 999.5:
		return digits(v)
	case math.Abs(v) < 1e15:
		return Count(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// digits writes a v below 999.5 with three significant digits, without zeros at the end.
func digits(v float64) string {
	if v == 0 {
		return "0"
	}
	if math.Abs(v) < 1e-4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	decimals := max(2-int(math.Floor(math.Log10(math.Abs(v)))), 0)
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Count writes n with its thousands apart: "1,234,567".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Percent writes a share of 0 to 1: "0.12 %". What is not quite all, or not quite nothing,
// is never written as if it were.
func Percent(share float64) string {
	p := share * 100
	if p > 99.5 && p < 100 {
		left := 100 - p
		decimals := min(max(1-int(math.Floor(math.Log10(left))), 1), 9)
		p = math.Floor(p*math.Pow10(decimals)) / math.Pow10(decimals)
		return strings.TrimRight(strconv.FormatFloat(p, 'f', decimals, 64), "0") + " %"
	}
	return Number(p) + " %"
}

// Bytes writes n in binary units: "310 MiB".
func Bytes(n int64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(v) < 1023.5 {
			break
		}
		v, unit = v/1024, next
	}
	return Number(v) + " " + unit
}

// Seconds writes a time in seconds: "12.3 s", "1 min 5 s", "2 h 3 min".
func Seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.Abs(s) > 1e9:
		return "-"
	case math.Abs(s) < 90:
		return digits(s) + " s"
	}
	whole := int64(math.Round(math.Abs(s)))
	sign := ""
	if s < 0 {
		sign = "-"
	}
	if whole < 5400 {
		return fmt.Sprintf("%s%d min %d s", sign, whole/60, whole%60)
	}
	return fmt.Sprintf("%s%d h %d min", sign, whole/3600, whole/60%60)
}

// Printable replaces what a terminal might obey, or what turns the direction of text, by
// U+FFFD. Line breaks and tabs become spaces.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
