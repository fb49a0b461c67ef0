// Command chapoly generates the AVX-512 routines of package chapoly: ChaCha20-Poly1305
// (RFC 8439) for sixteen messages of 48 bytes with 12 bytes of associated data.
//
// ChaCha20 keeps one word of sixteen states in each register (chacha.go). Poly1305
// needs products of 64 bits, so it works on two halves of eight lanes (poly.go).
// Between them, rows of bytes become columns and back (rows.go).
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	register = 64 // bytes
	blocks   = 5  // of the MAC: associated data, three of ciphertext, lengths

	lo, hi = 0, 1 // of a 128-bit number in two columns of 64 bits
)

func main() {
	ConstraintExpr("amd64,!purego")
	streams()
	openBlocks()
	tags()
	openRows()
	sealRows()
	sealTags()
	Generate()
}

// lane returns the message at place i of a half. Interleaving 32-bit words to 64
// bits (VPUNPCKLDQ, VPUNPCKHDQ) stays within 128 bits and so deals the lanes out in
// twos: half 0 has 0, 1, 4, 5, 8, 9, 12, 13, half 1 has the rest.
func lane(half, i int) int { return i/2*4 + i%2 + 2*half }

// at returns the n-th 64 bytes of an array.
func at(array reg.GPVirtual, n int) Mem { return Mem{Base: array, Disp: n * register} }

// column returns half of lo or hi in an array [2][2][8]uint64.
func column(array reg.GPVirtual, part, half int) Mem { return at(array, 2*part+half) }

// block returns half of lo or hi of block i in an array [5][2][2][8]uint64.
func block(array reg.GPVirtual, i, part, half int) Mem { return at(array, 4*i+2*part+half) }

// message returns what entry lane of an array of pointers points to.
func message(array reg.GPVirtual, lane int) Mem {
	p := GP64()
	MOVQ(Mem{Base: array, Disp: 8 * lane}, p)
	return Mem{Base: p}
}

// each loads a constant into all eight places of a register.
func each(v uint64) reg.VecVirtual {
	z, g := ZMM(), GP64()
	MOVQ(U64(v), g)
	VPBROADCASTQ(g, z)
	return z
}
