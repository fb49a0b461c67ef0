package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// blockSHANI keeps the state as the instructions want it: words A, B, E, F in one
// register and C, D, G, H in another, A and C on top. Two rounds make the new A, B,
// E, F where C, D, G, H were, and the old A, B, E, F are the new C, D, G, H.
func blockSHANI(k, swap Mem) {
	TEXT("blockSHANI", NOSPLIT, "func(st *[8]uint32, p []byte)")
	Pragma("noescape")
	Doc("blockSHANI compresses the blocks of p into st; len(p) is a multiple of 64.")
	st := registers.Pointer("st")
	p, end := Load(Param("p").Base(), GP64()), Load(Param("p").Len(), GP64())
	ADDQ(p, end)

	wk := reg.X0 // the instruction's fixed operand
	abef, cdgh, oldABEF, oldCDGH, temp, swapper := XMM(), XMM(), XMM(), XMM(), XMM(), XMM()
	w := [4]reg.VecVirtual{XMM(), XMM(), XMM(), XMM()} // the last sixteen words

	// With the low word first: a b c d and e f g h become f e b a and h g d c.
	MOVOU(Mem{Base: st}, temp)
	MOVOU(Mem{Base: st, Disp: 16}, cdgh)
	PSHUFD(U8(0b10_11_00_01), temp, temp) // b a d c
	PSHUFD(U8(0b00_01_10_11), cdgh, cdgh) // h g f e
	MOVO(temp, abef)
	PALIGNR(U8(8), cdgh, abef)
	PBLENDW(U8(0xf0), temp, cdgh)
	MOVOU(swap, swapper)

	CMPQ(p, end)
	JEQ(LabelRef("done"))
	Label("block")
	MOVO(abef, oldABEF)
	MOVO(cdgh, oldCDGH)
	for t := 0; t < rounds; t += 4 {
		now, next, last := w[t/4%4], w[(t/4+1)%4], w[(t/4+3)%4]
		if t < wordCount {
			MOVOU(Mem{Base: p, Disp: 4 * t}, now)
			PSHUFB(swapper, now)
		} else {
			// W[t] = sigma1(W[t-2]) + W[t-7] + sigma0(W[t-15]) + W[t-16]
			SHA256MSG1(next, now)
			MOVO(last, temp)
			PALIGNR(U8(4), w[(t/4+2)%4], temp)
			PADDD(temp, now)
			SHA256MSG2(last, now)
		}
		MOVOU(k.Offset(4*t), wk)
		PADDD(now, wk)
		SHA256RNDS2(wk, abef, cdgh)
		PSHUFD(U8(0b11_10), wk, wk)
		SHA256RNDS2(wk, cdgh, abef)
	}
	PADDD(oldABEF, abef)
	PADDD(oldCDGH, cdgh)
	ADDQ(U8(blockSize), p)
	CMPQ(p, end)
	JNE(LabelRef("block"))

	Label("done")
	PSHUFD(U8(0b00_01_10_11), abef, abef) // a b e f
	PSHUFD(U8(0b10_11_00_01), cdgh, cdgh) // g h c d
	MOVO(abef, temp)
	PBLENDW(U8(0xf0), cdgh, temp) // a b c d
	PALIGNR(U8(8), abef, cdgh)    // e f g h
	MOVOU(temp, Mem{Base: st})
	MOVOU(cdgh, Mem{Base: st, Disp: 16})
	for _, x := range append(w[:], abef, cdgh, oldABEF, oldCDGH, temp) {
		PXOR(x, x)
	}
	PXOR(wk, wk)
	RET()
}
