package x25519

import (
	"sync"
	"unsafe"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

const (
	combDigits   = 51 // of 5 bits: 255 bits
	tableEntries = 16 // 1, 3, ..., 31 times a point
)

type (
	// combEntries are the entries for one digit: y+x, y-x, 2dxy, limb by limb, each
	// limb for all entries, as the assembly looks them up.
	combEntries = [3][limbCount][tableEntries]uint64

	// A combTable holds the odd multiples up to 31 of 32^i * 8P for each digit i.
	combTable = [combDigits]combEntries
)

// A Table makes multiplications of one point fast: about 100 kB, made in about 2 ms. It
// does not change and is safe for concurrent use.
type Table struct {
	// Whichever this processor computes with.
	comb    *combTable    // for eight lanes
	entries *entriesTable // for one
}

// baseTable is the table of the base point, u = 9.
var baseTable = sync.OnceValue(func() *Table { return NewTable(&[32]byte{9}) })

// NewTable returns the table of the point u, a public number, or nil if u is not on
// curve25519 but on its twist, or is of low order: no private key has such a public
// key, and its multiples need the ladder.
func NewTable(u *[32]byte) *Table {
	p := onEdwards(u)
	if p == nil {
		return nil
	}
	p.MultByCofactor(p)
	if p.Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil
	}
	points := make([]edwards25519.Point, 0, combDigits*tableEntries)
	for range combDigits {
		var double, entry edwards25519.Point
		double.Add(p, p)
		entry.Set(p)
		for range tableEntries {
			points = append(points, entry)
			entry.Add(&entry, &double)
		}
		// entry is 33 times p; the next digit counts 32 times as much.
		p.Subtract(&entry, p)
	}
	return newTable(points)
}

// onEdwards returns a point of edwards25519 whose Montgomery coordinate is u, one of
// two that differ in sign, or nil (RFC 7748 section 4.1).
func onEdwards(u *[32]byte) *edwards25519.Point {
	var e, one, x, y, z, t, num, den field.Element
	mustSet(&e, u)
	one.One()
	// y = (u - 1) / (u + 1), and x^2 = (y^2 - 1) / (d y^2 + 1).
	y.Multiply(y.Subtract(&e, &one), z.Invert(z.Add(&e, &one)))
	t.Square(&y)
	num.Subtract(&t, &one)
	den.Add(den.Multiply(&t, edwardsD()), &one)
	if _, square := x.SqrtRatio(&num, &den); square == 0 {
		return nil
	}
	p, err := new(edwards25519.Point).SetExtendedCoordinates(&x, &y, &one, t.Multiply(&x, &y))
	if err != nil {
		return nil
	}
	return p
}

// edwardsD is d = -121665/121666 (RFC 7748 section 4.1).
func edwardsD() *field.Element {
	var one, num, den field.Element
	one.One()
	num.Negate(num.Mult32(&one, 121665))
	den.Invert(den.Mult32(&one, 121666))
	return num.Multiply(&num, &den)
}

// newTable returns the table of points, digit by digit. One inversion makes all of them
// affine.
func newTable(points []edwards25519.Point) *Table {
	t := new(Table)
	if useLanes {
		t.comb = aligned[combTable](make([]byte, unsafe.Sizeof(combTable{})+64))
	} else {
		t.entries = new(entriesTable)
	}
	partial := make([]field.Element, len(points)+1) // products of the Z before
	partial[0].One()
	for i := range points {
		_, _, z, _ := points[i].ExtendedCoordinates()
		partial[i+1].Multiply(&partial[i], z)
	}
	var inverse, d2 field.Element
	inverse.Invert(&partial[len(points)])
	d2.Mult32(edwardsD(), 2)
	for i := len(points) - 1; i >= 0; i-- {
		x, y, z, _ := points[i].ExtendedCoordinates()
		var zInv field.Element
		zInv.Multiply(&inverse, &partial[i])
		inverse.Multiply(&inverse, z)
		x.Multiply(x, &zInv)
		y.Multiply(y, &zInv)
		var e entry
		e[0].Add(y, x)
		e[1].Subtract(y, x)
		e[2].Multiply(e[2].Multiply(x, y), &d2)
		digit, n := i/tableEntries, i%tableEntries
		if t.entries != nil {
			t.entries[digit][n] = e.words()
			continue
		}
		for c := range e {
			var f fe8
			storeLane(&f, 0, &e[c])
			for l := range f {
				t.comb[digit][c][l][n] = f[l][0]
			}
		}
	}
	return t
}
