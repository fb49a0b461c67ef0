package main

import (
	"fmt"
	"math"
	"math/bits"
)

// The generator does not write instructions at once. It builds straight-line blocks
// of the operations below, each on eight lanes of 64 bits, and every value carries
// the largest number it can be. An addition that could pass 2^64, a subtraction that
// could pass zero, a factor of the 52-bit multiplier that could have a bit that the
// multiplier does not see: each ends the generator. So the bounds are proved for the
// instructions that are written, and on each run.

// A value is the result of one operation, in a register.
//
// Factors of IFMA are taken modulo 2^52 by the processor. A carried value has had its
// bits from 52 on added to the next limb, so that only its low 52 bits count; it may
// only be a factor.
//
// A float is a whole number in floating point. An integer with an offset stands for
// itself less that constant, modulo 2^64: the exponents of floats that were added up
// as integers.
type value struct {
	max     uint64
	carried bool
	float   bool
	offset  uint64
	id      int
}

// factorMax is the largest number that IFMA sees in v.
func (v *value) factorMax() uint64 {
	if v.carried {
		return min(v.max, mask52)
	}
	if v.max > mask52 {
		panic(fmt.Sprintf("a factor of up to %#x has bits that IFMA does not see", v.max))
	}
	return v.max
}

// mustBeWhole panics unless v is an integer that means what it is.
func (v *value) mustBeWhole(what string) {
	v.mustBeInteger(what)
	if v.offset != 0 {
		panic(fmt.Sprintf("%s of a number with the offset %#x", what, v.offset))
	}
}

// mustBeWholeUnder panics unless v is an integer whose offset the mask takes away.
func (v *value) mustBeWholeUnder(mask uint64) {
	v.mustBeInteger("mask")
	if v.offset&mask != 0 {
		panic("a mask that leaves a part of an offset")
	}
}

func (v *value) mustBeInteger(what string) {
	switch {
	case v.carried:
		panic(what + " of a limb whose upper bits were carried away")
	case v.float:
		panic(what + " of a floating-point number, as an integer")
	}
}

// passes64 says that x with its offset may be 2^64 or more, and its bits another number.
func (v *value) passes64() bool { return v.max > math.MaxUint64-v.offset }

// A slot is 64 bytes of memory: one limb of a field element, eight lanes, or one
// constant that is the same in all lanes.
type slot struct {
	name        string
	offsetBytes int    // from base, or in the constants
	constant    bool   // eight bytes, read with a broadcast
	word        uint64 // of a constant
	table       bool   // one limb of a table's 16 entries
	base        string // of a slot in memory: the register that points to its space
	max         uint64
	carried     bool
	float       bool
	offset      uint64
	declared    bool // max is an invariant of a loop: a store must keep it
}

type opcode int

const (
	opZero opcode = iota
	opCopy
	opLoad
	opStore
	opAdd
	opSub
	opShr
	opAnd
	opLo
	opHi
	opSelect
	opLookup
	opShl
	opMul32
	opWithExponent
	opFloatAdd
	opFloatSub
	opFMA
	opFMAOver // the product takes the place of a factor
)

// An op is one instruction. srcs are registers; where mem is not nil it is the last
// source.
type op struct {
	code opcode
	dst  *value
	srcs []*value
	mem  *slot
	imm  uint64
	mask *maskReg
}

type maskReg struct{ name string }

// A block is a list of operations in program order.
type block struct{ ops []*op }

var valueCount int

func newValue(limit uint64, carried bool) *value {
	valueCount++
	return &value{max: limit, carried: carried, id: valueCount}
}

// like returns a new value with the properties of v.
func (v *value) like() *value {
	n := newValue(v.max, v.carried)
	n.float, n.offset = v.float, v.offset
	return n
}

// content returns a new value with the properties of what s holds.
func (s *slot) content() *value {
	n := newValue(s.max, s.carried)
	n.float, n.offset = s.float, s.offset
	return n
}

func (b *block) emit(o *op) *value {
	b.ops = append(b.ops, o)
	return o.dst
}

func (b *block) zero() *value { return b.emit(&op{code: opZero, dst: newValue(0, false)}) }

func (b *block) copy(x *value) *value {
	return b.emit(&op{code: opCopy, dst: x.like(), srcs: []*value{x}})
}

func (b *block) load(s *slot) *value {
	return b.emit(&op{code: opLoad, dst: s.content(), mem: s})
}

func (b *block) store(s *slot, v *value) {
	if s.declared {
		if v.max > s.max || v.carried && !s.carried || v.float != s.float || v.offset != s.offset {
			panic(fmt.Sprintf("%s holds at most %#x, not %#x", s.name, s.max, v.max))
		}
	} else {
		s.max, s.carried, s.float, s.offset = v.max, v.carried, v.float, v.offset
	}
	b.emit(&op{code: opStore, srcs: []*value{v}, mem: s})
}

// add returns x + y.
func (b *block) add(x, y *value) *value {
	x.mustBeInteger("sum")
	y.mustBeInteger("sum")
	v := newValue(sum(x.max, y.max), false)
	v.offset = x.offset + y.offset
	return b.emit(&op{code: opAdd, dst: v, srcs: []*value{x, y}})
}

