package latency

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var h Histogram
	observe := func(n int, d time.Duration) {
		for range n {
			h.Observe(d)
		}
	}
	observe(50, 5*time.Millisecond) // a start that Since takes away
	before := h.Counts()
	observe(90, 700*time.Microsecond) // in (500 us, 1 ms]
	observe(9, 4*time.Millisecond)    // in (2.5 ms, 5 ms]
	observe(1, time.Minute)           // above the last bound
	c := h.Counts().Since(before)
	if c.Total() != 100 {
		t.Fatalf("%d durations, want 100", c.Total())
	}
	for q, want := range map[float64]time.Duration{
		0:     500 * time.Microsecond,
		0.45:  750 * time.Microsecond, // half of the 90
		0.9:   time.Millisecond,       // all of them
		0.93:  2500*time.Microsecond + 2500*time.Microsecond/3,
		0.99:  5 * time.Millisecond,
		0.999: 10 * time.Second,
		1:     10 * time.Second,
	} {
		if got := c.Quantile(q); got < want-time.Microsecond || got > want+time.Microsecond {
			t.Errorf("quantile %g is %v, want %v", q, got, want)
		}
	}
	var none Counts
	if got := none.Quantile(0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
