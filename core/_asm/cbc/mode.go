package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// encrypt is CBC encryption (SP 800-38A section 6.2) of one message. A block waits for
// the one before: 14 rounds one after the other, with the round keys in registers.
func encrypt() {
	TEXT("encryptAESNI", NOSPLIT, "func(enc *[15][16]byte, dst, src *byte, n int, iv *[16]byte)")
	Pragma("noescape")
	Doc("encryptAESNI encrypts n blocks, at least one.")
	enc, dst, src, n := registers.Pointer("enc"), registers.Pointer("dst"), registers.Pointer("src"), registers.Pointer("n")
	x := vectors[narrow]
	state, p, keys := x[0], x[15], x[1:15] // of the rounds 0 to 13
	VMOVDQU(block(registers.Pointer("iv"), 0), state)
	loadKeys(enc, keys)

	Label("block")
	VPXOR(block(src, 0), keys[0], p) // apart from the state, so that it need not wait
	VPXOR(p, state, state)
	encryptRounds(enc, keys, state)
	VMOVDQU(state, block(dst, 0))
	ADDQ(U8(blockSize), src)
	ADDQ(U8(blockSize), dst)
	DECQ(n)
	JNZ(LabelRef("block"))
	forget(narrow, x...)
}

func mac() {
	TEXT("macAESNI", NOSPLIT, "func(enc *[15][16]byte, dst *[16]byte, src *byte, n int)")
	Pragma("noescape")
	Doc("macAESNI writes the last block of the encryption of n blocks, at least one, with an IV of zeros.")
	enc, dst, src, n := registers.Pointer("enc"), registers.Pointer("dst"), registers.Pointer("src"), registers.Pointer("n")
	x := vectors[narrow]
	state, p, keys := x[0], x[15], x[1:15]
	VPXOR(state, state, state)
	loadKeys(enc, keys)

	Label("block")
	VPXOR(block(src, 0), keys[0], p)
	VPXOR(p, state, state)
	encryptRounds(enc, keys, state)
	ADDQ(U8(blockSize), src)
	DECQ(n)
	JNZ(LabelRef("block"))
	VMOVDQU(state, block(dst, 0))
	forget(narrow, x...)
}

func loadKeys(from reg.Register, keys []vector) {
	for r, k := range keys {
		VMOVDQU(block(from, r), k)
	}
}

// encryptRounds is Cipher (FIPS 197 section 5.1) after the first AddRoundKey.
func encryptRounds(enc reg.Register, keys []vector, state vector) {
	for r := 1; r < rounds; r++ {
		VAESENC(keys[r], state, state)
	}
	VAESENCLAST(block(enc, rounds), state, state)
}

// decrypt is CBC decryption of one message. Its blocks do not wait for each other, so
// eight are under way at once: a processor begins an AESDEC per cycle and ends it four
// or more later.
func decrypt() {
	const most = 8
	TEXT("decryptAESNI", NOSPLIT, "func(dec *[15][16]byte, dst, src *byte, n int, iv *[16]byte)")
	Pragma("noescape")
	Doc("decryptAESNI decrypts n blocks, at least one. dst may be src.")
	dec, dst, src, n := registers.Pointer("dec"), registers.Pointer("dst"), registers.Pointer("src"), registers.Pointer("n")
	VMOVDQU(block(registers.Pointer("iv"), 0), previous)
	CMPQ(n, U8(most))
	JB(LabelRef("rest"))

	Label("blocks")
	decryptBlocks(dec, dst, src, most)
	ADDQ(U8(most*blockSize-1), src) // 128 does not fit in a signed byte
	INCQ(src)
	ADDQ(U8(most*blockSize-1), dst)
	INCQ(dst)
	SUBQ(U8(most), n)
	CMPQ(n, U8(most))
	JAE(LabelRef("blocks"))

	Label("rest")
	TESTQ(n, n)
	JZ(LabelRef("end"))
	for rest := 1; rest < most; rest++ {
		if rest < most-1 {
			CMPQ(n, U8(rest))
			JNE(LabelRef(fmt.Sprintf("more%d", rest)))
		}
		decryptBlocks(dec, dst, src, rest)
		if rest < most-1 {
			JMP(LabelRef("end"))
			Label(fmt.Sprintf("more%d", rest))
		}
	}
	Label("end")
	forget(narrow, vectors[narrow]...)
}

// previous is the ciphertext block before those to decrypt.
const previousIndex = 14

var previous = vectors[narrow][previousIndex]

// decryptBlocks decrypts count blocks by the equivalent inverse cipher (FIPS 197
// section 5.3.5). All ciphertext is read before the first block is written, because
// dst may be src.
func decryptBlocks(dec, dst, src reg.Register, count int) {
	x := vectors[narrow]
	state, spare, key := x[:count], x[8:previousIndex], x[15]
	VMOVDQU(block(dec, 0), key)
	for i, s := range state {
		VPXOR(block(src, i), key, s)
	}
	for r := 1; r < rounds; r++ {
		VMOVDQU(block(dec, r), key)
		for _, s := range state {
			VAESDEC(key, s, s)
		}
	}
	// The last round adds its key; the ciphertext block before goes with it.
	VMOVDQU(block(dec, rounds), key)
	VPXOR(key, previous, previous)
	VAESDECLAST(previous, state[0], state[0])
	for i, s := range state[1:] {
		t := spare[i%len(spare)]
		VPXOR(block(src, i), key, t)
		VAESDECLAST(t, s, s)
	}
	VMOVDQU(block(src, count-1), previous)
	for i, s := range state {
		VMOVDQU(s, block(dst, i))
	}
}
