package x25519

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"

	"filippo.io/edwards25519/field"
)

// An entry is a point to add: y+x, y-x, 2dxy.
type entry [3]field.Element

// entriesTable is combTable for one scalar at a time. Entries are three little-endian
// numbers of 32 bytes, as twelve words: few, because all 16 of a digit are read.
type entriesTable = [combDigits][tableEntries]entryWords

type entryWords = [12]uint64

// words returns e for a table.
func (e *entry) words() (w entryWords) {
	for c := range e {
		b := e[c].Bytes()
		for i := range 4 {
			w[4*c+i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
	return w
}

// pick sets e to entry number index of a digit. It reads all of them, one coordinate
// after the other: four words stay in registers, twelve would not.
func (e *entry) pick(entries *[tableEntries]entryWords, index uint8) {
	var masks [tableEntries]uint64
	for n := range masks {
		masks[n] = -uint64(subtle.ConstantTimeByteEq(uint8(n), index))
	}
	var b [32]byte
	for c := range e {
		var w0, w1, w2, w3 uint64
		for n := range entries {
			mask, w := masks[n], (*[4]uint64)(entries[n][4*c:])
			w0 |= w[0] & mask
			w1 |= w[1] & mask
			w2 |= w[2] & mask
			w3 |= w[3] & mask
		}
		binary.LittleEndian.PutUint64(b[0:], w0)
		binary.LittleEndian.PutUint64(b[8:], w1)
		binary.LittleEndian.PutUint64(b[16:], w2)
		binary.LittleEndian.PutUint64(b[24:], w3)
		mustSet(&e[c], &b)
	}
}

// addTo adds e, or its negative, to the point q, which is X, Y, Z, T. The formulas are
// complete: Hisil, Wong, Carter, Dawson, ASIACRYPT 2008, section 3.1. negative is 0 or
// 1; time does not depend on it. e is used up.
func (e *entry) addTo(q *[4]field.Element, negative int) {
	var a, b, c, d, f, g, h field.Element
	e[0].Swap(&e[1], negative)
	a.Multiply(a.Subtract(&q[1], &q[0]), &e[1])
	b.Multiply(b.Add(&q[1], &q[0]), &e[0])
	c.Multiply(&q[3], &e[2])
	d.Add(&q[2], &q[2])
	h.Add(&b, &a)
	b.Subtract(&b, &a) // E
	f.Subtract(&d, &c)
	g.Add(&d, &c)
	f.Swap(&g, negative)
	q[0].Multiply(&b, &f)
	q[1].Multiply(&g, &h)
	q[2].Multiply(&f, &g)
	q[3].Multiply(&b, &h)
}

// multiply sets num/den to the Montgomery coordinate of the product of the table's
// point and the scalar with these digits. It reads every entry of every digit.
func (t *Table) multiply(num, den *field.Element, digits *[combDigits]uint8) {
	var q [4]field.Element
	q[1].One()
	q[2].One()
	var chosen entry
	for i, digit := range digits {
		index, negative := splitDigit(digit)
		chosen.pick(&t.entries[i], index)
		chosen.addTo(&q, negative)
	}
	num.Add(&q[2], &q[1])
	den.Subtract(&q[2], &q[1])
	q, chosen = [4]field.Element{}, entry{}
}

// splitDigit splits (d+31)/2, for an odd d from -31 to 31, into the number of its entry
// and 1 for a negative d. From 16 on they count up, below that down.
func splitDigit(digit uint8) (index uint8, negative int) {
	sign := ^digit >> 4 & 1
	return (digit ^ -sign) & 15, int(sign)
}

// order is that of the base point, 2^252 + 27742317777372353535851937790883648493.
var order = [4]uint64{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 1 << 60}

// digitsOf returns the digits of the clamped scalar k. The tables are of 8P, so what is
// cut into digits is m = k/8, below 2^252. Odd digits make odd numbers: an even m is
// replaced by m + l, l being the odd order of 8P (RFC 7748 section 4.1). With
// d = 2e - 31 for each digit, the sum of e * 32^i is (m + 2^255 - 1) / 2.
func digitsOf(k *[32]byte) (digits [combDigits]uint8) {
	var m [4]uint64
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(k[8*i:])
	}
	m[3] = m[3]&(1<<63-1) | 1<<62
	for i := range 3 {
		m[i] = m[i]>>3 | m[i+1]<<61
	}
	m[3] >>= 3

	even := m[0]&1 - 1 // all ones if m is even
	var carry uint64
	for i := range m {
		m[i], carry = bits.Add64(m[i], order[i]&even, carry)
	}
	// (m + 2^255 - 1)/2 = (m-1)/2 + 2^254, m being odd.
	for i := range 3 {
		m[i] = m[i]>>1 | m[i+1]<<63
	}
	m[3] = m[3]>>1 + 1<<62
	for i := range digits {
		bit := 5 * i
		e := m[bit/64] >> (bit % 64)
		if bit%64 > 59 && bit/64 < 3 {
			e |= m[bit/64+1] << (64 - bit%64)
		}
		digits[i] = uint8(e & 31)
	}
	clear(m[:])
	return digits
}
