package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// openBlocks turns sealed messages into columns.
func openBlocks() {
	rowsText("openBlocks", "func(blocks *[5][2][2][8]uint64, want *[2][2][8]uint64, aad *[16]*[12]byte, sealed *[16]*[64]byte)",
		"openBlocks sets blocks to what the MAC of each message covers, and want to the tag",
		"that it came with.")
	covered, want := registers.Pointer("blocks"), registers.Pointer("want")
	aad, sealed := registers.Pointer("aad"), registers.Pointer("sealed")
	plainBlocks(covered, aad)
	both(func(half int) {
		var rows [8]reg.VecVirtual
		for i := range rows {
			rows[i] = load(message(sealed, lane(half, i)))
		}
		for i, z := range transpose(rows) {
			if i < 6 {
				VMOVDQU64(z, block(covered, 1+i/2, i%2, half))
			} else {
				VMOVDQU64(z, column(want, i%2, half))
			}
		}
	})
	VZEROUPPER() // all of it came over the wire
	RET()
}

// openRows compares the tags and decrypts where they are right.
func openRows() {
	rowsText("openRows", "func(plain *[16]*[48]byte, sealed *[16]*[64]byte, stream *[16][64]byte, tags, want *[2][2][8]uint64, right *[2][8]uint64) (lanes uint32)",
		"openRows compares tags with want, sets each plaintext to its ciphertext XOR stream",
		"or, where the tags differ, to zeros, and returns one bit for each lane whose tag is",
		"right. right is memory to work in.")
	plain, sealed, stream := registers.Pointer("plain"), registers.Pointer("sealed"), registers.Pointer("stream")
	tags, want, masks := registers.Pointer("tags"), registers.Pointer("want"), registers.Pointer("right")
	result := GP32()
	both(func(half int) {
		var differ [2]reg.VecVirtual
		for part := range differ {
			differ[part] = load(column(tags, part, half))
			VPXORQ(column(want, part, half), differ[part], differ[part])
		}
		VPORQ(differ[lo], differ[hi], differ[lo])
		right, all := K(), ZMM()
		VPTESTNMQ(differ[lo], differ[lo], right)
		VPMOVM2Q(right, all)
		VMOVDQU64(all, at(masks, half))

		// Eight bits to where the lanes are: twos, and room for the other half's.
		bits, more := GP32(), GP32()
		KMOVB(right, bits)
		for _, s := range []struct{ shift, mask uint32 }{{4, 0x0f0f}, {2, 0x3333}} {
			MOVL(bits, more)
			SHLL(U8(s.shift), more)
			ORL(more, bits)
			ANDL(U32(s.mask), bits)
		}
		if half == 0 {
			MOVL(bits, result)
		} else {
			SHLL(U8(2), bits)
			ORL(bits, result)
		}
	})
	Store(result, Return("lanes"))

	first48 := first48()
	both(func(half int) {
		for i := range 8 {
			lane := lane(half, i)
			z := load(at(stream, lane))
			VPXORQ(message(sealed, lane), z, z)
			VPANDQ_BCST(at(masks, half).Offset(8*i), z, z)
			VMOVDQU64(z, first48, message(plain, lane))
		}
	})
	registers.Forget()
}

// sealRows encrypts.
func sealRows() {
	rowsText("sealRows", "func(sealed *[16]*[64]byte, blocks *[5][2][2][8]uint64, aad *[16]*[12]byte, plain *[16]*[48]byte, stream *[16][64]byte)",
		"sealRows sets the first 48 bytes of each sealed message to its plaintext XOR",
		"stream, and blocks to what its MAC covers.")
	sealed, covered := registers.Pointer("sealed"), registers.Pointer("blocks")
	aad, plain, stream := registers.Pointer("aad"), registers.Pointer("plain"), registers.Pointer("stream")
	plainBlocks(covered, aad)
	first48 := first48()
	both(func(half int) {
		var rows [8]reg.VecVirtual
		for i := range rows {
			lane := lane(half, i)
			z := ZMM()
			VMOVDQU64_Z(message(plain, lane), first48, z)
			VPXORQ(at(stream, lane), z, z)
			VMOVDQU64(z, first48, message(sealed, lane))
			rows[i] = z
		}
		for i, z := range transpose(rows) {
			if i < 6 {
				VMOVDQU64(z, block(covered, 1+i/2, i%2, half))
			}
		}
	})
	registers.Forget()
}

