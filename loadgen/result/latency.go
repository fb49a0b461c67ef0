package result

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Latency counts durations from 1 us to an hour with three significant digits.
// The zero value holds none and is ready. It is not safe for concurrent use, not even to
// read, and its copies share what they hold.
type Latency struct {
	h      *hdrhistogram.Histogram // microseconds; nil when there are none
	packed []byte                  // h encoded, in its place
}

const highestUs = int64(time.Hour / time.Microsecond)

// Pack makes l small, a kilobyte instead of two hundred, until it is looked at again.
func (l *Latency) Pack() {
	if l.h == nil {
		return
	}
	b, err := l.encode()
	if err != nil {
		return // it stays as it is
	}
	l.h, l.packed = nil, b
}

func (l *Latency) encode() ([]byte, error) {
	if l.packed != nil {
		return l.packed, nil
	}
	return l.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// hist returns the histogram, nil for none.
func (l *Latency) hist() *hdrhistogram.Histogram {
	if l.packed != nil {
		h, err := hdrhistogram.Decode(l.packed)
		if err != nil {
			panic("result: a histogram that was encoded does not decode: " + err.Error())
		}
		l.h, l.packed = h, nil
	}
	return l.h
}

// Record counts one duration. Less than a microsecond counts as one, more than an hour
// as an hour.
func (l *Latency) Record(d time.Duration) {
	if l.hist() == nil {
		l.h = hdrhistogram.New(1, highestUs, 3)
	}
	_ = l.h.RecordValue(min(max(d.Microseconds(), 1), highestUs)) // in range by construction
}

// Merge adds all durations of other.
func (l *Latency) Merge(other *Latency) {
	if other.hist() == nil {
		return
	}
	if l.hist() == nil {
		l.h = hdrhistogram.New(1, highestUs, 3)
	}
	l.h.Merge(other.h)
}

// Reset forgets all durations and keeps the memory.
func (l *Latency) Reset() {
	if l.packed = nil; l.h != nil {
		l.h.Reset()
	}
}

// Count returns how many durations were counted.
func (l *Latency) Count() int64 {
	if l.hist() == nil {
		return 0
	}
	return l.h.TotalCount()
}

// Quantile returns the duration that a share q, 0 to 1, of all does not exceed; 0 when
// there are none.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.hist() == nil {
		return 0
	}
	return time.Duration(l.h.ValueAtQuantile(q*100)) * time.Microsecond
}

// Mean returns the average, 0 when there are none.
func (l *Latency) Mean() time.Duration {
	if l.Count() == 0 {
		return 0
	}
	return time.Duration(l.h.Mean() * float64(time.Microsecond))
}

// Max returns the longest, 0 when there are none.
func (l *Latency) Max() time.Duration {
	if l.hist() == nil {
		return 0
	}
	return time.Duration(l.h.Max()) * time.Microsecond
}

// Histogram returns the histogram itself, in microseconds, for what writes it to files;
// an empty one when there are no durations.
func (l *Latency) Histogram() *hdrhistogram.Histogram {
	if l.hist() == nil {
		return hdrhistogram.New(1, highestUs, 3)
	}
	return l.h
}

// latencyJSON is a Latency as JSON: a summary for people and scripts, and the histogram
// as HdrHistogram's tools encode it (V2, compressed, base64).
type latencyJSON struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us,omitempty"`
	P50   int64   `json:"p50_us,omitempty"`
	P90   int64   `json:"p90_us,omitempty"`
	P99   int64   `json:"p99_us,omitempty"`
	P999  int64   `json:"p99.9_us,omitempty"`
	Max   int64   `json:"max_us,omitempty"`
	Hdr   string  `json:"hdr,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (l Latency) MarshalJSON() ([]byte, error) {
	if l.Count() == 0 {
		return json.Marshal(latencyJSON{})
	}
	hdr, err := l.encode()
	if err != nil {
		return nil, fmt.Errorf("result: encode a histogram: %w", err)
	}
	us := func(q float64) int64 { return l.Quantile(q).Microseconds() }
	return json.Marshal(latencyJSON{Count: l.Count(), Mean: l.h.Mean(), P50: us(.5), P90: us(.9), P99: us(.99), P999: us(.999), Max: l.h.Max(), Hdr: string(hdr)})
}

// UnmarshalJSON implements json.Unmarshaler. The summary must agree with the histogram.
func (l *Latency) UnmarshalJSON(b []byte) error {
	var j latencyJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*l = Latency{}
	if j.Hdr == "" {
		if j.Count != 0 {
			return fmt.Errorf("result: %d durations without a histogram", j.Count)
		}
		return nil
	}
	h, err := hdrhistogram.Decode([]byte(j.Hdr))
	if err != nil {
		return fmt.Errorf("result: decode a histogram: %w", err)
	}
	if h.TotalCount() != j.Count {
		return fmt.Errorf("result: a histogram of %d durations where %d are said", h.TotalCount(), j.Count)
	}
	l.packed = []byte(j.Hdr)
	return nil
}
