package harness

import (
	"math"
	"slices"
)

// Spread is the median of some figures, the least and the greatest.
type Spread struct {
	Mid  float64 `json:"median"`
	Low  float64 `json:"min"`
	High float64 `json:"max"`
}

// SpreadOf returns the spread of v, which it does not change; all zero for none.
func SpreadOf(v []float64) Spread {
	if len(v) == 0 {
		return Spread{}
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return Spread{(v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[0], v[len(v)-1]}
}

// gain is how many times better ours is than theirs: more where more is better, else
// less. It is 0 where one of them says nothing.
func gain(ours, theirs float64, moreIsBetter bool) float64 {
	if !moreIsBetter {
		ours, theirs = theirs, ours
	}
	if ours <= 0 || theirs <= 0 || math.IsInf(ours/theirs, 0) {
		return 0
	}
	return ours / theirs
}
