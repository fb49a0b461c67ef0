package x25519

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

const scalarBits = 255

type (
	ladderPoint = [3]fe8 // u, and the result x/z
	combResult  = [4]fe8 // two results num/den
	workSpace   = [30]fe8
)

// Batch is how many points one call of the Many functions takes at most, and how many
// share an inversion.
const Batch = groupCount * laneCount

// useLanes says that eight lanes are faster than one after the other. Tests set it to
// run the twins.
var useLanes = lanesImpl != implTwin

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
	product fe8
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
	if !useLanes || len(us) < 2 {
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
		ladder8(p, &w.work, &m.swaps)
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
	if !useLanes {
		for i := range private {
			BaseMultiply(&public[i], &private[i])
			Multiply(&shared[i], &private[i], &t.u)
		}
		return
	}
	w := aligned[lanes](s.buf[:])
	groups := (len(private) + laneCount - 1) / laneCount
	var invert [2 * groupCount]*fe8 // not in w: the collector does not look for pointers there
	toward := invert[:0]
	for g := range groups {
		for j := range laneCount {
			i := min(g*laneCount+j, len(private)-1) // idle lanes repeat the last key
			setDigits(&w.digits, j, &private[i])
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

// order is that of the base point, 2^252 + 27742317777372353535851937790883648493.
var order = [4]uint64{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 1 << 60}

// setDigits writes the digits of the clamped scalar k to lane j. The tables are of 8P,
// so what is cut into digits is m = k/8, below 2^252. Odd digits make odd numbers: an
// even m is replaced by m + l, l being the odd order of 8P (RFC 7748 section 4.1).
// With d = 2e - 31 for each digit, the sum of e * 32^i is (m + 2^255 - 1) / 2.
func setDigits(digits *[combDigits][laneCount]uint8, j int, k *[32]byte) {
	var m [4]uint64
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(k[8*i:])
	}
	m[3] = m[3]&(1<<63-1) | 1<<62
	for i := range 3 {
		m[i] = m[i]>>3 | m[i+1]<<61
	}
	m[3] >>= 3

	even := m[0]&1 - 1 // all ones if m is even
	var carry uint64
	for i := range m {
		m[i], carry = bits.Add64(m[i], order[i]&even, carry)
	}
	// (m + 2^255 - 1)/2 = (m-1)/2 + 2^254, m being odd.
	for i := range 3 {
		m[i] = m[i]>>1 | m[i+1]<<63
	}
	m[3] = m[3]>>1 + 1<<62
	for i := range digits {
		bit := 5 * i
		e := m[bit/64] >> (bit % 64)
		if bit%64 > 59 && bit/64 < 3 {
			e |= m[bit/64+1] << (64 - bit%64)
		}
		digits[i][j] = uint8(e & 31)
	}
	clear(m[:])
}
