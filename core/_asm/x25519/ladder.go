package main

// The Montgomery ladder (RFC 7748 section 5) in eight lanes:
//
//	A = x2 + z2   B = x2 - z2   C = x3 + z3   D = x3 - z3
//	DA = D*A      CB = C*B
//	x3 = (DA + CB)^2            z3 = x1 * (DA - CB)^2
//	AA = A^2      BB = B^2      E = AA - BB
//	x2 = AA * BB                z2 = E * (AA + a24*E)
//
// A swap of (x2, z2) with (x3, z3) before a step turns (A, B) into (C, D) and DA into
// CB; the products differ by nothing but the sign of DA - CB, which is squared. So
// only the inputs of the two squares are chosen by the swap, half as much as a swap
// of the four numbers.
type ladder struct {
	f    field
	swap *maskReg

	point, x, z *number // of the caller, packed: u, and the projective result

	x1             *number // factor
	x2, z2, x3, z3 *number // raw, kept from step to step
	a, b, c, d     *number // factors
	p, q           *number // what is squared
	s, t           *number // DA + CB, DA - CB
	aa, bb, e      *number
	sum, tt        *number // AA + a24*E, (DA - CB)^2

	work *space
}

func newLadder(f field) *ladder {
	lent, work := &space{base: "point"}, &space{base: "work"}
	l := &ladder{f: f, swap: new(maskReg), work: work}
	l.point = lent.number("u").declarePacked(mask47)
	l.x, l.z = lent.number("x").declarePacked(mask48), lent.number("z").declarePacked(mask48)
	for _, n := range []**number{&l.x2, &l.z2, &l.x3, &l.z3} {
		*n = f.declareRaw(work.number("raw"))
	}
	l.x1 = f.declareFactor(work.number("x1"))
	for _, n := range []**number{&l.a, &l.b, &l.c, &l.d, &l.p, &l.q, &l.s, &l.t, &l.aa, &l.bb, &l.e, &l.sum, &l.tt} {
		*n = work.number("factor")
	}
	return l
}

// begin sets x1 = x3 = u, x2 = z3 = 1, z2 = 0.
func (l *ladder) begin() []*op {
	b := new(block)
	b.storeRaw(l.x3, l.f, l.f.raw(b, b.loadAll(l.point)))
	b.storeAll(l.x1, l.f.factor(b, b.loadAll(l.point)))
	b.storeWord(l.x2, l.f, 1)
	b.storeWord(l.z2, l.f, 0)
	b.storeWord(l.z3, l.f, 1)
	return b.ops
}

// step returns the operations of one step. Those of a region may be in each other's
// way for registers; the next region starts with all of them free.
func (l *ladder) step() (out [][]*op) {
	f := l.f
	region := func(parts ...[]*op) {
		var ops []*op
		for _, p := range parts {
			ops = append(ops, p...)
		}
		out = append(out, ops)
	}

	// A and C, of which the swap chooses P, and B and D, of which it chooses Q.
	pick := func(to, first, second *number, combine func(b *block, x, z *number) element) {
		x, y, b := new(block), new(block), new(block)
		u, v := f.reduce(x, combine(x, l.x2, l.z2)), f.reduce(y, combine(y, l.x3, l.z3))
		b.storeAll(first, u)
		b.storeAll(second, v)
		for i := range to {
			b.store(to[i], b.chooseValue(l.swap, u[i], v[i]))
		}
		region(f.together(x, y), b.ops)
	}
	pick(l.p, l.a, l.c, func(b *block, x, z *number) element { return b.addNumbers(x, z) })
	pick(l.q, l.b, l.d, func(b *block, x, z *number) element { return b.subNumbers(x, z, f) })

	{
		x, y, s, t := new(block), new(block), new(block), new(block)
		da, cb := f.mul(x, l.d, l.a), f.mul(y, l.c, l.b)
		s.storeAll(l.s, f.reduce(s, s.addAll(da, cb)))
		t.storeAll(l.t, f.reduce(t, t.subAll(da, cb, f)))
		region(f.together(x, y), f.together(s, t))
	}
	{
		x, y := new(block), new(block)
		aa, bb := f.square(x, l.p), f.square(y, l.q)
		// AA is wanted raw, for E and the sum, and as a factor: reduce, which uses it up,
		// comes last.
		d, s, g, h := new(block), new(block), new(block), new(block)
		e := f.reduce(d, d.subAll(aa, bb, f))
		d.storeAll(l.e, e)
		s.storeAll(l.sum, f.reduce(s, f.mulA24(s, s.copyAll(aa), e)))
		g.storeAll(l.bb, f.reduce(g, bb))
		h.storeAll(l.aa, f.reduce(h, aa))
		region(f.together(x, y), d.ops, f.together(s, g), h.ops)
	}
	{
		x, y := new(block), new(block)
		x.storeAll(l.x3, f.square(x, l.s))
		y.storeAll(l.tt, f.reduce(y, f.square(y, l.t)))
		region(f.together(x, y))
	}
	{
		x, y := new(block), new(block)
		x.storeAll(l.x2, f.mul(x, l.aa, l.bb))
		y.storeAll(l.z2, f.mul(y, l.e, l.sum))
		region(f.together(x, y))
	}
	{
		x := new(block)
		x.storeAll(l.z3, f.mul(x, l.x1, l.tt))
		region(x.ops)
	}
	return out
}

// finish packs x2 and z2, the projective result.
func (l *ladder) finish() []*op {
	pack := func(to, from *number) *block {
		b := new(block)
		b.storeAll(to, l.f.pack(b, l.f.reduce(b, b.loadAll(from))))
		return b
	}
	return l.f.together(pack(l.x, l.x2), pack(l.z, l.z2))
}
