package main

import (
	"math/big"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// A limb is a 64-bit number in each of eight lanes, and a bound that none passes.
// The functions on limbs emit instructions and work out the bound of its result;
// they panic where a lane could overflow. So what Generate writes is proved to stay
// in range, for any key and message. A result may take the register of the first
// operand, which is then gone.
type limb struct {
	at  Op // register, or memory for a factor of mul
	max *big.Int
}

// limbs is a number mod 2^130 - 5 in radix 2^26.
type limbs [5]limb

const radix = 26

func pow2(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }

func bound(max *big.Int, bits uint, what string) *big.Int {
	if max.Cmp(pow2(bits)) >= 0 {
		panic("chapoly: " + what + " can reach " + max.String())
	}
	return max
}

// below returns a limb that is below 2^bits because of where it comes from.
func below(bits uint, at Op) limb { return limb{at, new(big.Int).Sub(pow2(bits), big.NewInt(1))} }

// add adds b to a, in a's register.
func add(a, b limb) limb {
	VPADDQ(b.at, a.at, a.at)
	return limb{a.at, bound(new(big.Int).Add(a.max, b.max), 64, "a sum")}
}

// mul multiplies 32 bits by 32 bits; b may be in memory.
func mul(a, b limb) limb {
	bound(a.max, 32, "a factor")
	bound(b.max, 32, "a factor")
	z := ZMM()
	VPMULUDQ(b.at, a.at, z)
	return limb{z, new(big.Int).Mul(a.max, b.max)}
}

func shr(a limb, n uint) limb {
	z := ZMM()
	VPSRLQ(U8(n), a.at, z)
	return limb{z, new(big.Int).Rsh(a.max, n)}
}

// and clears the bits of a outside of mask, in a's register.
func and(a, mask limb) limb {
	VPANDQ(mask.at, a.at, a.at)
	max := mask.max // a & mask is above neither
	if a.max.Cmp(max) < 0 {
		max = a.max
	}
	return limb{a.at, max}
}

func times5(a limb) limb {
	z := ZMM()
	VPSLLQ(U8(2), a.at, z)
	return add(limb{z, bound(new(big.Int).Lsh(a.max, 2), 64, "a multiple")}, a)
}

// both runs f for the halves one after the other. Called once per step, it keeps two
// independent chains of instructions beside each other.
func both(f func(half int)) {
	f(0)
	f(1)
}

// tags evaluates Poly1305 (RFC 8439 section 2.5) in sixteen lanes.
func tags() {
	TEXT("tags", NOSPLIT, "func(tags *[2][2][8]uint64, factors *[2][9][8]uint64, polyKey *[8][16]uint32, blocks *[5][2][2][8]uint64)")
	Pragma("noescape")
	Doc(
		"tags sets tags to the Poly1305 of blocks under polyKey, in every lane. factors is",
		"memory to work in.",
	)
	result, factors := registers.Pointer("tags"), registers.Pointer("factors")
	polyKey, message := registers.Pointer("polyKey"), registers.Pointer("blocks")

	mask := below(radix, each(1<<radix-1))
	top := limb{each(1 << 24), pow2(24)} // 2^128, in limb 4

	// r, clamped, and 5r: they stay in memory, the registers being full.
	var r, r5 [2]limbs
	var clamp [2]reg.VecVirtual
	clamp[lo], clamp[hi] = each(0x0ffffffc_0fffffff), each(0x0ffffffc_0ffffffc)
	both(func(half int) {
		var key [2]reg.VecVirtual
		for part := range key {
			key[part] = keyWords(polyKey, half, 2*part)
			VPANDQ(clamp[part], key[part], key[part])
		}
		store := func(v limb, i int) limb {
			m := at(factors, half*9+i)
			VMOVDQU64(v.at, m)
			return limb{m, v.max}
		}
		for i, v := range split(key[lo], key[hi], mask) {
			r[half][i] = store(v, i)
			if i > 0 {
				r5[half][i] = store(times5(v), 4+i)
			}
		}
	})

	var h [2]limbs
	for b := range blocks {
		both(func(half int) { // h += block + 2^128
			m := split(load(block(message, b, lo, half)), load(block(message, b, hi, half)), mask)
			m[4] = add(m[4], top)
			for i := range m {
				if b > 0 {
					m[i] = add(m[i], h[half][i])
				}
			}
			h[half] = m
		})
		var d [2]limbs // h * r, where limb 5 + j counts five times in limb j
		for i := range 5 {
			for j := range 5 {
				both(func(half int) {
					factor := r5[half][(j-i+5)%5]
					if j >= i {
						factor = r[half][j-i]
					}
					p := mul(h[half][i], factor)
					if i > 0 {
						p = add(d[half][j], p)
					}
					d[half][j] = p
				})
			}
		}
		// Two chains of carries, from limbs 0 and 3, end where the next product
		// is safe again.
		for _, i := range []int{0, 3, 1, 4, 2, 0, 3} {
			both(func(half int) { carry(&d[half], i, mask) })
		}
		h = d
	}

	five := limb{each(5), big.NewInt(5)}
	one := each(1)
	both(func(half int) { reduce(&h[half], five, mask) })
	both(func(half int) { // the tag is h + s mod 2^128
		h := h[half]
		low := join(join(h[0].at, h[1].at, radix), h[2].at, 2*radix)
		z := ZMM()
		VPSRLQ(U8(64-2*radix), h[2].at, z)
		high := join(join(z, h[3].at, 3*radix-64), h[4].at, 4*radix-64)

		s := keyWords(polyKey, half, 4)
		VPADDQ(s, low, low)
		overflow := K()
		VPCMPUQ(U8(1), s, low, overflow) // low < s
		VPADDQ(keyWords(polyKey, half, 6), high, high)
		VPADDQ(one, high, overflow, high)
		VMOVDQU64(low, column(result, lo, half))
		VMOVDQU64(high, column(result, hi, half))
	})
	registers.Forget()
}

// carry moves what limb i has above 2^26 to the next one.
func carry(d *limbs, i int, mask limb) {
	c := shr(d[i], radix)
	d[i] = and(d[i], mask)
	if i == 4 {
		c = times5(c) // 2^130 = 5
	}
	d[(i+1)%5] = add(d[(i+1)%5], c)
}

// reduce sets h to its residue in [0, 2^130 - 5), plus perhaps 2^130. Limbs 0 to 3 end
// below 2^26.
func reduce(h *limbs, five, mask limb) {
	// q = 1 if h is 2^130 - 5 or more. That all of it goes away with one
	// subtraction takes h < 2(2^130 - 5).
	value := new(big.Int)
	for i := range h {
		value.Add(value, new(big.Int).Lsh(h[i].max, radix*uint(i)))
	}
	p := new(big.Int).Sub(pow2(130), big.NewInt(5))
	if value.Cmp(new(big.Int).Lsh(p, 1)) >= 0 {
		panic("chapoly: one subtraction of 2^130 - 5 is not enough")
	}
	q := five
	for i := range h {
		z := ZMM()
		VPADDQ(q.at, h[i].at, z)
		q = shr(limb{z, bound(new(big.Int).Add(q.max, h[i].max), 64, "a sum")}, radix)
	}
	// h - q(2^130 - 5) = h + 5q - q*2^130, and the last term is above what a tag
	// has of limb 4.
	h[0] = add(h[0], times5(limb{q.at, big.NewInt(1)}))
	for i := range 4 {
		carry(h, i, mask)
	}
}

// split takes a 128-bit number apart.
func split(low, high reg.VecVirtual, mask limb) (m limbs) {
	m[1] = and(shr(below(64, low), radix), mask)
	middle := shr(below(64, low), 2*radix)
	m[0] = and(below(64, low), mask)
	z := ZMM()
	VPSLLQ(U8(64-2*radix), high, z)
	VPTERNLOGQ(U8(0xa8), mask.at, z, middle.at) // (middle | z) & mask
	m[2] = limb{middle.at, mask.max}
	m[4] = shr(below(64, high), 4*radix-64)
	m[3] = and(shr(below(64, high), 3*radix-64), mask)
	return m
}

// join returns a | b<<n.
func join(a, b Op, n int) reg.VecVirtual {
	z := ZMM()
	VPSLLQ(U8(n), b, z)
	VPORQ(a, z, z)
	return z
}

// keyWords returns 64 bits of the Poly1305 key of each lane of a half: words i and
// i + 1.
func keyWords(polyKey reg.GPVirtual, half, i int) reg.VecVirtual {
	z := load(at(polyKey, i))
	if half == 0 {
		VPUNPCKLDQ(at(polyKey, i+1), z, z)
	} else {
		VPUNPCKHDQ(at(polyKey, i+1), z, z)
	}
	return z
}

func load(m Mem) reg.VecVirtual {
	z := ZMM()
	VMOVDQU64(m, z)
	return z
}
