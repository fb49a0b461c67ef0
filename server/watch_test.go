package server

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ecoin/internal/latency"
)

// TestHistory fills the ring nearly three times: the charts have ten minutes, and what
// a caller has is not sent again.
func TestHistory(t *testing.T) {
	var h history
	start := time.Unix(1_000_000, 0)
	if s := h.after(0); s.Last != 0 || len(s.At) != 0 {
		t.Errorf("an empty history: %+v", s)
	}
	if _, ok := h.ago(start, time.Second); ok {
		t.Error("an empty history has a past")
	}
	var calls latency.Histogram
	const samples = 1700
	var redeemed int64
	for i := range int64(samples) {
		redeemed += i // in second i, i coins
		if i%100 == 1 {
			calls.Observe(700 * time.Microsecond) // and a call now and then
		}
		h.add(sample{
			at: start.Add(time.Duration(i) * time.Second), redeemed: redeemed, issued: 2 * redeemed, redeemCalls: calls.Counts(),
			live: i, cpu: time.Duration(i) * 1500 * time.Millisecond,
		})
		if i == 2 {
			if s := h.after(0); s.Last != 2 || fmt.Sprint(s.Redeemed) != "[1 2]" || fmt.Sprint(s.Issued) != "[2 4]" || fmt.Sprint(s.CPU) != "[1.5 1.5]" {
				t.Errorf("after three samples: %+v", s)
			}
			if s, ok := h.ago(start.Add(time.Hour), 2*time.Hour); !ok || s.live != 0 {
				t.Errorf("older than the oldest: %+v", s)
			}
		}
	}
	s := h.after(0)
	if len(s.At) != historyLen || s.Last != samples-1 {
		t.Fatalf("%d points up to %d, want %d up to %d", len(s.At), s.Last, historyLen, samples-1)
	}
	for i := range s.At {
		second := int64(samples - historyLen + i)
		if s.At[i] != (1_000_000+second)*1000 || s.Redeemed[i] != float64(second) || s.Live[i] != second {
			t.Fatalf("point %d: at %d, %v coins a second, %d live; want those of second %d", i, s.At[i], s.Redeemed[i], s.Live[i], second)
		}
		// The call of second 100k+1 is in the ten seconds that end at points 100k+1 to 100k+10.
		recent := second%100 >= 1 && second%100 <= latencySpan
		if (s.P99[i] != nil) != recent || recent && (*s.P99[i] <= 0.5 || *s.P99[i] > 1) {
			t.Fatalf("point %d, second %d: p99 %v", i, second, s.P99[i])
		}
	}
	if s := h.after(samples - 3); len(s.At) != 2 || s.Redeemed[1] != samples-1 || s.Last != samples-1 {
		t.Errorf("the last two points: %+v", s)
	}
	if s := h.after(samples + 5); len(s.At) != 0 || s.Last != samples-1 {
		t.Errorf("after the future: %+v", s)
	}
	if p, ok := h.ago(start.Add((samples-1)*time.Second), 10*time.Second); !ok || p.live != samples-11 {
		t.Errorf("ten seconds ago: %+v", p)
	}
	if text, err := json.Marshal(s); err != nil || len(text) > 100<<10 {
		t.Errorf("all points are %d bytes, %v", len(text), err)
	}
}
