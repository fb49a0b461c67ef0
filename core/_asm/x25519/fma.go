package main

import (
	"fmt"
	"math"
)

// fma computes with the double-precision multiplier, for processors with AVX-512 but
// without IFMA. Its limbs have 51 bits, so that 2^255 = 19 needs no shift; those of a
// factor are whole numbers in floating point, a little above 51 bits at most.
//
// A product x*y below 2^103 is taken apart exactly, rounding towards zero:
//
//	h = 2^103 + x*y            its unit is 2^51: what is left is floor(xy / 2^51)
//	t = (2^103 + 2^52) - h     exact
//	l = t + x*y = 2^52 + (xy mod 2^51), exact
//
// (Emmart, Zheng, Weems, IEEE ARITH 2018, for other radices). The bit patterns of h and
// l are their exponents with the integers below, and they are added up as integers, with
// their exponents. So a raw limb is more than what it stands for by an offset that is
// known when the routine is written, a multiple of 2^51: that leaves the lower 51 bits as
// they are, adds a constant to the carry, and is taken away with the exponent of 2^52
// when the limb becomes a factor.
type fma struct {
	c                                *constants
	mask51, exponent52, high, middle *constReg
	biases                           [limbs]*slot
	a24, nineteen, mask52            *slot
}

const (
	exponentHigh = (1023 + 103) << 52 // of h
	exponentLow  = (1023 + 52) << 52  // of l
)

func newFMA() *fma {
	c := new(constants)
	f := &fma{c: c}
	f.mask51, f.exponent52 = c.register(mask51), c.register(exponentLow)
	f.high = c.register(math.Float64bits(0x1p103))
	f.middle = c.register(math.Float64bits(0x1p103 + 0x1p52))
	for i, w := range biasWords(51, 60) {
		f.biases[i] = c.word(fmt.Sprintf("bias%d", i), w)
	}
	f.a24 = c.word("a24", math.Float64bits(a24))
	f.a24.max, f.a24.float = a24, true
	f.nineteen = c.word("19", 19)
	f.mask52 = c.word("mask52", mask52)
	return f
}

func (f *fma) constants() *constants { return f.c }
func (f *fma) bias(i int) *slot      { return f.biases[i] }

// together does not interleave: one product has enough parts that do not wait for each
// other, and two do not fit the registers.
func (f *fma) together(blocks ...*block) (ops []*op) {
	for _, b := range blocks {
		ops = append(ops, b.ops...)
	}
	return ops
}

// factorLimit bounds the limbs of factors: their product is below 2^103.
const factorLimit = 1<<51 + 1<<20

func (f *fma) declareRaw(n *number) *number {
	n.declare(1<<60-1<<52, 1<<60-1<<52, false)
	for k, s := range n {
		s.offset = columnOffset(k) + 19*columnOffset(k+limbs)
	}
	return n
}

func (f *fma) declareFactor(n *number) *number {
	n.declare(factorLimit, factorLimit, false)
	for _, s := range n {
		s.float = true
	}
	return n
}

// raw cuts 52-bit limbs into 51-bit ones.
func (f *fma) raw(b *block, x element) (e element) {
	e[0] = b.and(x[0], f.mask51)
	for i := 1; i < limbs; i++ {
		e[i] = b.shl(x[i], uint(i))
		if i < limbs-1 {
			e[i] = b.and(e[i], f.mask51)
		}
		e[i] = b.add(e[i], b.shr(x[i-1], uint(52-i)))
	}
	return e
}

func (f *fma) factor(b *block, packed element) element {
	x := f.raw(b, packed)
	for i := range x {
		x[i] = b.toFloat(b.withExponent(x[i], nil, f.exponent52), f.exponent52)
	}
	return x
}

