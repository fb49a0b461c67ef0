package main

import "math/big"

// Numbers modulo p = 2^255 - 19 are five limbs, least first. In memory that Go sees they
// are packed: limb i counts 2^(52 i), limbs 0 to 3 have 52 bits, limb 4 has 48. Inside
// a routine a number is raw or a factor:
//
//   - raw limbs are whole 64-bit numbers, which may be added and subtracted;
//   - the limbs of a factor are what the multiplier takes, small enough for it.
//
// Products are raw, and reduce makes a factor of what was added up.
const (
	limbs  = 5
	mask52 = 1<<52 - 1
	mask51 = 1<<51 - 1
	mask48 = 1<<48 - 1
	mask47 = 1<<47 - 1
	a24    = 121665 // (486662 - 2) / 4, RFC 7748 section 5
)

type element [limbs]*value

// A number is an element in memory.
type number [limbs]*slot

// A field is one way to compute modulo p.
type field interface {
	// reduce turns raw limbs into a factor. It uses x up.
	reduce(b *block, x element) element

	// mul returns x*y, raw, and square x*x.
	mul(b *block, x, y *number) element
	square(b *block, x *number) element

	// mulA24 returns acc + a24*x, raw. acc is raw and used up, x is a factor.
	mulA24(b *block, acc, x element) element

	// raw and factor take packed limbs, pack returns them.
	raw(b *block, packed element) element
	factor(b *block, packed element) element
	pack(b *block, factor element) element

	// bias is a multiple of p, each limb at least as large as that of any product.
	bias(i int) *slot

	// declareRaw and declareFactor state the bounds of numbers that loops keep.
	declareRaw(n *number) *number
	declareFactor(n *number) *number

	// together merges blocks that do not depend on each other.
	together(blocks ...*block) []*op

	constants() *constants
}

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// biasWords returns a multiple of p in limbs of radix bits, all close to 2^n: added to
// a difference it keeps every limb from passing zero.
func biasWords(radix, n uint) (w [limbs]uint64) {
	v := new(big.Int)
	for i := range w {
		w[i] = 1 << n
		v.Add(v, new(big.Int).Lsh(big.NewInt(1), n+radix*uint(i)))
	}
	r := v.Mod(v, prime)
	mask := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), radix), big.NewInt(1))
	for i := range w {
		w[i] -= new(big.Int).And(new(big.Int).Rsh(r, radix*uint(i)), mask).Uint64()
	}
	return w
}

func (b *block) loadAll(n *number) (e element) {
	for i := range e {
		e[i] = b.load(n[i])
	}
	return e
}

func (b *block) storeAll(n *number, e element) {
	for i := range e {
		b.store(n[i], e[i])
	}
}

// storeRaw sets a number that loops keep to e, with the offsets that it has.
func (b *block) storeRaw(n *number, f field, e element) {
	for i, s := range n {
		if missing := s.offset - e[i].offset; missing != 0 {
			e[i] = b.addOffset(e[i], f.constants().word("offset", missing))
		}
	}
	b.storeAll(n, e)
}

// storeWord sets such a number to a small one.
func (b *block) storeWord(n *number, f field, word uint64) {
	var e element
	for i := range e {
		if i == 0 && word != 0 {
			e[i] = b.load(f.constants().word("word", word))
		} else {
			e[i] = b.zero()
		}
	}
	b.storeRaw(n, f, e)
}

func (b *block) copyAll(x element) (e element) {
	for i := range e {
		e[i] = b.copy(x[i])
	}
	return e
}

func (b *block) addAll(x, y element) (e element) {
	for i := range e {
		e[i] = b.add(x[i], y[i])
	}
	return e
}

func (b *block) subAll(x, y element, f field) (e element) {
	for i := range e {
		e[i] = b.subBiased(x[i], f.bias(i), y[i])
	}
	return e
}

// addNumbers returns x + z, raw. It works from memory, to hold few registers.
func (b *block) addNumbers(x, z *number) (e element) {
	for i := range e {
		e[i] = b.addMem(b.load(x[i]), z[i])
	}
	return e
}

// subNumbers returns x - z, raw.
func (b *block) subNumbers(x, z *number, f field) (e element) {
	for i := range e {
		e[i] = b.subBiasedMem(b.load(x[i]), f.bias(i), z[i])
	}
	return e
}

// sumBlock sets to to x + z, a factor, and differenceBlock to x - z.
func sumBlock(f field, to, x, z *number) *block {
	b := new(block)
	b.storeAll(to, f.reduce(b, b.addNumbers(x, z)))
	return b
}

func differenceBlock(f field, to, x, z *number) *block {
	b := new(block)
	b.storeAll(to, f.reduce(b, b.subNumbers(x, z, f)))
	return b
}
