package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// constants of the key schedule, each four times over for 512 bits.
type constants struct {
	rotWord Mem // shuffle: RotWord of the last word, in all words
	lastTwo Mem // shuffle: word 1 in the words 2 and 3, zeros in 0 and 1
	rcon    Mem // in all words: seven values
}

func newConstants() (c constants) {
	c.rotWord = shuffle("rotWord", [blockSize]uint8{13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12})
	c.lastTwo = shuffle("lastTwo", [blockSize]uint8{128, 128, 128, 128, 128, 128, 128, 128, 4, 5, 6, 7, 4, 5, 6, 7})
	c.rcon = GLOBL("rcon", RODATA|NOPTR)
	for i := range rounds / 2 {
		for j := range wide * blockSize / 4 {
			DATA(i*wide*blockSize+4*j, U32(1<<i))
		}
	}
	return c
}

func shuffle(name string, bytes [blockSize]uint8) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range wide * blockSize {
		DATA(i, U8(bytes[i%blockSize]))
	}
	return m
}

// A chain expands one key, or four side by side. In even it keeps the last round key
// of an even number, in odd that of an odd number.
type chain struct{ even, odd, t, u vector }

func newChain(v []vector) chain { return chain{v[0], v[1], v[2], v[3]} }

// expand is KeyExpansion (FIPS 197 section 5.2) for several chains together; even and
// odd hold the keys. store gets each round key.
//
// SubWord is AESENCLAST on four equal words: its ShiftRows then changes nothing, and
// its round key adds Rcon. That takes a shuffle and 4 cycles; AESKEYGENASSIST is many
// operations.
func (c constants) expand(width int, chains []chain, zero vector, store func(i, round int, k vector)) {
	for i, x := range chains {
		store(i, 0, x.even)
		store(i, 1, x.odd)
	}
	for r := 2; r <= rounds; r++ {
		for _, x := range chains {
			if r%2 == 0 {
				VPSHUFB(c.rotWord, x.odd, x.t)
				VAESENCLAST(c.rcon.Offset((r/2-1)*wide*blockSize), x.t, x.t)
			} else {
				VPSHUFD(U8(0xff), x.even, x.t)
				VAESENCLAST(zero, x.t, x.t)
			}
		}
		// w[0], w[0]+w[1], w[0]+w[1]+w[2], and so on, while that goes on: word 1
		// and 3 take their neighbour, then 2 and 3 take the sum of 0 and 1.
		for i, x := range chains {
			k := x.even
			if r%2 == 1 {
				k = x.odd
			}
			VPSLLQ(U8(32), k, x.u)
			xor(width, x.u, k, k)
			VPSHUFB(c.lastTwo, k, x.u)
			xor(width, x.u, k, k)
			xor(width, x.t, k, k)
			store(i, r, k)
		}
	}
}

func expandOne(c constants) {
	TEXT("expandAESNI", NOSPLIT, "func(enc, dec *[15][16]byte, key *[32]byte)")
	Pragma("noescape")
	Doc("expandAESNI sets enc to the round keys of key, and dec to those of the equivalent inverse cipher.")
	enc, dec, key := registers.Pointer("enc"), registers.Pointer("dec"), registers.Pointer("key")
	x, zero, inverse := newChain(vectors[narrow]), reg.X4, reg.X5
	VPXOR(zero, zero, zero)
	VMOVDQU(block(key, 0), x.even)
	VMOVDQU(block(key, 1), x.odd)
	c.expand(narrow, []chain{x}, zero, func(_, round int, k vector) {
		VMOVDQU(k, block(enc, round))
		if 0 < round && round < rounds {
			VAESIMC(k, inverse)
			k = inverse
		}
		VMOVDQU(k, block(dec, rounds-round))
	})
	forget(narrow, x.even, x.odd, x.t, x.u, inverse)
}

// laneKey returns the round key of a lane in an array [15][16][16]byte.
func laneKey(keys reg.Register, round, lane int) Mem { return block(keys, maxLanes*round+lane) }

func expandLane(c constants) {
	TEXT("expandLaneAESNI", NOSPLIT, "func(k *[16]byte, key *[32]byte)")
	Pragma("noescape")
	Doc("expandLaneAESNI writes the round keys of key, for encryption, to k and each 256 bytes further on.")
	k, key := registers.Pointer("k"), registers.Pointer("key")
	x, zero := newChain(vectors[narrow]), reg.X4
	VPXOR(zero, zero, zero)
	VMOVDQU(block(key, 0), x.even)
	VMOVDQU(block(key, 1), x.odd)
	c.expand(narrow, []chain{x}, zero, func(_, round int, v vector) {
		VMOVDQU(v, laneKey(k, round, 0))
	})
	forget(narrow, x.even, x.odd, x.t, x.u)
}

// expandLanes expands the keys of all lanes, some chains at a time: one alone waits for
// itself most of the time.
func expandLanes(c constants, name string, width, lanes, together int) {
	TEXT(name, NOSPLIT, "func(k *[15][16][16]byte, key *[16]*[32]byte)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s expands the keys of the first %d lanes.", name, lanes))
	k, key := registers.Pointer("k"), registers.Pointer("key")
	v := vectors[width]
	// Sixteen registers are enough for four chains if their u is shared.
	var chains []chain
	for i := range together {
		chains = append(chains, chain{v[3*i], v[3*i+1], v[3*i+2], v[12+i%3]})
	}
	zero := v[15]
	xor(width, zero, zero, zero)
	for first := 0; first < lanes; first += together * width {
		for i, x := range chains {
			for j := range width {
				p := GP64()
				MOVQ(Mem{Base: key, Disp: 8 * (first + i*width + j)}, p)
				if j == 0 {
					VMOVDQU(block(p, 0), x.even.AsX())
					VMOVDQU(block(p, 1), x.odd.AsX())
				} else {
					VINSERTI32X4(U8(j), block(p, 0), x.even, x.even)
					VINSERTI32X4(U8(j), block(p, 1), x.odd, x.odd)
				}
			}
		}
		c.expand(width, chains, zero, func(i, round int, x vector) {
			move(width, x, laneKey(k, round, first+i*width))
		})
	}
	forget(width, v...)
}
