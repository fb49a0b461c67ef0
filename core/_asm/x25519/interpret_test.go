package main

import (
	"crypto/ecdh"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"ecoin/core/_asm/registers"
)

// A machine runs operations on one lane, as the processor would.
type machine struct {
	mem  map[place]uint64
	mask map[*maskReg]bool
	val  map[int]uint64

	entry func(s *slot) uint64 // what the digit selects of a table
}

// A place is where a slot is. Values that wait have slots of their own in places that
// others had before.
type place struct {
	base   string
	offset int
}

func (s *slot) place() place { return place{s.base, s.offsetBytes} }

func newMachine() *machine {
	return &machine{mem: map[place]uint64{}, mask: map[*maskReg]bool{}, val: map[int]uint64{}}
}

func (m *machine) load(s *slot) uint64 {
	if s.constant {
		return s.word
	}
	x, ok := m.mem[s.place()]
	if !ok {
		panic("reads " + s.name + ", which nobody wrote")
	}
	return x
}

func (m *machine) run(c *constants, regions ...[]*op) {
	for _, k := range c.registers {
		m.val[k.id] = k.word
	}
	for _, ops := range regions {
		for _, o := range ops {
			m.step(o)
		}
	}
}

func (m *machine) step(o *op) {
	var src []uint64
	for _, s := range o.srcs {
		src = append(src, m.val[s.id])
	}
	switch {
	case o.mem == nil || o.code == opStore:
	case o.mem.table:
		src = append(src, m.entry(o.mem))
	default:
		src = append(src, m.load(o.mem))
	}
	var x uint64
	switch o.code {
	case opZero:
	case opCopy, opLoad:
		x = src[0]
	case opStore:
		m.mem[o.mem.place()] = src[0]
		m.check(o.mem.name, src[0], o.mem.content())
		return
	case opAdd:
		x = src[0] + src[1]
	case opSub:
		x = src[0] - src[1]
	case opShr:
		x = src[0] >> o.imm
	case opShl:
		x = src[0] << o.imm
	case opAnd:
		x = src[0] & src[1]
	case opMul32:
		x = uint64(uint32(src[0])) * uint64(uint32(src[1]))
	case opLo, opHi:
		hi, lo := bits.Mul64(src[1]&mask52, src[2]&mask52)
		if o.code == opLo {
			x = src[0] + lo&mask52
		} else {
			x = src[0] + (hi<<12 | lo>>52)
		}
	case opSelect:
		x = src[0]
		if m.mask[o.mask] {
			x = src[1]
		}
	case opLookup:
		x = src[2]
	case opWithExponent:
		x = src[0]&src[1] | src[2]
	case opFloatAdd:
		x = rounded(func(z *big.Float) { z.Add(float(src[0]), float(src[1])) })
	case opFloatSub:
		x = rounded(func(z *big.Float) { z.Sub(float(src[0]), float(src[1])) })
	case opFMA:
		x = multiplyAdd(src[1], src[2], src[0])
	case opFMAOver:
		x = multiplyAdd(src[1], src[0], src[2])
	default:
		panic("an operation without a meaning")
	}
	if o.dst.max > 0 || o.dst.float {
		m.check(fmt.Sprintf("value %d", o.dst.id), x, o.dst)
	}
	m.val[o.dst.id] = x
}

// check compares a number with what was proved about it.
func (m *machine) check(name string, x uint64, v *value) {
	x -= v.offset
	if v.float {
		f := math.Float64frombits(x)
		if x = uint64(f); float64(x) != f {
			panic(fmt.Sprintf("%s is %v, no whole number", name, f))
		}
	}
	if x > v.max {
		panic(fmt.Sprintf("%s is %#x, more than its bound %#x", name, x, v.max))
	}
}

// rounded returns the bits of what f computes, with 53 bits, towards zero.
func rounded(f func(z *big.Float)) uint64 {
	z := new(big.Float).SetPrec(53).SetMode(big.ToZero)
	f(z)
	x, _ := z.Float64()
	return math.Float64bits(x)
}

