package cbc

import (
	"encoding/binary"
	"math/bits"
)

// expandGeneric is KeyExpansion (FIPS 197 section 5.2), and for the decryption keys
// InvMixColumns (section 5.3.5).
func expandGeneric(k *Schedule, key *[32]byte) {
	expandKeyGeneric(&k.enc, key)
	k.dec[0], k.dec[rounds] = k.enc[rounds], k.enc[0]
	for r := 1; r < rounds; r++ {
		from, to := &k.enc[rounds-r], &k.dec[r]
		for i := 0; i < BlockSize; i += 4 {
			w := binary.LittleEndian.Uint32(from[i:])
			binary.LittleEndian.PutUint32(to[i:], invMixColumn(w))
		}
	}
}

func expandLaneGeneric(k *laneKeys, lane int, key *[32]byte) {
	var one roundKeys
	expandKeyGeneric(&one, key)
	for r := range one {
		k[r][lane] = one[r]
	}
	clear(one[:])
}

// expandKeyGeneric keeps words in little-endian order, so RotWord turns right.
func expandKeyGeneric(k *roundKeys, key *[32]byte) {
	var w [8]uint32 // the last Nk words
	for i := range w {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	rcon := uint32(1)
	for i := 0; ; i++ {
		for j := range 4 {
			binary.LittleEndian.PutUint32(k[i][4*j:], w[i%2*4+j])
		}
		switch {
		case i == rounds:
			clear(w[:])
			return
		case i%2 == 1: // the words i+1 and i+2 of the next turn come from w
			t := subWord(bits.RotateLeft32(w[7], -8)) ^ rcon
			rcon <<= 1
			chain(w[:4], t)
			chain(w[4:], subWord(w[3]))
		}
	}
}

// chain adds t to the first word, and to each other its predecessor.
func chain(w []uint32, t uint32) {
	for i := range w {
		w[i] ^= t
		t = w[i]
	}
}

// subWord applies the S-box to four bytes.
func subWord(w uint32) uint32 {
	var b, rest [BlockSize]byte
	binary.LittleEndian.PutUint32(b[:], w)
	var q planes
	q.load(&b, &rest, &rest, &rest)
	q.subBytes()
	q.store(&b, &rest, &rest, &rest)
	return binary.LittleEndian.Uint32(b[:])
}

// invMixColumn is InvMixColumns for one column, whose row r is byte r of w: see
// planes.invMixColumns.
func invMixColumn(w uint32) uint32 {
	w ^= xtimeWord(xtimeWord(w ^ bits.RotateLeft32(w, 16)))
	below := bits.RotateLeft32(w, -8)
	t := w ^ below
	return xtimeWord(t) ^ below ^ bits.RotateLeft32(t, 16)
}

// xtimeWord is xtime for four bytes.
func xtimeWord(w uint32) uint32 {
	return w<<1&0xfefefefe ^ w>>7&0x01010101*0x1b
}
