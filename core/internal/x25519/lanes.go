package x25519

import (
	"encoding/binary"
	"unsafe"

	"filippo.io/edwards25519/field"
)

const (
	laneCount  = 8 // numbers in one vector
	groupCount = 8 // vectors that share one inversion
	limbCount  = 5 // of 52 bits
	limbMask   = 1<<52 - 1
)

// An implementation computes in eight lanes.
type implementation int

const (
	implTwin implementation = iota // plain Go
	implAVX2                       // AVX2 and FMA, four lanes after the other four
	implFMA                        // AVX-512, with the floating-point multiplier
	implIFMA                       // AVX-512 IFMA
)

// A fe8 is eight numbers modulo p = 2^255 - 19, lane by lane: limb i of number j is at
// [i][j] and counts 2^(52 i). Limbs are at most 52 bits, limb 4 at most 48; the number
// need not be below p.
type fe8 = [limbCount][laneCount]uint64

// aligned returns the first T in memory that begins on a cache line. buf is 64 bytes
// longer than T. The assembly reads and writes 64 bytes at a time; across two lines
// that costs double.
func aligned[T any](buf []byte) *T {
	skip := -uintptr(unsafe.Pointer(&buf[0])) % 64
	if int(skip+unsafe.Sizeof(*new(T))) > len(buf) {
		panic("x25519: aligned: buffer too short")
	}
	return (*T)(unsafe.Pointer(&buf[skip]))
}

// setLane sets number j of f to the little-endian b, whose top bit is ignored.
func setLane(f *fe8, j int, b *[32]byte) {
	w0 := binary.LittleEndian.Uint64(b[0:])
	w1 := binary.LittleEndian.Uint64(b[8:])
	w2 := binary.LittleEndian.Uint64(b[16:])
	w3 := binary.LittleEndian.Uint64(b[24:])
	f[0][j] = w0 & limbMask
	f[1][j] = (w0>>52 | w1<<12) & limbMask
	f[2][j] = (w1>>40 | w2<<24) & limbMask
	f[3][j] = (w2>>28 | w3<<36) & limbMask
	f[4][j] = w3 << 1 >> 17
}

// lane sets b to number j of f, fully reduced, little-endian.
func lane(b *[32]byte, f *fe8, j int) {
	l0, l1, l2, l3, l4 := f[0][j], f[1][j], f[2][j], f[3][j], f[4][j]
	// The bits from 255 on count 19. What is left is at most 2^255 + 18.
	l0 += 19 * (l4 >> 47)
	l4 &= 1<<47 - 1
	l1, l0 = l1+l0>>52, l0&limbMask
	l2, l1 = l2+l1>>52, l1&limbMask
	l3, l2 = l3+l2>>52, l2&limbMask
	l4, l3 = l4+l3>>52, l3&limbMask
	// Subtract p if that is possible: x + 19 reaches 2^255 exactly then.
	c := (l0 + 19) >> 52
	c = (l1 + c) >> 52
	c = (l2 + c) >> 52
	c = (l3 + c) >> 52
	c = (l4 + c) >> 47
	l0 += 19 * c
	l1, l0 = l1+l0>>52, l0&limbMask
	l2, l1 = l2+l1>>52, l1&limbMask
	l3, l2 = l3+l2>>52, l2&limbMask
	l4, l3 = l4+l3>>52, l3&limbMask
	l4 &= 1<<47 - 1

	binary.LittleEndian.PutUint64(b[0:], l0|l1<<52)
	binary.LittleEndian.PutUint64(b[8:], l1>>12|l2<<40)
	binary.LittleEndian.PutUint64(b[16:], l2>>24|l3<<28)
	binary.LittleEndian.PutUint64(b[24:], l3>>36|l4<<16)
}

// An inverter holds what invert works with. It is secret.
type inverter struct {
	products [groupCount * 2]fe8 // products[g] = z[0] * ... * z[g]
	inverse  fe8
	lane     [32]byte
	element  [laneCount]field.Element
	partial  [laneCount]field.Element // partial[j] = element[0] * ... * element[j]
	running  field.Element
}

// invert replaces the numbers of z by their inverses, with one inversion for all
// (Montgomery's trick): first the vectors are multiplied together, lane by lane, then
// the eight lanes. A number that is zero makes every result zero: its owner must have
// kept it out.
func (s *inverter) invert(z []*fe8, w *workSpace) {
	last := len(z) - 1
	s.products[0] = *z[0]
	for g := 1; g <= last; g++ {
		multiply8(&s.products[g], &s.products[g-1], z[g], w)
	}
	s.invertLanes(&s.inverse, &s.products[last])
	for g := last; g > 0; g-- {
		// inverse is that of z[0]...z[g]: take z[g] out of it.
		multiply8(&s.products[g], &s.inverse, &s.products[g-1], w)
		multiply8(&s.inverse, &s.inverse, z[g], w)
		*z[g] = s.products[g]
	}
	*z[0] = s.inverse
}

// invertLanes sets dst to the inverses of the eight numbers of f.
func (s *inverter) invertLanes(dst, f *fe8) {
	for j := range s.element {
		lane(&s.lane, f, j)
		mustSet(&s.element[j], &s.lane)
		if j == 0 {
			s.partial[0] = s.element[0]
			continue
		}
		s.partial[j].Multiply(&s.partial[j-1], &s.element[j])
	}
	s.running.Invert(&s.partial[laneCount-1])
	for j := laneCount - 1; j >= 0; j-- {
		inverse := &s.partial[j]
		if j > 0 {
			inverse.Multiply(&s.running, &s.partial[j-1])
			s.running.Multiply(&s.running, &s.element[j])
		} else {
			*inverse = s.running
		}
		copy(s.lane[:], inverse.Bytes())
		setLane(dst, j, &s.lane)
	}
}

// mustSet sets e to the little-endian b.
func mustSet(e *field.Element, b *[32]byte) {
	if _, err := e.SetBytes(b[:]); err != nil {
		panic("x25519: " + err.Error()) // the only error is a wrong length
	}
}
