package x25519

import (
	"crypto/subtle"

	"filippo.io/edwards25519/field"
)

// The plain Go twins of the assembly compute the same numbers, lane by lane. They
// serve tests: where there is no assembly, points are multiplied one by one in better
// ways than these.

// loadLane sets e to number j of f.
func loadLane(e *field.Element, f *fe8, j int) *field.Element {
	var b [32]byte
	lane(&b, f, j)
	mustSet(e, &b)
	return e
}

// storeLane sets number j of f to e.
func storeLane(f *fe8, j int, e *field.Element) {
	setLane(f, j, (*[32]byte)(e.Bytes()))
}

func multiply8Generic(dst, x, y *fe8) {
	for j := range laneCount {
		var a, b field.Element
		a.Multiply(loadLane(&a, x, j), loadLane(&b, y, j))
		storeLane(dst, j, &a)
	}
}

// ladder8Generic is the ladder of RFC 7748 section 5, with the RFC's names.
func ladder8Generic(p *ladderPoint, swaps *[scalarBits]uint8) {
	for lane := range laneCount {
		var x1, x2, z2, x3, z3 field.Element
		loadLane(&x1, &p[0], lane)
		x2.One()
		x3.Set(&x1)
		z3.One()
		for _, swap := range swaps {
			bit := int(swap >> lane & 1)
			x2.Swap(&x3, bit)
			z2.Swap(&z3, bit)
			var a, b, c, d, aa, bb, e, da, cb, t field.Element
			a.Add(&x2, &z2)
			b.Subtract(&x2, &z2)
			c.Add(&x3, &z3)
			d.Subtract(&x3, &z3)
			aa.Square(&a)
			bb.Square(&b)
			e.Subtract(&aa, &bb)
			da.Multiply(&d, &a)
			cb.Multiply(&c, &b)
			x3.Square(t.Add(&da, &cb))
			z3.Multiply(&x1, t.Square(t.Subtract(&da, &cb)))
			x2.Multiply(&aa, &bb)
			z2.Multiply(&e, t.Add(&aa, t.Mult32(&e, 121665)))
		}
		storeLane(&p[1], lane, &x2)
		storeLane(&p[2], lane, &z2)
	}
}

// comb8Generic adds up the entries that the digits choose.
func comb8Generic(r *combResult, p, q *combTable, digits *[combDigits][laneCount]uint8) {
	for k, table := range []*combTable{p, q} {
		for lane := range laneCount {
			var point [4]field.Element // X, Y, Z, T
			point[1].One()
			point[2].One()
			for i := range digits {
				addEntry(&point, &table[i], digits[i][lane])
			}
			var sum, diff field.Element
			storeLane(&r[2*k], lane, sum.Add(&point[2], &point[1]))
			storeLane(&r[2*k+1], lane, diff.Subtract(&point[2], &point[1]))
		}
	}
}

// addEntry adds an entry of a table to the point q.
func addEntry(q *[4]field.Element, entries *combEntries, digit uint8) {
	index, negative := splitDigit(digit)
	var f [3]fe8
	for i := range tableEntries {
		mask := -uint64(subtle.ConstantTimeByteEq(uint8(i), index))
		for c := range entries {
			for l := range entries[c] {
				f[c][l][0] |= entries[c][l][i] & mask
			}
		}
	}
	var e entry
	for c := range e {
		loadLane(&e[c], &f[c], 0)
	}
	e.addTo(q, negative)
}
