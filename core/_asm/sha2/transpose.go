package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transposed loads a block from offset past each of sixteen pointers and returns its
// big-endian words, each in all lanes. The registers come from free.
func transposed(free *pool, pointers, offset reg.GPVirtual, swap Mem) (w [wordCount]word) {
	swapper := free.take()
	VBROADCASTI32X4(swap, swapper)
	// Part q of 128 bits of quads[g][j] is word 4q + j of lanes 4g to 4g + 3.
	var quads [4][4]word
	for g := range quads {
		var rows [4]word
		for i := range rows {
			rows[i] = free.take()
			p := GP64()
			MOVQ(Mem{Base: pointers, Disp: 8 * (4*g + i)}, p)
			VMOVDQU32(Mem{Base: p, Index: offset, Scale: 1}, rows[i])
			VPSHUFB(swapper, rows[i], rows[i])
		}
		quads[g] = interleave(free, rows)
	}
	free.give(swapper)
	for j := range 4 {
		for q, z := range exchange(free, [4]word{quads[0][j], quads[1][j], quads[2][j], quads[3][j]}) {
			w[4*q+j] = z
		}
	}
	return w
}

// interleave transposes 4 x 4 words in each part of 128 bits.
func interleave(free *pool, rows [4]word) (columns [4]word) {
	a, b, c, d := rows[0], rows[1], rows[2], rows[3]
	ab, cd := free.take(), free.take()
	VPUNPCKLDQ(b, a, ab)
	VPUNPCKHDQ(b, a, a)
	VPUNPCKLDQ(d, c, cd)
	VPUNPCKHDQ(d, c, c)
	VPUNPCKLQDQ(cd, ab, b)
	VPUNPCKHQDQ(cd, ab, ab)
	VPUNPCKLQDQ(c, a, d)
	VPUNPCKHQDQ(c, a, a)
	free.give(cd, c)
	return [4]word{b, ab, d, a}
}

// exchange transposes 4 x 4 parts of 128 bits.
func exchange(free *pool, rows [4]word) (columns [4]word) {
	a, b, c, d := rows[0], rows[1], rows[2], rows[3]
	ab, cd := free.take(), free.take()
	parts(a, b, ab, 0, 1)
	parts(a, b, a, 2, 3)
	parts(c, d, cd, 0, 1)
	parts(c, d, c, 2, 3)
	parts(ab, cd, b, 0, 2)
	parts(ab, cd, ab, 1, 3)
	parts(a, c, d, 0, 2)
	parts(a, c, a, 1, 3)
	free.give(cd, c)
	return [4]word{b, ab, d, a}
}

// parts sets z to parts i and j of x, then the same of y.
func parts(x, y, z word, i, j int) { VSHUFI32X4(U8(i|j<<2|i<<4|j<<6), y, x, z) }
