package coins

import (
	"bytes"
	"math"
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

// TestShuffle checks that neighbours of the random order are as far from each other as
// random numbers: a third of the set on average. A fixed stride would be even.
func TestShuffle(t *testing.T) {
	for _, n := range sizes {
		s := New(n)
		sum, squares := 0.0, 0.0
		last := s.shuffle(uint64(s.n) - 1)
		for i := range uint64(s.n) {
			x := s.shuffle(i)
			d := math.Abs(float64(x)-float64(last)) / float64(s.n)
			sum, squares, last = sum+d, squares+d*d, x
		}
		// The distance of two random numbers in [0, 1) has mean 1/3, variance 1/18 and mean
		// square 1/6; five standard deviations, twice as large since neighbouring distances
		// share a number.
		limit := 10 * math.Sqrt(1.0/18/float64(s.n))
		mean, square := sum/float64(s.n), squares/float64(s.n)
		if math.Abs(mean-1.0/3) > limit || math.Abs(square-1.0/6) > limit {
			t.Errorf("%d: mean distance %.4f, mean square %.4f; 1/3 and 1/6 within %.4f", s.n, mean, square, limit)
		}
	}
}

// TestAllocs is for the figures of those who measure: the making of coins adds nothing.
func TestAllocs(t *testing.T) {
	s := New(100_000)
	i, sum := int64(0), byte(0)
	if n := testing.AllocsPerRun(1000, func() { sum += s.Random(i)[0]; i++ }); n != 0 {
		t.Errorf("%v allocations a coin", n)
	}
}

func BenchmarkRandom(b *testing.B) {
	s := New(100_000_000)
	sum := byte(0)
	for i := range int64(b.N) {
		sum += s.Random(i % s.n)[0]
	}
	_ = sum
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
