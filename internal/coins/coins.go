// Package coins makes up fingerprints for tests and measurements of large ledgers: as
// many as wanted, pseudorandom, in ascending order or any one by itself, in no memory.
package coins

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
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
	n      int64
	width  uint64 // of a bucket, in leading 64-bit numbers; 0 is all of the space
	stride uint64 // see Random
	block  cipher.Block
}

// New returns a set of n fingerprints, rounded up to a multiple of 64.
func New(n int64) *Set {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	buckets := max(1, (n+bucketSize-1)/bucketSize)
	s := &Set{n: buckets * bucketSize, block: block}
	if buckets > 1 {
		s.width = ^uint64(0) / uint64(buckets)
	}
	s.stride = uint64(float64(s.n)*0.6180339887) | 1
	for gcd(s.stride, uint64(s.n)) != 1 {
		s.stride += 2
	}
	return s
}

// Len is how many fingerprints there are.
func (s *Set) Len() int64 { return s.n }

// at returns fingerprint i, in no order within its bucket.
func (s *Set) at(i uint64) (fp core.Fingerprint) {
	binary.BigEndian.PutUint64(fp[:], i)
	s.block.Encrypt(fp[:], fp[:])
	if s.width != 0 {
		lead := binary.BigEndian.Uint64(fp[:])
		binary.BigEndian.PutUint64(fp[:], i/bucketSize*s.width+lead%s.width)
	}
	return fp
}

// Random returns fingerprint i of 0 to Len()-1 in a scattered order: neighbours are far
// apart, and each comes once.
func (s *Set) Random(i int64) core.Fingerprint {
	hi, lo := bits.Mul64(uint64(i), s.stride)
	_, rem := bits.Div64(hi%uint64(s.n), lo, uint64(s.n))
	return s.at(rem)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
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
