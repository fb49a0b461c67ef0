package main

// The comb: a multiple of a fixed point, from a table of that point, in eight lanes.
// It works on the twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2, which curve25519
// is birationally equivalent to (RFC 7748 section 4.1).
//
// The scalar is a sum of 51 odd digits, digit i counting 32^i, each from -31 to 31.
// The table has, for each i, the 16 positive odd multiples of 32^i P, as
// (y + x, y - x, 2dxy). No digit is zero, so each step adds exactly one entry, and the
// formulas have no exceptions (Hisil, Wong, Carter, Dawson, ASIACRYPT 2008, section
// 3.1, with the second point affine):
//
//	A = (Y1 - X1)(y2 - x2)   B = (Y1 + X1)(y2 + x2)   C = T1 * 2d x2 y2   D = 2 Z1
//	E = B - A   F = D - C    G = D + C                H = B + A
//	X3 = E F    Y3 = G H     T3 = E H                 Z3 = F G
//
// A negative digit adds the negative of the entry: y2 + x2 and y2 - x2 change places,
// and so do F and G.
//
// All eight lanes look up their own entry at once: limb by limb, the 16 entries of a
// limb are two registers, and VPERMI2Q picks one of 16 in each lane. Nothing but
// registers depends on the digit.
type comb struct {
	f        field
	index    *constReg // register with the entry's number, 0 to 15, in each lane
	negative *maskReg

	x, y, z *number // raw
	t       *number // factor

	plus, minus, product *tableNumber // y+x, y-x, 2dxy

	yp, ym, td     *number // the entry
	sum, diff      *number // Y1 + X1, Y1 - X1
	e, f0, g, h    *number
	fPlain, gPlain *number // D - C, D + C

	num, den *number // of the caller, packed: the result
}

// A tableNumber is the limbs of one coordinate of 16 entries, 128 bytes each.
type tableNumber [limbs]*slot

const tableEntries = 16

func newTableNumber(s *space, name string) *tableNumber {
	t := new(tableNumber)
	for i := range t {
		t[i] = &slot{name: name, table: true, base: s.base, offsetBytes: s.size, max: mask52}
		if i == limbs-1 {
			t[i].max = mask47
		}
		s.size += 8 * tableEntries
	}
	return t
}

// newComb returns a comb whose table is at base, its result in points, and what it
// works with in work. The table's base moves on from step to step.
func newComb(f field, index *constReg, negative *maskReg, base string, points, work *space) *comb {
	table := &space{base: base}
	k := &comb{f: f, index: index, negative: negative}
	k.num, k.den = points.number("num").declarePacked(mask48), points.number("den").declarePacked(mask48)
	for _, n := range []**number{&k.x, &k.y, &k.z} {
		*n = f.declareRaw(work.number("raw"))
	}
	k.t = f.declareFactor(work.number("T"))
	k.plus, k.minus, k.product = newTableNumber(table, "y+x"), newTableNumber(table, "y-x"), newTableNumber(table, "2dxy")
	for _, n := range []**number{&k.yp, &k.ym, &k.td, &k.sum, &k.diff, &k.e, &k.f0, &k.g, &k.h, &k.fPlain, &k.gPlain} {
		*n = work.number("factor")
	}
	return k
}

// begin sets the neutral point, 0, 1, 1, 0.
func (k *comb) begin() []*op {
	b := new(block)
	b.storeWord(k.x, k.f, 0)
	b.storeWord(k.y, k.f, 1)
	b.storeWord(k.z, k.f, 1)
	var zero element
	for i := range zero {
		zero[i] = b.zero()
	}
	b.storeAll(k.t, k.f.reduce(b, zero))
	return b.ops
}

