// Package coins makes up fingerprints for tests and measurements of large ledgers: as
// many as wanted, pseudorandom, in ascending order or any one by itself, in no memory.
package coins

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"

	"ecoin/core"
)

// bucketSize is how many fingerprints lie in one bucket, see Set.
const bucketSize = 64

// Set is a set of fingerprints, always the same for a size. The space is cut into equal
// buckets with 64 pseudorandom ones each. Safe for concurrent use.
type Set struct {
	n     int64
	width uint64 // of a bucket, in leading 64-bit numbers
}

// New returns a set of n fingerprints, rounded up to a multiple of 64.
func New(n int64) *Set {
	buckets := max(1, (n+bucketSize-1)/bucketSize)
	return &Set{n: buckets * bucketSize, width: ^uint64(0) / uint64(buckets)}
}

// Len is how many fingerprints there are.
func (s *Set) Len() int64 { return s.n }

// at returns fingerprint i, in no order within its bucket.
func (s *Set) at(i uint64) (fp core.Fingerprint) {
	offset, _ := bits.Mul64(mix(2*i), s.width)
	binary.BigEndian.PutUint64(fp[:], i/bucketSize*s.width+offset)
	binary.BigEndian.PutUint64(fp[8:], mix(2*i+1))
	return fp
}

// mix is number i of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom
// number generators", OOPSLA 2014.
func mix(i uint64) uint64 {
	x := i * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Random returns fingerprint i of 0 to Len()-1 in a pseudorandom order, in which each
// comes once.
func (s *Set) Random(i int64) core.Fingerprint { return s.at(s.shuffle(uint64(i))) }

// shuffle permutes the numbers below n. Its steps permute those below the next power of
// two; repeated until the result is small enough, they permute those below n too.
func (s *Set) shuffle(x uint64) uint64 {
	width := bits.Len64(uint64(s.n - 1))
	mask := uint64(1)<<width - 1
	for {
		for _, odd := range [...]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb} {
			x = (x*odd + odd>>32) & mask // this can be undone, and so can the next
			x ^= x >> (width/2 + 1)
		}
		if x < uint64(s.n) {
			return x
		}
	}
}

// Ascending yields all of them in order.
func (s *Set) Ascending() iter.Seq[core.Fingerprint] {
	return func(yield func(core.Fingerprint) bool) {
		bucket := make([]core.Fingerprint, bucketSize)
		for i := int64(0); i < s.n; i += bucketSize {
			for k := range bucket {
				bucket[k] = s.at(uint64(i) + uint64(k))
			}
			slices.SortFunc(bucket, func(x, y core.Fingerprint) int { return bytes.Compare(x[:], y[:]) })
			for _, fp := range bucket {
				if !yield(fp) {
					return
				}
			}
		}
	}
}
