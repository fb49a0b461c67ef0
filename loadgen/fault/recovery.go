package fault

import (
	"slices"

	"ecoin/loadgen/result"
)

const (
	secondsBefore = 10  // whose median is what a server does when nothing is wrong
	backAt        = 0.9 // of that median
	backFor       = 3   // seconds in a row
)

// Recovery returns how many seconds it took after a fault until good answers came again at
// nine tenths of the rate of the ten seconds before it (their median; fewer where the run has
// no ten), and did so for three seconds in a row. It is 0 when they never came slower, and
// negative when they did not come back before the end, or no second was before the fault.
// at is the time of the fault on the clock of the seconds, which are in order and without gaps.
func Recovery(seconds []result.Second, at float64) float64 {
	first := slices.IndexFunc(seconds, func(s result.Second) bool { return s.At+1 > at }) // that the fault is in
	if first <= 0 {
		return -1
	}
	var before []int64
	for _, s := range seconds[max(0, first-secondsBefore):first] {
		before = append(before, s.OK)
	}
	want := backAt * median(before)
	inRow := 0
	for i, s := range seconds[first:] {
		if float64(s.OK) < want {
			inRow = 0
			continue
		}
		if inRow++; inRow == backFor {
			return max(0, seconds[first+i-backFor+1].At-at)
		}
	}
	return -1
}

func median(list []int64) float64 {
	slices.Sort(list)
	n := len(list)
	return float64(list[(n-1)/2]+list[n/2]) / 2
}
