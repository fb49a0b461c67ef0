package fault

import (
	"math"
	"testing"

	"ecoin/loadgen/result"
)

func TestRecovery(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   []int64 // answers by second
		at   float64
		want float64
	}{
		{"down for three seconds", []int64{100, 100, 100, 0, 0, 0, 100, 100, 100}, 3, 3},
		{"in the middle of a second", []int64{100, 100, 100, 50, 0, 100, 100, 100}, 3.5, 1.5},
		{"nothing was slower", []int64{100, 100, 100, 100, 100, 100}, 3.25, 0},
		{"90 % is enough", []int64{100, 100, 0, 89, 90, 90, 90}, 2, 2},
		{"not in a row", []int64{100, 100, 0, 100, 100, 0, 100, 100, 100}, 2, 4},
		{"three and no more", []int64{100, 100, 0, 100, 100}, 2, -1},
		{"never", []int64{100, 100, 0, 80, 80, 80, 80}, 2, -1},
		{"the median, not the mean", []int64{100, 100, 100, 100, 9000, 0, 95, 95, 95}, 5, 1},
		{"of an even number", []int64{100, 200, 0, 134, 134, 135, 135, 135}, 2, 3}, // 135 = .9 of 150
		{"of ten seconds alone", []int64{200, 200, 200, 200, 200, 200, 100, 100, 100, 100, 100, 0, 100, 135, 135, 135}, 11, 2},
		{"the ten are before the second of the fault", []int64{100, 100, 3, 100, 100, 100}, 2.9, 1 - .9},
		{"nothing came before either", []int64{0, 0, 0, 0, 0}, 1, 0},
		{"nothing before", []int64{0, 100, 100, 100}, 0, -1},
		{"after the end", []int64{100, 100, 100}, 3, -1},
		{"no seconds", nil, 0, -1},
	} {
		var seconds []result.Second
		for i, n := range c.ok {
			seconds = append(seconds, result.Second{At: float64(i), OK: n})
		}
		if got := Recovery(seconds, c.at); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v s, want %v", c.name, got, c.want)
		}
	}
}
