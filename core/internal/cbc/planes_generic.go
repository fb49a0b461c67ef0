package cbc

import (
	"encoding/binary"
	"math/bits"
)

// planes is the states of four blocks, cut into bits: bit 16*row + 4*column + block of
// planes[i] is bit i of that byte. The steps of the cipher are then logic on whole
// words, without a table.
type planes [8]uint64

// load sets q to four blocks.
func (q *planes) load(a, b, c, d *[BlockSize]byte) {
	for i, p := range [4]*[BlockSize]byte{a, b, c, d} {
		q[i] = spread(p[0:]) | spread(p[8:])<<8
		q[i+4] = spread(p[4:]) | spread(p[12:])<<8
	}
	q.transpose()
}

// store is the inverse of load. It leaves q transposed.
func (q *planes) store(a, b, c, d *[BlockSize]byte) {
	q.transpose()
	for i, p := range [4]*[BlockSize]byte{a, b, c, d} {
		binary.LittleEndian.PutUint32(p[0:], gather(q[i]))
		binary.LittleEndian.PutUint32(p[8:], gather(q[i]>>8))
		binary.LittleEndian.PutUint32(p[4:], gather(q[i+4]))
		binary.LittleEndian.PutUint32(p[12:], gather(q[i+4]>>8))
	}
}

// spread returns the bytes 0, 1, 2 and 3 of p as bytes 0, 2, 4 and 6.
func spread(p []byte) uint64 {
	x := uint64(binary.LittleEndian.Uint32(p))
	x = (x | x<<16) & 0x0000ffff0000ffff
	return (x | x<<8) & 0x00ff00ff00ff00ff
}

// gather is the inverse of spread; it ignores the other bytes.
func gather(x uint64) uint32 {
	x &= 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

// transpose exchanges the number of a word with the number of a bit in its byte.
func (q *planes) transpose() {
	for i := 0; i < 8; i += 2 {
		exchange(&q[i], &q[i+1], 1, 0x5555555555555555)
	}
	for _, i := range [4]int{0, 1, 4, 5} {
		exchange(&q[i], &q[i+2], 2, 0x3333333333333333)
	}
	for i := range 4 {
		exchange(&q[i], &q[i+4], 4, 0x0f0f0f0f0f0f0f0f)
	}
}

// exchange swaps the bits of a that are n above those of mask with those of b in mask.
func exchange(a, b *uint64, n uint, mask uint64) {
	t := (*a>>n ^ *b) & mask
	*b ^= t
	*a ^= t << n
}

func (q *planes) addRoundKey(k *planes) {
	for i := range q {
		q[i] ^= k[i]
	}
}

// shiftRows turns row r left by r columns (FIPS 197 section 5.1.2).
func (q *planes) shiftRows() {
	for i, x := range q {
		q[i] = x&0x000000000000ffff |
			x>>4&0x000000000fff0000 | x<<12&0x00000000f0000000 |
			x>>8&0x000000ff00000000 | x<<8&0x0000ff0000000000 |
			x>>12&0x000f000000000000 | x<<4&0xfff0000000000000
	}
}

// invShiftRows turns them back (section 5.3.1).
func (q *planes) invShiftRows() {
	for i, x := range q {
		q[i] = x&0x000000000000ffff |
			x<<4&0x00000000fff00000 | x>>12&0x00000000000f0000 |
			x<<8&0x0000ff0000000000 | x>>8&0x000000ff00000000 |
			x<<12&0xf000000000000000 | x>>4&0x0fff000000000000
	}
}

// xtime multiplies each byte by x, modulo x^8 + x^4 + x^3 + x + 1 (section 4.2.1).
func (q *planes) xtime() {
	h := q[7]
	copy(q[1:], q[:7])
	q[0] = h
	q[1] ^= h
	q[3] ^= h
	q[4] ^= h
}

// mixColumns is section 5.1.3. With t = a[r] + a[r+1], the new a[r] is
// x*t + a[r+1] + (a[r+2] + a[r+3]), and the last sum is t of two rows below.
func (q *planes) mixColumns() {
	var t planes
	for i, x := range q {
		below := bits.RotateLeft64(x, -16)
		t[i] = x ^ below
		q[i] = below ^ bits.RotateLeft64(t[i], 32)
	}
	t.xtime()
	q.addRoundKey(&t)
}

// invMixColumns is section 5.3.3. The inverse polynomial is that of mixColumns times
// 4x^2 + 5, so x^2 * (a[r] + a[r+2]) is added to a[r] first.
func (q *planes) invMixColumns() {
	t := *q
	for i, x := range q {
		t[i] ^= bits.RotateLeft64(x, 32)
	}
	t.xtime()
	t.xtime()
	q.addRoundKey(&t)
	q.mixColumns()
}
