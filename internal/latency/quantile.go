package latency

import "time"

// Counts are the durations of a histogram by bucket. The zero value holds none.
type Counts [len(bounds) + 1]int64

// Counts returns what h has counted so far.
func (h *Histogram) Counts() (c Counts) {
	for i := range c {
		c[i] = h.buckets[i].Load()
	}
	return c
}

// Since returns what was counted between an earlier reading of the same histogram
// and this one.
func (c Counts) Since(earlier Counts) Counts {
	for i := range c {
		c[i] -= earlier[i]
	}
	return c
}

// Total returns how many durations were counted.
func (c *Counts) Total() (n int64) {
	for _, of := range c {
		n += of
	}
	return n
}

// Quantile estimates the duration that a share q, 0 to 1, of all durations does not
// exceed: within its bucket durations are taken to be spread evenly, as Prometheus's
// histogram_quantile does it. It is 0 when nothing was counted, and the last bound
// (10 s) for what lies above.
func (c *Counts) Quantile(q float64) time.Duration {
	rank := q * float64(c.Total())
	below, lower := 0.0, time.Duration(0)
	for i, upper := range bounds {
		in := float64(c[i])
		if in > 0 && below+in >= rank {
			return lower + time.Duration(float64(upper-lower)*max(rank-below, 0)/in)
		}
		below, lower = below+in, upper
	}
	if c[len(bounds)] == 0 {
		return 0
	}
	return lower
}
