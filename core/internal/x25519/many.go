package x25519

import (
	"unsafe"

	"filippo.io/edwards25519/field"
)

const scalarBits = 255

type (
	ladderPoint = [3]fe8 // u, and the result x/z
	combResult  = [4]fe8 // two results num/den
	workSpace   = [36]fe8
)

// Batch is how many points one call of the Many functions takes at most, and how many
// share an inversion.
const Batch = groupCount * laneCount

// useLanes says that eight lanes are faster than one after the other. Tests set it to
// run the twins.
var useLanes = lanesImpl != implTwin

// lanesFrom returns the number of points from which eight lanes are: a call takes as
// long as 2.4 points one by one with the floating-point multiplier of AVX-512, as two
// with AVX2, where up to four points take half a call, and less than two with IFMA.
func lanesFrom() int {
	if lanesImpl == implIFMA {
		return 2
	}
	return 3
}

// A Scratch is working memory of the functions for many points. Its zero value is
// ready; one goroutine may use it at a time. It is cleared before they return.
type Scratch struct {
	buf [sizeOfLanes + 64]byte
}

const sizeOfLanes = int(unsafe.Sizeof(lanes{}))

// lanes is what a Scratch holds, on a cache line.
type lanes struct {
	work workSpace
	inverter

	ladders [groupCount]ladderPoint
	combs   [groupCount]combResult
	digits  [combDigits][laneCount]uint8

	fractions [2 * Batch]fraction // without lanes
	product   fe8
}

// A Multiplier multiplies points by one scalar. It does not change and is safe for
// concurrent use. It is secret; its owner must not print it.
type Multiplier struct {
	k     [32]byte
	swaps [scalarBits]uint8 // 0xff where the ladder swaps, from the top bit down
}

// NewMultiplier returns a multiplier with the scalar k, which it copies and clamps.
func NewMultiplier(k *[32]byte) *Multiplier {
	m := &Multiplier{k: *k}
	m.k[0] &= 248
	m.k[31] = m.k[31]&127 | 64
	before := byte(0)
	for i := range m.swaps {
		at := scalarBits - 1 - i
		bit := m.k[at/8] >> (at % 8) & 1
		m.swaps[i] = -(bit ^ before)
		before = bit
	}
	return m // bit 0 is clear: no swap is due at the end
}

// Multiply sets dst to X25519(k, u) as the function Multiply does.
func (m *Multiplier) Multiply(dst, u *[32]byte) bool { return Multiply(dst, &m.k, u) }

// MultiplyMany sets dst[i] to X25519(k, us[i]) and ok[i] to whether it is not all
// zero, for at most Batch points; dst, ok and us have one length. A point of low order
// gives zeros and false, and changes nothing for the others. dst may be us.
func (m *Multiplier) MultiplyMany(s *Scratch, dst [][32]byte, ok []bool, us [][32]byte) {
	if len(us) > Batch || len(dst) != len(us) || len(ok) != len(us) {
		panic("x25519: MultiplyMany: lengths")
	}
	if !useLanes || len(us) < lanesFrom() {
		for i := range us {
			ok[i] = m.Multiply(&dst[i], &us[i])
		}
		return
	}
	w := aligned[lanes](s.buf[:])
	groups := (len(us) + laneCount - 1) / laneCount
	var invert [2 * groupCount]*fe8 // not in w: the collector does not look for pointers there
	toward := invert[:0]
	for g := range groups {
		p := &w.ladders[g]
		for j := range laneCount {
			// A point of low order would make the shared inversion zero, and lanes without
			// a point need one: the base point stands in.
			u := &basePoint
			if i := g*laneCount + j; i < len(us) {
				if ok[i] = !lowOrder(&us[i]); ok[i] {
					u = &us[i]
				}
			}
			setLane(&p[0], j, u)
		}
		ladder8(p, &w.work, &m.swaps, min(laneCount, len(us)-g*laneCount))
		toward = append(toward, &p[2])
	}
	w.invert(toward, &w.work)
	for g := range groups {
		p := &w.ladders[g]
		multiply8(&w.product, &p[1], &p[2], &w.work)
		for j := range min(laneCount, len(us)-g*laneCount) {
			i := g*laneCount + j
			lane(&dst[i], &w.product, j)
			zero := dst[i] == [32]byte{}
			if ok[i] = ok[i] && !zero; !ok[i] {
				dst[i] = [32]byte{}
			}
		}
	}
	clear(w.ladders[:groups])
	w.wipe()
}

// wipe clears what all functions use.
func (w *lanes) wipe() {
	w.work = workSpace{}
	w.inverter = inverter{}
	w.product = fe8{}
}

var basePoint = [32]byte{9}

// ExchangeMany sets public[i] to X25519(private[i], 9) and shared[i] to
// X25519(private[i], u), for at most Batch private keys and the point u of t; all
// three have one length. The shared values are never zero.
func (t *Table) ExchangeMany(s *Scratch, public, shared, private [][32]byte) {
	if len(private) > Batch || len(public) != len(private) || len(shared) != len(private) {
		panic("x25519: ExchangeMany: lengths")
	}
	if len(private) == 0 {
		return
	}
	w := aligned[lanes](s.buf[:])
	if t.comb == nil {
		t.exchangeOnes(&w.fractions, public, shared, private)
		return
	}
	groups := (len(private) + laneCount - 1) / laneCount
	var invert [2 * groupCount]*fe8 // not in w: the collector does not look for pointers there
	toward := invert[:0]
	for g := range groups {
		for j := range laneCount {
			i := min(g*laneCount+j, len(private)-1) // idle lanes repeat the last key
			digits := digitsOf(&private[i])
			for d := range digits {
				w.digits[d][j] = digits[d]
			}
			clear(digits[:])
		}
		p := &w.combs[g]
		comb8(p, &w.work, baseTable().comb, t.comb, &w.digits)
		toward = append(toward, &p[1], &p[3])
	}
	w.invert(toward, &w.work)
	for g := range groups {
		p := &w.combs[g]
		for k, to := range [][][32]byte{public, shared} {
			multiply8(&w.product, &p[2*k], &p[2*k+1], &w.work)
			for j := range min(laneCount, len(private)-g*laneCount) {
				lane(&to[g*laneCount+j], &w.product, j)
			}
		}
	}
	clear(w.combs[:groups])
	w.digits = [combDigits][laneCount]uint8{}
	w.wipe()
}

// A fraction is a result that waits for its inversion.
type fraction struct{ num, den, before field.Element }

// exchangeOnes is ExchangeMany for one key after the other. They share the inversion.
func (t *Table) exchangeOnes(f *[2 * Batch]fraction, public, shared, private [][32]byte) {
	var product field.Element
	product.One()
	for i := range private {
		digits := digitsOf(&private[i])
		for k, table := range []*Table{baseTable(), t} {
			f := &f[2*i+k]
			table.multiply(&f.num, &f.den, &digits)
			f.before = product
			product.Multiply(&product, &f.den)
		}
		clear(digits[:])
	}
	product.Invert(&product)
	for i := 2*len(private) - 1; i >= 0; i-- {
		f := &f[i]
		f.num.Multiply(&f.num, f.before.Multiply(&f.before, &product))
		product.Multiply(&product, &f.den)
		to := public
		if i%2 == 1 {
			to = shared
		}
		copy(to[i/2][:], f.num.Bytes())
	}
	clear(f[:2*len(private)])
}
