package main

import "fmt"

// ifma computes with VPMADD52LUQ and VPMADD52HUQ (AVX-512 IFMA), which add the lower or
// upper 52 bits of a product of 52-bit factors to 64 bits. Its limbs are the packed
// ones, of 52 bits. Limb 4 of a number below 2^255 has 47 bits, so it has room above
// it: 2^260 = 32*19 = 608, 2^255 = 19.
//
// The multiplier does not look at bits from 52 on. So limbs of a factor need not be
// masked: it is enough that what they have above 52 bits was added to the next limb.
// Such a limb is called carried.
type ifma struct {
	c                                *constants
	mask47, mask52, fold260, fold255 *constReg
	biases                           [limbs]*slot
	a24                              *slot
}

func newIFMA() *ifma {
	c := new(constants)
	f := &ifma{c: c}
	f.mask47, f.mask52 = c.register(mask47), c.register(mask52)
	f.fold260, f.fold255 = c.register(608), c.register(19)
	for i, w := range biasWords(52, 59) {
		f.biases[i] = c.word(fmt.Sprintf("bias%d", i), w)
	}
	f.a24 = c.word("a24", a24)
	return f
}

func (f *ifma) constants() *constants { return f.c }
func (f *ifma) bias(i int) *slot      { return f.biases[i] }

// together interleaves: while one product waits for its sums, the other goes on.
func (f *ifma) together(blocks ...*block) []*op { return interleave(blocks...) }

func (f *ifma) raw(_ *block, packed element) element    { return packed }
func (f *ifma) factor(_ *block, packed element) element { return packed }

func (f *ifma) pack(b *block, x element) element {
	for i := range limbs - 1 {
		x[i] = b.trimmed(x[i], f.mask52)
	}
	return x
}

func (f *ifma) declareRaw(n *number) *number { return n.declare(1<<58-1, 1<<57-1, false) }

func (f *ifma) declareFactor(n *number) *number { return n.declare(1<<64-1, mask48, true) }

// reduce folds the bits from 255 on into limb 0, then carries each limb into the next;
// limb 4 takes the last carry in its room.
func (f *ifma) reduce(b *block, x element) element {
	top := b.shr(x[4], 47)
	x[4] = b.and(x[4], f.mask47)
	x[0] = b.lo(x[0], top, &f.fold255.value)
	for i := range limbs - 1 {
		t := b.shr(x[i], 52)
		x[i+1] = b.add(x[i+1], t)
		markCarried(x[i])
	}
	return x
}

// markCarried says that what v has above its 52 bits counts in the next limb now.
func markCarried(v *value) {
	if v.max > mask52 {
		v.carried = true
	}
}

// fold takes the product columns 0 to 9 to a raw number: 2^260 = 608.
func (f *ifma) fold(b *block, col [2 * limbs]*value) (e element) {
	for k := limbs; k < 2*limbs-1; k++ {
		t := b.shr(col[k], 52)
		col[k+1] = b.add(col[k+1], t)
		markCarried(col[k])
	}
	for k := range limbs {
		col[k] = b.lo(col[k], col[k+limbs], &f.fold260.value)
	}
	for k := range limbs - 1 {
		col[k+1] = b.hi(col[k+1], col[k+limbs], &f.fold260.value)
	}
	// The top column of factors below 2^255 has no upper half. At most 2^52 * 608 is
	// looked at here.
	if top := col[2*limbs-1]; top.factorMax()*f.fold260.word>>52 != 0 {
		t := b.hi(b.zero(), top, &f.fold260.value)
		col[0] = b.lo(col[0], t, &f.fold260.value)
	}
	copy(e[:], col[:limbs])
	return e
}

func (f *ifma) mul(b *block, x, y *number) element {
	var col [2 * limbs]*value
	for i := range col {
		col[i] = b.zero()
	}
	for i := range limbs {
		xi := b.load(x[i])
		for j := range limbs {
			col[i+j] = b.loMem(col[i+j], xi, y[j])
		}
		for j := range limbs {
			col[i+j+1] = b.hiMem(col[i+j+1], xi, y[j])
		}
	}
	return f.fold(b, col)
}

// square sums products of different limbs once, then doubles them.
func (f *ifma) square(b *block, x *number) element {
	var col [2 * limbs]*value
	for i := range col {
		col[i] = b.zero()
	}
	for i := range limbs - 1 {
		xi := b.load(x[i])
		for j := i + 1; j < limbs; j++ {
			col[i+j] = b.loMem(col[i+j], xi, x[j])
		}
		for j := i + 1; j < limbs; j++ {
			col[i+j+1] = b.hiMem(col[i+j+1], xi, x[j])
		}
	}
	for k := 1; k < 2*limbs-1; k++ {
		col[k] = b.add(col[k], col[k])
	}
	for i := range limbs {
		xi := b.load(x[i])
		col[2*i] = b.lo(col[2*i], xi, xi)
		col[2*i+1] = b.hi(col[2*i+1], xi, xi)
	}
	return f.fold(b, col)
}

func (f *ifma) mulA24(b *block, acc, x element) element {
	k := b.load(f.a24)
	for i := range limbs {
		acc[i] = b.lo(acc[i], x[i], k)
	}
	for i := range limbs - 1 {
		acc[i+1] = b.hi(acc[i+1], x[i], k)
	}
	top := b.hi(b.zero(), x[4], k)
	acc[0] = b.lo(acc[0], top, &f.fold260.value)
	return acc
}
