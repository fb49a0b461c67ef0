package coins

import (
	"bytes"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"ecoin/core"
)

var sizes = []int64{0, 1, 64, 65, 1000, 200_000}

func TestAscending(t *testing.T) {
	for _, n := range sizes {
		s := New(n)
		if s.Len() < n || s.Len() >= n+bucketSize && n > 0 {
			t.Errorf("%d fingerprints for %d", s.Len(), n)
		}
		var last core.Fingerprint
		count := int64(0)
		for fp := range s.Ascending() {
			if count > 0 && bytes.Compare(last[:], fp[:]) >= 0 {
				t.Fatalf("%d: fingerprint %d is not above the one before", n, count)
			}
			last = fp
			count++
		}
		if count != s.Len() {
			t.Errorf("%d: %d in order of %d", n, count, s.Len())
		}
		for range s.Ascending() {
			break
		}
	}
}

// TestRandom checks that the scattered order has what the ascending one has, once.
func TestRandom(t *testing.T) {
	for _, n := range sizes {
		s := New(n)
		left := make(map[core.Fingerprint]bool, s.Len())
		for fp := range s.Ascending() {
			left[fp] = true
		}
		for i := range s.Len() {
			fp := s.Random(i)
			if !left[fp] {
				t.Fatalf("%d: fingerprint %d comes twice, or is not in order", n, i)
			}
			delete(left, fp)
		}
		if again := New(n); again.Random(s.Len()-1) != s.Random(s.Len()-1) {
			t.Errorf("%d: another set", n)
		}
	}
}

// TestUniform sorts fingerprints by some of their bits and compares the numbers with
// equal ones: chi-square, 255 degrees of freedom. All of a set lies evenly by
// construction, so its first bits are those of the beginning of the scattered order.
func TestUniform(t *testing.T) {
	const n, classes = 1 << 17, 256
	s := New(100 * n)
	expected := make([]float64, classes)
	for i := range expected {
		expected[i] = n / classes
	}
	limit := distuv.ChiSquared{K: classes - 1}.Quantile(1 - 1e-9)
	for b := range len(core.Fingerprint{}) {
		observed := make([]float64, classes)
		for i := range int64(n) {
			fp := s.Random(i)
			observed[fp[b]]++
		}
		if x := stat.ChiSquare(observed, expected); x > limit {
			t.Errorf("byte %d: chi-square %.0f, at most %.0f", b, x, limit)
		}
	}
}
