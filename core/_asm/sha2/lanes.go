package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// A word is one word of SHA-256 in sixteen lanes. The registers are assigned here:
// 16 words of the message and 8 of the state leave 8 to work with, which avo would
// not find on its own.
type word = reg.VecPhysical

// A pool is the registers that hold nothing.
type pool []word

func (p *pool) take() word {
	w := (*p)[0]
	*p = (*p)[1:]
	return w
}

func (p *pool) give(w ...word) { *p = append(*p, w...) }

// row returns 64 bytes of an array of registers.
func row(array reg.Register, n int) Mem { return Mem{Base: array, Disp: 4 * lanes * n} }

func blockLanes(k, swap Mem) {
	TEXT("blockLanesAVX512", NOSPLIT, "func(st *[8][16]uint32, p *[16]*byte, n int)")
	Pragma("noescape")
	Doc("blockLanesAVX512 compresses n blocks, at least one, from each pointer into its lane of st.")
	st, p, n := registers.Pointer("st"), registers.Pointer("p"), registers.Pointer("n")
	offset := GP64() // from each pointer
	XORQ(offset, offset)
	state := loadState(st)
	free := pool(registers.Z[len(state):])

	Label("block")
	w := transposed(&free, p, offset, swap)
	compress(k, st, state, w, free)
	ADDQ(U8(blockSize), offset)
	DECQ(n)
	JNZ(LabelRef("block"))
	registers.Forget()
}

func blockWords(k Mem) {
	TEXT("blockWordsAVX512", NOSPLIT, "func(st *[8][16]uint32, w *[16][16]uint32)")
	Pragma("noescape")
	Doc("blockWordsAVX512 compresses one block, w[word][lane], into st.")
	st, words := registers.Pointer("st"), registers.Pointer("w")
	state := loadState(st)
	free := pool(registers.Z[len(state):])
	var w [wordCount]word
	for t := range w {
		w[t] = free.take()
		VMOVDQU32(row(words, t), w[t])
	}
	compress(k, st, state, w, free)
	registers.Forget()
}

func loadState(st reg.Register) (state [8]word) {
	copy(state[:], registers.Z[:])
	for i, z := range state {
		VMOVDQU32(row(st, i), z)
	}
	return state
}

// compress is steps 2 to 4 of section 6.2.2 for state, which st holds too, and w.
// Sixteen rounds make one turn of a loop, so that the code stays in the cache of
// decoded instructions; a state of eight words is then back in its registers.
func compress(k Mem, st reg.Register, state [8]word, w [wordCount]word, free pool) {
	turn := func(k Mem, schedule bool) {
		for t := range wordCount {
			round(state, k.Offset(4*t), w[t], free)
			if schedule {
				next(w, t, free)
			}
			h := state[7]
			copy(state[1:], state[:7])
			state[0] = h // which is the new a
		}
	}
	at, left := GP64(), GP64()
	LEAQ(k, at)
	MOVQ(U32(rounds/wordCount-1), left)
	Label("rounds")
	turn(Mem{Base: at}, true)
	ADDQ(U8(4*wordCount), at)
	DECQ(left)
	JNZ(LabelRef("rounds"))
	turn(Mem{Base: at}, false)
	for i, z := range state {
		VPADDD(row(st, i), z, z)
		VMOVDQU32(z, row(st, i))
	}
}

// round is step 3 for one t. The new a takes the register of h, the new e that of d.
func round(state [8]word, k Mem, w word, free pool) {
	a, b, c, d, e, f, g, h := state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
	s, t, u, v := free[0], free[1], free[2], free[3]
	// T1 = h + Sigma1(e) + Ch(e, f, g) + K + W
	VPADDD_BCST(k, h, h)
	VPADDD(w, h, h)
	VMOVDQA32(e, v)
	ternary(ch, g, f, v)
	VPADDD(v, h, h)
	xor3(e, s, t, u, rotate(6), rotate(11), rotate(25))
	VPADDD(s, h, h)
	VPADDD(h, d, d) // e = d + T1
	// a = T1 + Sigma0(a) + Maj(a, b, c)
	s, t, u, v = free[4], free[5], free[6], free[7]
	VMOVDQA32(a, v)
	ternary(maj, c, b, v)
	VPADDD(v, h, h)
	xor3(a, s, t, u, rotate(2), rotate(13), rotate(22))
	VPADDD(s, h, h)
}

// next replaces W[t] by W[t+16] (step 1), t modulo 16.
func next(w [wordCount]word, t int, free pool) {
	at := func(i int) word { return w[(t+i)%wordCount] }
	x := at(0)
	s, y, z := free[0], free[1], free[2]
	VPADDD(at(9), x, x)
	xor3(at(1), s, y, z, rotate(7), rotate(18), shift(3)) // sigma0
	VPADDD(s, x, x)
	s, y, z = free[4], free[5], free[6]
	xor3(at(14), s, y, z, rotate(17), rotate(19), shift(10)) // sigma1
	VPADDD(s, x, x)
}

// The truth tables of VPTERNLOGD. Bit 4x + 2y + z is the result for bits x of the
// destination, y of the operand next to it and z of the one before.
const (
	ch   = 0xca // x ? y : z
	maj  = 0xe8 // two of three
	odd3 = 0x96 // x ^ y ^ z
)

func ternary(table uint8, z, y, x word) { VPTERNLOGD(U8(table), z, y, x) }

type move func(from, to word)

func rotate(n uint8) move { return func(from, to word) { VPRORD(U8(n), from, to) } }
func shift(n uint8) move  { return func(from, to word) { VPSRLD(U8(n), from, to) } }

// xor3 sets s to the XOR of three moves of x, by way of t and u.
func xor3(x, s, t, u word, f, g, h move) {
	f(x, s)
	g(x, t)
	h(x, u)
	ternary(odd3, u, t, s)
}