// pack goes the other way: integers, carried in full, then 52 bits to a limb.
func (f *fma) pack(b *block, x element) (e element) {
	for i := range x {
		x[i] = b.andMem(b.fromFloat(x[i], f.exponent52), f.mask52)
	}
	for i := range limbs - 1 {
		t := b.shr(x[i], 51)
		x[i] = b.and(x[i], f.mask51)
		x[i+1] = b.add(x[i+1], t)
	}
	for i := range limbs - 1 {
		e[i] = b.join(b.shr(x[i], uint(i)), x[i+1], uint(51-i), f.mask52)
	}
	e[4] = b.shr(x[4], 4)
	return e
}

// reduce carries all limbs at once, each into the next, limb 4 into limb 0; what that
// adds to a limb need not be carried on.
func (f *fma) reduce(b *block, x element) element {
	var carry element
	for i := range x {
		if x[i].passes64() {
			x[i] = b.addOffset(x[i], f.c.word("offset", -x[i].offset))
		}
		carry[i] = b.shr(x[i], 51)
		x[i] = b.withExponent(x[i], f.mask51, f.exponent52)
	}
	carry[4] = b.mul32(carry[4], f.nineteen)
	for i := range x {
		x[i] = b.add(x[i], carry[(i+limbs-1)%limbs])
		if x[i].offset == f.exponent52.word {
			x[i] = b.toFloat(x[i], f.exponent52)
		} else {
			x[i] = b.toFloatMem(x[i], f.c.word("exponent", x[i].offset))
		}
	}
	return x
}

// columnOffset is the sum of the exponents in column k of a product.
func columnOffset(k int) uint64 {
	// The lower halves of the x[i]*y[j] with i+j = k, and the upper halves of those with
	// i+j = k-1.
	return uint64(pairs(k))*exponentLow + uint64(pairs(k-1))*exponentHigh
}

// pairs returns how many i, j from 0 to 4 have i + j = k.
func pairs(k int) int { return max(0, min(k+1, 2*limbs-1-k)) }

// addTo adds x to a column, which it may be the first in.
func (b *block) addTo(column **value, x *value) {
	if *column == nil {
		*column = x
		return
	}
	*column = b.add(*column, x)
}

// product adds x*y to two columns. The upper half is computed over a copy of y, because
// a copy between registers takes no unit of the processor, and a load does.
func (f *fma) product(b *block, low, high **value, x, y *value) {
	h := b.fmaUpper(&f.high.value, x, b.copy(y))
	t := b.complement(&f.middle.value, h)
	l := b.fmaLower(t, x, y)
	b.addTo(high, h)
	b.addTo(low, l)
}

func (f *fma) mul(b *block, x, y *number) element {
	var col [2 * limbs]*value
	ys := b.loadAll(y)
	for i := range limbs {
		xi := b.load(x[i])
		for j, yj := range ys {
			f.product(b, &col[i+j], &col[i+j+1], xi, yj)
		}
	}
	return f.fold(b, col)
}

// square sums products of different limbs once, then doubles them, and their exponents
// with them.
func (f *fma) square(b *block, x *number) element {
	var col [2 * limbs]*value
	xs := b.loadAll(x)
	for i, xi := range xs {
		for j := i + 1; j < limbs; j++ {
			f.product(b, &col[i+j], &col[i+j+1], xi, xs[j])
		}
	}
	for k := 1; k < 2*limbs-1; k++ {
		col[k] = b.add(col[k], col[k])
	}
	for i, xi := range xs {
		f.product(b, &col[2*i], &col[2*i+1], xi, xi)
	}
	return f.fold(b, col)
}

// fold takes the product columns 0 to 9 to a raw number: 2^255 = 19.
func (f *fma) fold(b *block, col [2 * limbs]*value) (e element) {
	for k := range e {
		e[k] = b.add(col[k], b.times19(col[k+limbs]))
	}
	return e
}

func (f *fma) mulA24(b *block, acc, x element) element {
	var top *value
	times := b.load(f.a24)
	for i := range limbs {
		high := &top
		if i < limbs-1 {
			high = &acc[i+1]
		}
		f.product(b, &acc[i], high, x[i], times)
	}
	acc[0] = b.add(acc[0], b.times19(top))
	return acc
}
