package loadgen

import (
	"strings"
	"testing"
	"time"

	"ecoin/loadgen/result"
)

// TestWhatMakesARunInvalid has a hundred requests each.
func TestWhatMakesARunInvalid(t *testing.T) {
	for _, c := range []struct {
		name          string
		lag, response time.Duration
		change        func(*result.Run)
		want          string
	}{
		{name: "all is well", lag: 50 * time.Microsecond, response: 2 * time.Millisecond},
		{name: "late, and it does not matter", lag: 5 * time.Millisecond, response: time.Second},
		{name: "late by a large share of next to nothing", lag: 500 * time.Microsecond, response: 600 * time.Microsecond},
		{name: "late, and it matters", lag: 5 * time.Millisecond, response: 20 * time.Millisecond, want: "late"},
		{name: "late in a closed model, where nothing is", lag: 5 * time.Millisecond, response: 20 * time.Millisecond, change: func(r *result.Run) { r.Setup.Model = "closed" }},
		{name: "a long pause", response: time.Second, change: func(r *result.Run) { r.Generator.GCPauseMax = 150 }, want: "garbage collection"},
		{name: "no coins left", response: time.Second, change: func(r *result.Run) { r.Errors = []result.Error{{Kind: "redeem", Reason: usedUp, Count: 1}} }, want: "used up"},
		{name: "nothing", change: func(r *result.Run) { r.Kinds[0].Sent = 0 }, want: "nothing was sent"},
	} {
		r := &result.Run{Setup: result.Setup{Model: "open"}, Kinds: []result.Kind{{Name: "redeem", Sent: 100}}}
		for range 100 {
			r.Generator.Lag.Record(c.lag)
			r.Kinds[0].Response.Record(c.response)
		}
		if c.change != nil {
			c.change(r)
		}
		why := strings.Join(invalid(r), "\n")
		if (why == "") != (c.want == "") || !strings.Contains(why, c.want) {
			t.Errorf("%s: %q, want %q", c.name, why, c.want)
		}
	}
}
