// Package latency counts durations in the buckets of a Prometheus histogram.
package latency

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// bounds are the upper edges of the buckets: 1, 2.5 and 5 in each decade.
var bounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Histogram is a histogram of durations. The zero value is ready. It is safe for
// concurrent use; what is read while others observe may miss the newest.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Int64
	sumNs   atomic.Int64
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sumNs.Add(int64(d))
}

// Write writes h in Prometheus text format under the given name, which may end in
// labels in braces.
func (h *Histogram) Write(w io.Writer, name string) {
	base, labels := name, ""
	if n := len(name); n > 0 && name[n-1] == '}' {
		for i := range name {
			if name[i] == '{' {
				base, labels = name[:i], name[i+1:n-1]+","
				break
			}
		}
	}
	total := int64(0)
	for i := range bounds {
		total += h.buckets[i].Load()
		fmt.Fprintf(w, "%s_bucket{%sle=\"%g\"} %d\n", base, labels, bounds[i].Seconds(), total)
	}
	total += h.buckets[len(bounds)].Load()
	fmt.Fprintf(w, "%s_bucket{%sle=\"+Inf\"} %d\n", base, labels, total)
	suffix := name[len(base):]
	fmt.Fprintf(w, "%s_sum%s %g\n", base, suffix, time.Duration(h.sumNs.Load()).Seconds())
	fmt.Fprintf(w, "%s_count%s %d\n", base, suffix, total)
}