// fetch looks up the entry: y2 + x2 and y2 - x2, which the sign exchanges, and 2d x2 y2.
func (k *comb) fetch() (out []*block) {
	look := func(t *tableNumber) (*block, element) {
		b := new(block)
		var e element
		for i := range e {
			e[i] = b.lookup(k.index, t[i])
		}
		return b, k.f.factor(b, e)
	}
	b, plus := look(k.plus)
	c, minus := look(k.minus)
	b.ops = append(b.ops, c.ops...)
	for i := range limbs {
		b.store(k.yp[i], b.chooseValue(k.negative, plus[i], minus[i]))
		b.store(k.ym[i], b.chooseValue(k.negative, minus[i], plus[i]))
	}
	d, td := look(k.product)
	d.storeAll(k.td, td)
	return []*block{b, d}
}

// products computes E = B - A and H = B + A.
func (k *comb) products() []*op {
	x, y, e, h := new(block), new(block), new(block), new(block)
	a, b := k.f.mul(x, k.ym, k.diff), k.f.mul(y, k.yp, k.sum)
	e.storeAll(k.e, k.f.reduce(e, e.subAll(b, a, k.f)))
	h.storeAll(k.h, k.f.reduce(h, h.addAll(b, a)))
	return append(k.f.together(x, y), k.f.together(e, h)...)
}

// third computes D - C and D + C.
func (k *comb) third() *block {
	b := new(block)
	c := k.f.mul(b, k.td, k.t)
	var f, g element
	for i := range limbs {
		d := b.load(k.z[i])
		d = b.add(d, d)
		g[i] = b.add(d, c[i])
		f[i] = b.subBiased(d, k.f.bias(i), c[i])
	}
	b.storeAll(k.gPlain, k.f.reduce(b, g))
	b.storeAll(k.fPlain, k.f.reduce(b, f))
	return b
}

// sign puts F and G in their places.
func (k *comb) sign() *block {
	b := new(block)
	for i := range limbs {
		f, g := b.load(k.fPlain[i]), b.load(k.gPlain[i])
		b.store(k.f0[i], b.chooseValue(k.negative, f, g))
		b.store(k.g[i], b.chooseValue(k.negative, g, f))
	}
	return b
}

// last computes the new point.
func (k *comb) last() (x, y, z, t *block) {
	x, y, z, t = new(block), new(block), new(block), new(block)
	x.storeAll(k.x, k.f.mul(x, k.e, k.f0))
	y.storeAll(k.y, k.f.mul(y, k.g, k.h))
	z.storeAll(k.z, k.f.mul(z, k.f0, k.g))
	t.storeAll(k.t, k.f.reduce(t, k.f.mul(t, k.e, k.h)))
	return x, y, z, t
}

// combStep adds one entry to each of two combs. They share digits and nothing else.
func combStep(p, q *comb) (out [][]*op) {
	both := []*comb{p, q}
	region := func(ops []*op) { out = append(out, ops) }
	for _, k := range both {
		for _, b := range k.fetch() {
			region(b.ops)
		}
	}
	for _, k := range both {
		region(k.f.together(sumBlock(k.f, k.sum, k.y, k.x), differenceBlock(k.f, k.diff, k.y, k.x)))
	}
	for _, k := range both {
		region(k.products())
	}
	region(p.f.together(p.third(), q.third()))
	region(p.f.together(p.sign(), q.sign()))
	for _, k := range both {
		x, y, z, t := k.last()
		region(k.f.together(x, y))
		region(k.f.together(z, t))
	}
	return out
}

// result computes the two parts of the Montgomery coordinate u = (Z + Y)/(Z - Y).
func (k *comb) result() []*op {
	pack := func(to *number, combine func(b *block, i int) *value) *block {
		b := new(block)
		var e element
		for i := range e {
			e[i] = combine(b, i)
		}
		b.storeAll(to, k.f.pack(b, k.f.reduce(b, e)))
		return b
	}
	return k.f.together(
		pack(k.num, func(b *block, i int) *value { return b.addMem(b.load(k.z[i]), k.y[i]) }),
		pack(k.den, func(b *block, i int) *value {
			return b.subBiasedMem(b.load(k.z[i]), k.f.bias(i), k.y[i])
		}))
}
