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
// l are their exponents with the integers below: they are added up as integers, and
// each column starts from minus all the exponents that it will get.
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

func (f *fma) declareRaw(n *number) *number { return n.declare(1<<60-1<<52, 1<<60-1<<52, false) }

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
		carry[i] = b.shr(x[i], 51)
		x[i] = b.withExponent(x[i], f.mask51, f.exponent52)
	}
	carry[4] = b.mul32(carry[4], f.nineteen)
	for i := range x {
		x[i] = b.toFloat(b.add(x[i], carry[(i+limbs-1)%limbs]), f.exponent52)
	}
	return x
}

// A column counts the lower and upper halves of products that are added up in it.
type column struct{ low, high int }

// start returns what a column starts from, so that the exponents cancel out.
func (f *fma) start(b *block, n column) *value {
	return b.loadOffset(f.c.word("start", f.minus(n)))
}

// minus returns what cancels the exponents of n products.
func (f *fma) minus(n column) uint64 {
	return -(uint64(n.low)*exponentLow + uint64(n.high)*exponentHigh)
}

// product adds x*y to two columns. The upper half is computed over a copy of y, because
// a copy between registers takes no unit of the processor, and a load does.
func (f *fma) product(b *block, low, high **value, x, y *value) {
	h := b.fmaUpper(&f.high.value, x, b.copy(y))
	t := b.complement(&f.middle.value, h)
	l := b.fmaLower(t, x, y)
	*high = b.add(*high, h)
	*low = b.add(*low, l)
}

func (f *fma) mul(b *block, x, y *number) element {
	var col [2 * limbs]*value
	for k := range col {
		// Column k has the lower halves of the x[i]*y[j] with i+j = k, and the upper
		// halves of those with i+j = k-1.
		col[k] = f.start(b, column{pairs(k), pairs(k - 1)})
	}
	ys := b.loadAll(y)
	for i := range limbs {
		xi := b.load(x[i])
		for j, yj := range ys {
			f.product(b, &col[i+j], &col[i+j+1], xi, yj)
		}
	}
	return f.fold(b, col)
}

// pairs returns how many i, j from 0 to 4 have i + j = k.
func pairs(k int) int { return max(0, min(k+1, 2*limbs-1-k)) }

// square sums products of different limbs once, then doubles them. The start of a
// column is doubled too, so it has half of what cancels the exponents of the squares.
func (f *fma) square(b *block, x *number) element {
	var col [2 * limbs]*value
	for k := range col {
		squares := column{low: pairs(k) % 2, high: pairs(k-1) % 2}
		if k == 0 || k == 2*limbs-1 {
			col[k] = f.start(b, squares)
			continue
		}
		once := f.minus(column{pairs(k) / 2, pairs(k-1) / 2})
		col[k] = b.loadOffset(f.c.word("start", once+half(f.minus(squares))))
	}
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

func half(w uint64) uint64 {
	if w%2 != 0 {
		panic("an odd constant has no half")
	}
	return w / 2
}

// fold takes the product columns 0 to 9 to a raw number: 2^255 = 19.
func (f *fma) fold(b *block, col [2 * limbs]*value) (e element) {
	for k := range e {
		e[k] = b.add(col[k], b.times19(col[k+limbs]))
	}
	return e
}

func (f *fma) mulA24(b *block, acc, x element) element {
	top := f.start(b, column{high: 1})
	for i := range limbs {
		n := column{low: 1}
		if i > 0 {
			n.high = 1
		}
		acc[i] = b.addOffset(acc[i], f.c.word("start", f.minus(n)))
	}
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