func multiplyAdd(x, y, acc uint64) uint64 {
	return rounded(func(z *big.Float) {
		z.Add(new(big.Float).SetPrec(200).Mul(float(x), float(y)), float(acc))
	})
}

func float(x uint64) *big.Float { return big.NewFloat(math.Float64frombits(x)) }

func (m *machine) set(n *number, x *big.Int) {
	for i, s := range n {
		m.mem[s.place()] = new(big.Int).And(new(big.Int).Rsh(x, 52*uint(i)), big.NewInt(mask52)).Uint64()
	}
}

func (m *machine) get(n *number) *big.Int {
	x := new(big.Int)
	for i, s := range n {
		limb := new(big.Int).SetUint64(m.mem[s.place()])
		if s.carried {
			limb.And(limb, big.NewInt(mask52))
		}
		x.Add(x, limb.Lsh(limb, 52*uint(i)))
	}
	return x.Mod(x, prime)
}

// A variant is one way to compute.
type variant struct {
	field
	half bool
}

// variants runs f for each.
func variants(t *testing.T, f func(t *testing.T, v variant)) {
	t.Run("IFMA", func(t *testing.T) { f(t, variant{newIFMA(), false}) })
	t.Run("FMA", func(t *testing.T) { f(t, variant{newFMA(), false}) })
	t.Run("AVX2", func(t *testing.T) { f(t, variant{newFMA(), true}) })
}

// fit returns regions as the variant writes them, and panics where they do not fit.
func (v variant) fit(work *space, index *constReg, regions ...[]*op) (out [][]*op) {
	if !v.half {
		return regions
	}
	pinned := map[int]int{}
	if index != nil {
		pinned[index.id] = len(registers.Y)
	}
	for _, ops := range regions {
		_, _, left := needs(ops)
		s := &spiller{v.constants(), pinned, left, *work}
		ops = s.region(ops)
		assign(ops, pinned, left) // or panic
		out = append(out, ops)
	}
	return out
}

func TestLadder(t *testing.T) {
	variants(t, func(t *testing.T, f variant) {
		l := newLadder(f)
		begin := f.fit(l.work, nil, l.begin())
		step := f.fit(l.work, nil, l.step()...)
		finish := f.fit(l.work, nil, l.finish())
		rng := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			var k, u [32]byte
			for i := range k {
				k[i], u[i] = byte(rng.Uint32()), byte(rng.Uint32())
			}
			if rng.IntN(4) == 0 { // all limbs as large as they can be
				for i := range u {
					u[i] = 0xff
				}
			}
			priv, err := ecdh.X25519().NewPrivateKey(k[:])
			if err != nil {
				t.Fatal(err)
			}
			pub, err := ecdh.X25519().NewPublicKey(u[:])
			if err != nil {
				t.Fatal(err)
			}
			want, err := priv.ECDH(pub)
			if err != nil {
				t.Fatal(err)
			}
			m := newMachine()
			u[31] &= 0x7f
			m.set(l.point, fromLittle(u[:]))
			m.run(f.constants(), begin...)
			k[0] &= 248
			k[31] = k[31]&127 | 64
			before := false
			for i := 254; i >= 0; i-- {
				bit := k[i/8]>>(i%8)&1 == 1
				m.mask[l.swap] = bit != before
				before = bit
				m.run(f.constants(), step...)
			}
			m.run(f.constants(), finish...)
			x, z := m.get(l.x), m.get(l.z)
			x.Mul(x, z.ModInverse(z, prime)).Mod(x, prime)
			if x.Cmp(fromLittle(want)) != 0 {
				t.Fatalf("k %x u %x: %x, want %x", k, u, x, fromLittle(want))
			}
		}
	})
}

func fromLittle(b []byte) *big.Int {
	x := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		x.Lsh(x, 8).Or(x, big.NewInt(int64(b[i])))
	}
	return x
}

// An affine point of -x^2 + y^2 = 1 + d x^2 y^2.
type affine struct{ x, y *big.Int }

