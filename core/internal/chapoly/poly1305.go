package chapoly

import "math/bits"

// poly1305 is one run of Poly1305 (RFC 8439 section 2.5). The accumulator h is a
// number mod 2^130 - 5, in words of 64 bits; between blocks h2 is at most 4.
type poly1305 struct {
	r0, r1 uint64 // clamped: below 2^60
	s0, s1 uint64

	h0, h1, h2 uint64
}

// start takes a key: r, then s, in little-endian words.
func (p *poly1305) start(key *[8]uint32) {
	word := func(i int) uint64 { return uint64(key[i]) | uint64(key[i+1])<<32 }
	*p = poly1305{
		r0: word(0) & 0x0ffffffc_0fffffff, r1: word(2) & 0x0ffffffc_0ffffffc,
		s0: word(4), s1: word(6),
	}
}

// block sets h to (h + m) r for the block m = lo + 2^64 hi + 2^128 top. top is 1, or 0
// for a last block that is shorter and has its end marked in lo or hi.
func (p *poly1305) block(lo, hi, top uint64) {
	h0, c := bits.Add64(p.h0, lo, 0)
	h1, c := bits.Add64(p.h1, hi, c)
	h2 := p.h2 + c + top // at most 6

	// The product h r: four words. Products with h2 stay below 2^63; so do the
	// upper halves of the others, and their sums do not overflow.
	t1, t0 := bits.Mul64(h0, p.r0)
	a1, a0 := bits.Mul64(h1, p.r0)
	b1, b0 := bits.Mul64(h0, p.r1)
	t3, t2 := bits.Mul64(h1, p.r1)
	t1, c = bits.Add64(t1, a0, 0)
	t2, c = bits.Add64(t2, a1, c)
	t3 += c
	t1, c = bits.Add64(t1, b0, 0)
	t2, c = bits.Add64(t2, b1, c)
	t3 += c
	t2, c = bits.Add64(t2, h2*p.r0, 0)
	t3 += h2*p.r1 + c

	// 2^130 = 5. What is above, q, counts five times: 4q + q.
	const below = 3
	h0, h1, h2 = t0, t1, t2&below
	h0, c = bits.Add64(h0, t2&^below, 0)
	h1, c = bits.Add64(h1, t3, c)
	h2 += c
	h0, c = bits.Add64(h0, t2>>2|t3<<62, 0)
	h1, c = bits.Add64(h1, t3>>2, c)
	h2 += c
	p.h0, p.h1, p.h2 = h0, h1, h2
}

// sum returns the tag, h + s mod 2^128.
func (p *poly1305) sum() (lo, hi uint64) {
	// One subtraction of 2^130 - 5 is enough; where it borrows, h stays.
	t0, b := bits.Sub64(p.h0, ^uint64(4), 0)
	t1, b := bits.Sub64(p.h1, ^uint64(0), b)
	_, b = bits.Sub64(p.h2, 3, b)
	keep := -b
	lo, c := bits.Add64(t0&^keep|p.h0&keep, p.s0, 0)
	hi, _ = bits.Add64(t1&^keep|p.h1&keep, p.s1, c)
	return lo, hi
}
