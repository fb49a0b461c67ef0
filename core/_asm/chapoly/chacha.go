package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// streams makes blocks 0 and 1 of sixteen key streams at once (RFC 8439 section
// 2.3): both states have every register of the machine, word i of all lanes each.
func streams() {
	TEXT("streams", NOSPLIT, "func(polyKey *[8][16]uint32, stream *[16][64]byte, key *[8][16]uint32, nonce *[3][16]uint32)")
	Pragma("noescape")
	Doc(
		"streams sets polyKey to the first half of block 0 of each lane's ChaCha20 stream,",
		"word-major, and the first 48 bytes of each row of stream to those of block 1.",
	)
	polyKey, stream := registers.Pointer("polyKey"), registers.Pointer("stream")
	key, nonce := registers.Pointer("key"), registers.Pointer("nonce")

	// The state: four constants, eight words of the key, the counter, the nonce.
	sigma := GLOBL("sigma", RODATA|NOPTR)
	for i, word := range []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574} { // "expand 32-byte k"
		DATA(4*i, U32(word))
	}
	constant := func(i int) Mem { return sigma.Offset(4 * i) }
	input := func(i int) Mem {
		if i > 12 {
			return at(nonce, i-13)
		}
		return at(key, i-4)
	}
	var state [2][16]reg.VecVirtual
	for b := range state {
		for i := range state[b] {
			z := ZMM()
			state[b][i] = z
			switch {
			case i < 4:
				VPBROADCASTD(constant(i), z)
			case i != 12:
				VMOVDQU64(input(i), z)
			case b == 0:
				VPXORD(z, z, z)
			default:
				one := GP32()
				MOVL(U32(1), one)
				VPBROADCASTD(one, z)
			}
		}
	}

	rounds := GP64()
	MOVQ(U32(10), rounds)
	Label("double_round")
	round(&state, [4]int{0, 0, 0, 0}) // columns
	round(&state, [4]int{0, 1, 2, 3}) // diagonals
	DECQ(rounds)
	JNZ(LabelRef("double_round"))

	// The words that are used: the Poly1305 key, and 48 bytes of key stream.
	add := func(b, i int) {
		z := state[b][i]
		if i < 4 {
			VPADDD_BCST(constant(i), z, z)
		} else {
			VPADDD(input(i), z, z)
		}
	}
	for i := range 8 {
		add(0, i)
		VMOVDQU64(state[0][i], at(polyKey, i))
	}
	for i := range 12 {
		add(1, i)
	}
	wordsToRows([12]reg.VecVirtual(state[1][:12]), state[0], func(lane int, row reg.VecVirtual) {
		VMOVDQU64(row, at(stream, lane))
	})
	registers.Forget()
}

// round emits four quarter rounds of each state (RFC 8439 section 2.1), side by side
// because each is one chain of dependent steps. Row r of the state is turned left by
// turn[r] words.
func round(state *[2][16]reg.VecVirtual, turn [4]int) {
	const a, b, c, d = 0, 1, 2, 3
	step := func(x, y, z, rotate int) { // x += y; z ^= x; z <<<= rotate
		all := func(f func(x, y, z reg.VecVirtual)) {
			for s := range state {
				for i := range 4 {
					word := func(row int) reg.VecVirtual { return state[s][4*row+(i+turn[row])%4] }
					f(word(x), word(y), word(z))
				}
			}
		}
		all(func(x, y, z reg.VecVirtual) { VPADDD(y, x, x) })
		all(func(x, y, z reg.VecVirtual) { VPXORD(x, z, z) })
		all(func(x, y, z reg.VecVirtual) { VPROLD(U8(rotate), z, z) })
	}
	step(a, b, d, 16)
	step(c, d, b, 12)
	step(a, b, d, 8)
	step(c, d, b, 7)
}