// sealTags turns tags back into rows.
func sealTags() {
	rowsText("sealTags", "func(sealed *[16]*[64]byte, tags *[2][2][8]uint64)",
		"sealTags sets the last 16 bytes of each sealed message to its tag.")
	sealed, tags := registers.Pointer("sealed"), registers.Pointer("tags")
	both(func(half int) {
		low, high := load(column(tags, lo, half)), load(column(tags, hi, half))
		even, odd := ZMM(), ZMM()
		VPUNPCKLQDQ(high, low, even)
		VPUNPCKHQDQ(high, low, odd)
		for i := range 4 {
			for j, z := range []reg.VecVirtual{even, odd} {
				VEXTRACTI64X2(U8(i), z, message(sealed, lane(half, 2*i+j)).Offset(48))
			}
		}
	})
	VZEROUPPER() // nothing here is secret
	RET()
}

func rowsText(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

// first48 returns a mask for six words of 64 bits: a plaintext.
func first48() reg.OpmaskVirtual {
	bits, k := GP32(), K()
	MOVL(U32(1<<6-1), bits)
	KMOVB(bits, k)
	return k
}

// plainBlocks writes the blocks of the MAC that are no ciphertext: the associated
// data, padded with zeros, and both lengths (RFC 8439 section 2.8).
func plainBlocks(covered, aad reg.GPVirtual) {
	both(func(half int) {
		for i := range 8 {
			from, v := message(aad, lane(half, i)), GP64()
			MOVQ(from, v)
			MOVQ(v, block(covered, 0, lo, half).Offset(8*i))
			MOVL(from.Offset(8), v.As32()) // its upper half becomes zero
			MOVQ(v, block(covered, 0, hi, half).Offset(8*i))
		}
	})
	for part, length := range []uint64{lo: 12, hi: 48} {
		z := each(length)
		both(func(half int) { VMOVDQU64(z, block(covered, blocks-1, part, half)) })
	}
}

// wordsToRows hands out sixteen rows whose first 48 bytes are the twelve words of one
// lane; the rest of a row means nothing. It overwrites spare: with half of the
// registers in use before and after, avo finds no allocation on its own.
func wordsToRows(words [12]reg.VecVirtual, spare [16]reg.VecVirtual, f func(lane int, row reg.VecVirtual)) {
	// After two interleavings, part q of 128 bits of quad[g][j] is words 4g to
	// 4g + 3 of lane 4q + j.
	var quad [3][4]reg.VecVirtual
	for g := range quad {
		a, b, c, d := words[4*g], words[4*g+1], words[4*g+2], words[4*g+3]
		abLow, abHigh, cdLow, cdHigh := spare[12], spare[13], spare[14], spare[15]
		VPUNPCKLDQ(b, a, abLow)
		VPUNPCKHDQ(b, a, abHigh)
		VPUNPCKLDQ(d, c, cdLow)
		VPUNPCKHDQ(d, c, cdHigh)
		quad[g] = [4]reg.VecVirtual(spare[4*g:])
		VPUNPCKLQDQ(cdLow, abLow, quad[g][0])
		VPUNPCKHQDQ(cdLow, abLow, quad[g][1])
		VPUNPCKLQDQ(cdHigh, abHigh, quad[g][2])
		VPUNPCKHQDQ(cdHigh, abHigh, quad[g][3])
	}
	pairs, row := spare[12:14], spare[14]
	for j := range 4 {
		for i, z := range pairs { // parts 0, 1 and parts 2, 3 of groups 0 and 1
			parts(quad[0][j], quad[1][j], z, 2*i, 2*i+1, 2*i, 2*i+1)
		}
		for q := range 4 {
			parts(pairs[q/2], quad[2][j], row, q%2, 2+q%2, q, q)
			f(4*q+j, row)
		}
	}
}

// transpose turns eight rows of eight 64-bit words into columns.
func transpose(rows [8]reg.VecVirtual) (columns [8]reg.VecVirtual) {
	var pairs [2][4]reg.VecVirtual // even and odd columns of two rows each
	for i := range 4 {
		a, b := rows[2*i], rows[2*i+1]
		even, odd := ZMM(), ZMM()
		VPUNPCKLQDQ(b, a, even)
		VPUNPCKHQDQ(b, a, odd)
		pairs[0][i], pairs[1][i] = even, odd
	}
	for odd, p := range pairs {
		var quads [2][2]reg.VecVirtual // parts 0, 1 or 2, 3 of rows 0 to 3 or 4 to 7
		for i := range 2 {
			for j := range 2 {
				quads[i][j] = ZMM()
				parts(p[2*j], p[2*j+1], quads[i][j], 2*i, 2*i+1, 2*i, 2*i+1)
			}
		}
		for q := range 4 {
			columns[2*q+odd] = ZMM()
			parts(quads[q/2][0], quads[q/2][1], columns[2*q+odd], q%2, 2+q%2, q%2, 2+q%2)
		}
	}
	return columns
}

// parts sets z to parts i and j of 128 bits of a, then k and l of b.
func parts(a, b, z reg.VecVirtual, i, j, k, l int) { VSHUFI64X2(U8(i|j<<2|k<<4|l<<6), b, a, z) }
