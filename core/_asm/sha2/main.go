// Command sha2 generates the routines of package sha2: SHA-256's compression
// function (FIPS 180-4 section 6.2.2) for one message with SHA-NI (shani.go) and
// for sixteen messages with AVX-512 (lanes.go, transpose.go).
package main

import (
	"math/big"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

const (
	rounds    = 64
	wordCount = 16 // of a block, 32 bits each
	lanes     = 16 // words in a register of 512 bits
	blockSize = 64 // bytes
)

func main() {
	ConstraintExpr("amd64,!purego")
	k := constants()
	swap := byteSwap()
	blockSHANI(k, swap)
	blockLanes(k, swap)
	blockWords(k)
	Generate()
}

// constants writes K of section 4.2.2, 64 words: the first 32 bits of the fractional
// parts of the cube roots of the first 64 primes.
func constants() Mem {
	k := GLOBL("k", RODATA|NOPTR)
	t := 0
	for p := int64(2); t < rounds; p++ {
		if !big.NewInt(p).ProbablyPrime(0) {
			continue
		}
		DATA(4*t, U32(cubeRootFraction(p)))
		t++
	}
	return k
}

// cubeRootFraction returns floor(2^32 * cbrt(p)) mod 2^32, by halving an interval.
func cubeRootFraction(p int64) uint32 {
	cube := new(big.Int).Lsh(big.NewInt(p), 96) // (2^32 * cbrt(p))^3
	low, high := uint64(0), uint64(1)<<36       // cbrt(p) < 2^4
	for high-low > 1 {
		middle := (low + high) / 2
		m := new(big.Int).SetUint64(middle)
		if new(big.Int).Exp(m, big.NewInt(3), nil).Cmp(cube) <= 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return uint32(low)
}

// byteSwap writes the shuffle that reverses the bytes of each word of 32 bits.
func byteSwap() Mem {
	swap := GLOBL("swap", RODATA|NOPTR)
	for i := range 16 {
		DATA(i, U8(i^3))
	}
	return swap
}