// addMem returns x + s.
func (b *block) addMem(x *value, s *slot) *value {
	x.mustBeInteger("sum")
	s.content().mustBeInteger("sum")
	v := newValue(sum(x.max, s.max), false)
	v.offset = x.offset + s.offset
	return b.emit(&op{code: opAdd, dst: v, srcs: []*value{x}, mem: s})
}

// subBiased returns x + bias - y. The constant bias is at least as large as y.
func (b *block) subBiased(x *value, bias *slot, y *value) *value {
	t, v := b.biased(x, bias, y)
	return b.emit(&op{code: opSub, dst: v, srcs: []*value{t, y}})
}

// subBiasedMem is subBiased with y in memory.
func (b *block) subBiasedMem(x *value, bias, y *slot) *value {
	t, v := b.biased(x, bias, y.content())
	return b.emit(&op{code: opSub, dst: v, srcs: []*value{t}, mem: y})
}

// biased returns x + bias, and what it will be without y.
func (b *block) biased(x *value, bias *slot, y *value) (t, without *value) {
	y.mustBeInteger("difference")
	if !bias.constant || bias.word < y.max {
		panic(fmt.Sprintf("%s %#x is less than what it protects, %#x", bias.name, bias.word, y.max))
	}
	t = b.addMem(x, bias)
	without = newValue(t.max, false)
	without.offset = t.offset - y.offset
	return t, without
}

// shr returns x >> n. A carried limb still has its upper bits: they are what is
// carried. The offset, which has no bits below n, is shifted with it.
func (b *block) shr(x *value, n uint) *value {
	if x.float || x.offset&(1<<n-1) != 0 || x.passes64() {
		panic("shift of what is no integer, or passes 2^64, or mixes with its offset")
	}
	v := newValue(x.max>>n, false)
	v.offset = x.offset >> n
	return b.emit(&op{code: opShr, dst: v, srcs: []*value{x}, imm: uint64(n)})
}

// and returns x & mask; the mask is a constant in a register.
func (b *block) and(x *value, mask *constReg) *value {
	x.mustBeWhole("mask")
	return b.emit(&op{code: opAnd, dst: newValue(min(x.max, mask.word), false), srcs: []*value{x, &mask.value}})
}

// trimmed returns a reduced limb without the bits that were carried away.
func (b *block) trimmed(x *value, mask *constReg) *value {
	if mask.word != mask52 {
		panic("a limb is trimmed to 52 bits")
	}
	return b.emit(&op{code: opAnd, dst: newValue(min(x.max, mask52), false), srcs: []*value{x, &mask.value}})
}

// lo returns acc + the low 52 bits of x*y, and hi acc + the 52 bits above them. acc
// is used up.
func (b *block) lo(acc, x, y *value) *value { return b.madd(opLo, acc, x, y, nil) }
func (b *block) hi(acc, x, y *value) *value { return b.madd(opHi, acc, x, y, nil) }

func (b *block) loMem(acc, x *value, y *slot) *value { return b.madd(opLo, acc, x, nil, y) }
func (b *block) hiMem(acc, x *value, y *slot) *value { return b.madd(opHi, acc, x, nil, y) }

func (b *block) madd(code opcode, acc, x, y *value, m *slot) *value {
	acc.mustBeWhole("sum")
	srcs := []*value{acc, x}
	var yMax uint64
	if m != nil {
		yMax = (&value{max: m.max, carried: m.carried}).factorMax()
	} else {
		yMax = y.factorMax()
		srcs = append(srcs, y)
	}
	hi, lo := bits.Mul64(x.factorMax(), yMax)
	term := hi<<12 | lo>>52
	if code == opLo {
		term = mask52
		if hi == 0 && lo < mask52 {
			term = lo
		}
	}
	return b.emit(&op{code: code, dst: newValue(sum(acc.max, term), false), srcs: srcs, mem: m})
}

// choose returns y in the lanes of mask, x in the others.
func (b *block) choose(mask *maskReg, x *value, y *slot) *value {
	return b.emit(&op{code: opSelect, dst: either(x, y.content()), srcs: []*value{x}, mem: y, mask: mask})
}

// chooseValue is choose with y in a register.
func (b *block) chooseValue(mask *maskReg, x, y *value) *value {
	return b.emit(&op{code: opSelect, dst: either(x, y), srcs: []*value{x, y}, mask: mask})
}

func either(x, y *value) *value {
	if x.float != y.float || x.offset != y.offset {
		panic("choice between numbers of two kinds")
	}
	v := x.like()
	v.max, v.carried = max(x.max, y.max), x.carried || y.carried
	return v
}

// lookup returns, in each lane, entry number index of s.
func (b *block) lookup(index *constReg, s *slot) *value {
	i := b.copy(&index.value)
	low := b.emit(&op{code: opLoad, dst: newValue(s.max, s.carried), mem: s})
	high := *s
	high.offsetBytes += 8 * tableEntries / 2
	return b.emit(&op{code: opLookup, dst: newValue(s.max, s.carried), srcs: []*value{i, low}, mem: &high})
}

func sum(x, y uint64) uint64 {
	s, carry := bits.Add64(x, y, 0)
	if carry != 0 {
		panic(fmt.Sprintf("%#x + %#x passes 64 bits", x, y))
	}
	return s
}
