package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// The registers of decryptWide.
var (
	cipherText = vectors[wide][:8]
	states     = vectors[wide][8:16]
	wideKeys   = vectors[wide][16:31] // each round key four times
	lastText   = vectors[wide][31]    // its highest block is the ciphertext before
)

const tail = "tail" // the label of what is left, by number of registers

// decryptWide is decrypt with four blocks in a register: 32 blocks at once, then 16,
// then what is left.
func decryptWide() {
	TEXT("decryptVAES", NOSPLIT, "func(dec *[15][16]byte, dst, src *byte, n int, iv *[16]byte)")
	Pragma("noescape")
	Doc("decryptVAES decrypts n blocks, at least one. dst may be src.")
	dec, dst, src, n := registers.Pointer("dec"), registers.Pointer("dst"), registers.Pointer("src"), registers.Pointer("n")
	VBROADCASTI32X4(block(registers.Pointer("iv"), 0), lastText)
	for r, k := range wideKeys {
		VBROADCASTI32X4(block(dec, r), k)
	}
	advance := func(blocks int) {
		ADDQ(U32(blocks*blockSize), src)
		ADDQ(U32(blocks*blockSize), dst)
		SUBQ(U8(blocks), n)
	}

	Label("blocks32")
	CMPQ(n, U8(32))
	JB(LabelRef("blocks16"))
	decryptRegisters(dst, src, 8, nil)
	advance(32)
	JMP(LabelRef("blocks32"))

	Label("blocks16")
	CMPQ(n, U8(16))
	JB(LabelRef(tail))
	decryptRegisters(dst, src, 4, nil)
	advance(16)

	Label(tail)
	TESTQ(n, n)
	JZ(LabelRef("end"))
	// A mask cuts off the last register: eight bits, two for each block, less two
	// for each of the -n mod 4 blocks that are missing.
	missing, bits, mask := reg.RCX, GP32(), reg.K1
	MOVQ(n, missing)
	NEGQ(missing)
	ANDQ(U8(wide-1), missing)
	ADDQ(missing, missing)
	MOVL(U32(0xff), bits)
	SHRL(reg.CL, bits)
	KMOVB(bits, mask)
	for registers := 1; registers <= 4; registers++ {
		more := fmt.Sprintf("%s%d", tail, registers)
		if registers < 4 {
			CMPQ(n, U8(registers*wide))
			JA(LabelRef(more))
		}
		decryptRegisters(dst, src, registers, mask)
		if registers < 4 {
			JMP(LabelRef("end"))
			Label(more)
		}
	}
	Label("end")
	forget(wide)
}

// decryptRegisters decrypts as many registers full of blocks. With a mask, they are the
// last of the message, and the last of them is not full.
func decryptRegisters(dst, src reg.Register, count int, mask reg.Register) {
	c, s := cipherText[:count], states[:count]
	at := func(p reg.Register, i int) Mem { return block(p, wide*i) }
	last := count - 1
	for i := range c {
		if i == last && mask != nil {
			VMOVDQU64_Z(at(src, i), mask, c[i])
		} else {
			VMOVDQU64(at(src, i), c[i])
		}
		VPXORQ(wideKeys[0], c[i], s[i])
	}
	for r := 1; r < rounds; r++ {
		for _, x := range s {
			VAESDEC(wideKeys[r], x, x)
		}
	}
	// As in decryptBlocks, the ciphertext one block before goes with the last key.
	// From the highest register down, since each needs the one below.
	finish := func(before, text, sum, state vector) {
		VALIGNQ(U8(6), before, text, sum)
		VPXORQ(wideKeys[rounds], sum, sum)
		VAESDECLAST(sum, state, state)
	}
	finish(lastText, c[0], lastText, s[0])
	if mask == nil {
		VBROADCASTI32X4(block(src, wide*count-1), lastText)
	}
	for i := last; i > 0; i-- {
		finish(c[i-1], c[i], c[i], s[i])
	}
	for i, x := range s {
		if i == last && mask != nil {
			VMOVDQU64(x, mask, at(dst, i))
		} else {
			VMOVDQU64(x, at(dst, i))
		}
	}
}
