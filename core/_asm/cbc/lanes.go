package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// encryptLanes is CBC encryption of several messages: what one of them waits for, the
// others use. The round keys come from memory, where those of a round are side by side.
// A block of every lane is read before one is written, so dst may be src.
func encryptLanes(name string, width, lanes int) {
	TEXT(name, NOSPLIT, "func(k *[15][16][16]byte, chain *[16][16]byte, dst, src *[16]*byte, n int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s encrypts n blocks, at least one, in each of the first %d lanes. chain is the IVs", name, lanes),
		"and then the last blocks of ciphertext.",
	)
	k, chain, dst, src, n := registers.Pointer("k"), registers.Pointer("chain"), registers.Pointer("dst"), registers.Pointer("src"), registers.Pointer("n")
	offset := GP64() // from each pointer
	XORQ(offset, offset)
	count := lanes / width
	state, text := vectors[width][:count], vectors[width][count:2*count]
	for i, s := range state {
		move(width, block(chain, i*width), s)
	}

	Label("block")
	for i, t := range text {
		for j := range width {
			from := at(src, i*width+j, offset)
			if j == 0 {
				VMOVDQU(from, t.AsX())
			} else {
				VINSERTI32X4(U8(j), from, t, t)
			}
		}
		xor(width, laneKey(k, 0, i*width), t, t)
		xor(width, t, state[i], state[i])
	}
	for r := 1; r < rounds; r++ {
		for i, s := range state {
			VAESENC(laneKey(k, r, i*width), s, s)
		}
	}
	for i, s := range state {
		VAESENCLAST(laneKey(k, rounds, i*width), s, s)
	}
	for i, s := range state {
		for j := range width {
			to := at(dst, i*width+j, offset)
			if j == 0 {
				VMOVDQU(s.AsX(), to)
			} else {
				VEXTRACTI32X4(U8(j), s, to)
			}
		}
	}
	ADDQ(U8(blockSize), offset)
	DECQ(n)
	JNZ(LabelRef("block"))
	for i, s := range state {
		move(width, s, block(chain, i*width))
	}
	forget(width, vectors[width][:2*count]...)
}

// at returns what a lane's pointer and the offset lead to.
func at(array reg.Register, lane int, offset reg.Register) Mem {
	p := GP64()
	MOVQ(Mem{Base: array, Disp: 8 * lane}, p)
	return Mem{Base: p, Index: offset, Scale: 1}
}
