package main

import (
	"fmt"
	"math/bits"
)

// The operations of floating point, and the integer ones that go with them.

// shl returns x << n, without loss.
func (b *block) shl(x *value, n uint) *value {
	if x.max > 1<<(64-n)-1 {
		panic("shift loses bits")
	}
	x.mustBeInteger("shift")
	v := newValue(x.max<<n, false)
	v.offset = x.offset << n
	return b.emit(&op{code: opShl, dst: v, srcs: []*value{x}, imm: uint64(n)})
}

// join returns lower, which is below 2^at, with the bits of upper from there on, as
// far as mask goes.
func (b *block) join(lower, upper *value, at uint, mask *slot) *value {
	lower.mustBeWhole("join")
	upper.mustBeWhole("join")
	if lower.max>>at != 0 {
		panic("join of numbers that overlap")
	}
	shifted := b.emit(&op{code: opShl, dst: newValue(1<<64-1, false), srcs: []*value{upper}, imm: uint64(at)})
	masked := b.andMem(shifted, mask)
	return b.emit(&op{code: opAdd, dst: newValue(mask.word, false), srcs: []*value{lower, masked}})
}

// andMem returns x & mask. The mask may take an offset away with the bits.
func (b *block) andMem(x *value, mask *slot) *value {
	x.mustBeWholeUnder(mask.word)
	return b.emit(&op{code: opAnd, dst: newValue(min(x.max, mask.word), false), srcs: []*value{x}, mem: mask})
}

// mul32 returns x*k for an x of at most 32 bits.
func (b *block) mul32(x *value, k *slot) *value {
	x.mustBeInteger("product")
	if sum(x.max, x.offset) >= 1<<32 || k.word >= 1<<32 {
		panic("a factor of more than 32 bits")
	}
	v := newValue(x.max*k.word, false)
	v.offset = x.offset * k.word
	return b.emit(&op{code: opMul32, dst: v, srcs: []*value{x}, mem: k})
}

// times19 returns 19*x.
func (b *block) times19(x *value) *value {
	two := b.add(x, x)
	return b.add(b.add(two, x), b.shl(x, 4))
}

// addOffset returns x with an offset that is larger by s.
func (b *block) addOffset(x *value, s *slot) *value {
	x.mustBeInteger("sum")
	v := newValue(x.max, false)
	v.offset = x.offset + s.word
	return b.emit(&op{code: opAdd, dst: v, srcs: []*value{x}, mem: s})
}

// withExponent returns x & mask, or x where mask is nil, below the exponent of 2^52. x
// is used up. The mask takes its offset away.
func (b *block) withExponent(x *value, mask, exponent *constReg) *value {
	if mask == nil {
		x.mustBeWhole("mantissa")
		v := newValue(x.max, false)
		v.offset = exponent.word
		return b.emit(&op{code: opAdd, dst: v, srcs: []*value{x, &exponent.value}})
	}
	x.mustBeWholeUnder(mask.word)
	v := newValue(min(x.max, mask.word), false)
	v.offset = exponent.word
	return b.emit(&op{code: opWithExponent, dst: v, srcs: []*value{x, &mask.value, &exponent.value}})
}

// toFloat returns the number below 2^52 that x has under the exponent of 2^52.
func (b *block) toFloat(x *value, exponent *constReg) *value {
	return b.emit(&op{code: opFloatSub, dst: x.mantissa(exponent.word), srcs: []*value{x, &exponent.value}})
}

// toFloatMem is toFloat for an x with a larger offset, the exponent and an integer below
// it, which is in memory.
func (b *block) toFloatMem(x *value, offset *slot) *value {
	return b.emit(&op{code: opFloatSub, dst: x.mantissa(offset.word), srcs: []*value{x}, mem: offset})
}

// mantissa returns what is left of x, whose bits are a float from 2^52 on, without offset.
func (x *value) mantissa(offset uint64) *value {
	if x.offset != offset || offset&^mask52 != exponentLow || sum(x.max, offset&mask52) > mask52 || x.float || x.carried {
		panic(fmt.Sprintf("%#x above %#x is no mantissa", x.max, x.offset))
	}
	v := newValue(x.max, false)
	v.float = true
	return v
}

// fromFloat is the opposite of toFloat.
func (b *block) fromFloat(x *value, exponent *constReg) *value {
	if !x.float || x.max > mask52 {
		panic("not a float below 2^52")
	}
	v := newValue(x.max, false)
	v.offset = exponent.word
	return b.emit(&op{code: opFloatAdd, dst: v, srcs: []*value{x, &exponent.value}})
}

// fmaUpper returns acc + x*y, rounded towards zero; y is used up. acc is 2^103, so the
// bits of the result are the upper half of the product as an integer, with exponentHigh
// as offset.
func (b *block) fmaUpper(acc, x, y *value) *value {
	hi, lo := floatProduct(x, y)
	v := newValue(hi<<(64-51)|lo>>51, false)
	v.offset = exponentHigh
	return b.emit(&op{code: opFMAOver, dst: v, srcs: []*value{y, x, acc}})
}

// fmaLower returns acc + x*y for what complement returned; acc is used up. The bits of
// the result are the lower half of the product, with exponentLow as offset.
func (b *block) fmaLower(acc, x, y *value) *value {
	floatProduct(x, y)
	v := newValue(mask51, false)
	v.offset = exponentLow
	return b.emit(&op{code: opFMA, dst: v, srcs: []*value{acc, x, y}})
}

// floatProduct returns the bound of a product that the halves can hold.
func floatProduct(x, y *value) (hi, lo uint64) {
	if !x.float || !y.float {
		panic("a factor that is no float")
	}
	hi, lo = bits.Mul64(x.max, y.max)
	if hi >= 1<<(103-64) {
		panic(fmt.Sprintf("%#x * %#x passes 2^103", x.max, y.max))
	}
	return hi, lo
}

// complement returns middle - h in floating point.
func (b *block) complement(middle, h *value) *value {
	if h.offset != exponentHigh {
		panic("complement of something else than the upper half of a product")
	}
	return b.emit(&op{code: opFloatSub, dst: newValue(0, false), srcs: []*value{middle, h}})
}
