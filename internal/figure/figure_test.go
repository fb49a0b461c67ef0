package figure

import (
	"math"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Duration(0), "0 ns"},
		{Duration(850 * time.Nanosecond), "850 ns"},
		{Duration(999_600), "1 ms"},
		{Duration(1234 * time.Microsecond), "1.23 ms"},
		{Duration(31 * time.Millisecond), "31 ms"},
		{Duration(12 * time.Second), "12 s"},
		{Duration(time.Hour), "3600 s"},
		{Duration(-2 * time.Millisecond), "-2 ms"},
		{Duration(math.MinInt64), "-9223372037 s"},
		{Microseconds(9.25), "9.25 µs"},
		{Microseconds(math.NaN()), "-"},
		{Number(0), "0"},
		{Number(0.0421), "0.0421"},
		{Number(12.34), "12.3"},
		{Number(100), "100"},
		{Number(999.6), "1,000"},
		{Number(5012.4), "5,012"},
		{Number(1e20), "1e+20"},
		{Number(math.Inf(1)), "-"},
		{Count(1234567), "1,234,567"},
		{Count(-999), "-999"},
		{Count(-1000), "-1,000"},
		{Percent(0.0012), "0.12 %"},
		{Percent(1), "100 %"},
		{Percent(0.99999), "99.999 %"},
		{Percent(0.999), "99.9 %"},
		{Percent(0), "0 %"},
		{Bytes(1023), "1,023 B"},
		{Bytes(1024), "1 KiB"},
		{Bytes(310 << 20), "310 MiB"},
		{Seconds(12.34), "12.3 s"},
		{Seconds(65 + 60), "2 min 5 s"},
		{Seconds(7400), "2 h 3 min"},
		{Seconds(math.NaN()), "-"},
		{Printable("a\x1b[31mb\n\u202ec"), "a\ufffd[31mb \ufffdc"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