var edwardsD = func() *big.Int {
	d := new(big.Int).ModInverse(big.NewInt(121666), prime)
	return d.Mul(d, big.NewInt(-121665)).Mod(d, prime)
}()

func (p affine) add(q affine) affine {
	mul := func(a, b *big.Int) *big.Int { c := new(big.Int).Mul(a, b); return c.Mod(c, prime) }
	k := mul(edwardsD, mul(mul(p.x, q.x), mul(p.y, q.y)))
	one := big.NewInt(1)
	x := new(big.Int).Add(mul(p.x, q.y), mul(p.y, q.x))
	y := new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x))
	x = mul(x, new(big.Int).ModInverse(new(big.Int).Add(one, k), prime))
	y = mul(y, new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(one, k), prime), prime))
	return affine{x, y}
}

func (p affine) times(k int64) affine {
	r := affine{new(big.Int), big.NewInt(1)}
	for i := 62; i >= 0; i-- {
		if r = r.add(r); k>>i&1 == 1 {
			r = r.add(p)
		}
	}
	return r
}

func TestComb(t *testing.T) {
	// The base point of edwards25519 has y = 4/5 (RFC 8032 section 5.1); the point of q
	// is three times that.
	base := affine{
		fromHex("216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a"),
		fromHex("6666666666666666666666666666666666666666666666666666666666666658"),
	}
	variants(t, func(t *testing.T, f variant) {
		c := f.constants()
		index, negative := &constReg{value: *newValue(tableEntries-1, false)}, new(maskReg)
		points, work := &space{base: "points"}, &space{base: "work"}
		p := newComb(f, index, negative, "p", points, work)
		q := newComb(f, index, negative, "q", points, work)
		begin := f.fit(work, index, p.begin(), q.begin())
		step := f.fit(work, index, combStep(p, q)...)
		finish := f.fit(work, index, p.result(), q.result())
		rng := rand.New(rand.NewPCG(3, 4))
		m := newMachine()
		m.run(c, begin...)
		at := map[string]affine{"p": base, "q": base.times(3)}
		sums := map[string]affine{}
		for base := range at {
			sums[base] = affine{new(big.Int), big.NewInt(1)}
		}
		for range 51 {
			digit := int64(rng.IntN(32))*2 - 31
			entries := map[string]affine{}
			for base, point := range at {
				entry := point.times(max(digit, -digit))
				entries[base] = entry
				if digit < 0 {
					entry = affine{new(big.Int).Sub(prime, entry.x), entry.y}
				}
				sums[base] = sums[base].add(entry)
				at[base] = point.times(32)
			}
			m.mask[negative] = digit < 0
			m.entry = func(s *slot) uint64 {
				e, v := entries[s.base], new(big.Int)
				limb := s.offsetBytes / (8 * tableEntries) % limbs
				switch s.name {
				case "y+x":
					v.Add(e.y, e.x)
				case "y-x":
					v.Sub(e.y, e.x)
				case "2dxy":
					v.Mul(e.x, e.y).Mul(v, edwardsD).Lsh(v, 1)
				}
				v.Mod(v, prime)
				return v.Rsh(v, 52*uint(limb)).And(v, big.NewInt(mask52)).Uint64()
			}
			m.run(c, step...)
		}
		m.run(c, finish...)
		for i, k := range []*comb{p, q} {
			y := sums[string("pq"[i])].y
			want := new(big.Int).Sub(big.NewInt(1), y)
			want.ModInverse(want.Mod(want, prime), prime)
			want.Mul(want, new(big.Int).Add(big.NewInt(1), y)).Mod(want, prime)
			got := m.get(k.den)
			got.ModInverse(got, prime).Mul(got, m.get(k.num)).Mod(got, prime)
			if got.Cmp(want) != 0 {
				t.Fatalf("comb %d: %x, want %x", i, got, want)
			}
		}
	})
}

func fromHex(s string) *big.Int {
	x, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic(s)
	}
	return x
}
