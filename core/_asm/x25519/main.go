// Command x25519 generates the eight-lane arithmetic of package x25519 for processors
// with AVX-512 or AVX2: one number to a lane, eight numbers at once. Each routine exists
// three times, for AVX-512 with IFMA, for AVX-512 without, and for AVX2, where it takes
// four lanes and then the other four.
//
// Read field.go for the numbers, ifma.go and fma.go for the two ways to compute, ir.go
// for how their bounds are proved, ladder.go and comb.go for what is computed, spill.go
// for how that fits the registers of AVX2. interpret_test.go runs the same operations
// in Go.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	for _, f := range []struct {
		name string
		field
		half bool
	}{{"IFMA", newIFMA(), false}, {"FMA", newFMA(), false}, {"AVX2", newFMA(), true}} {
		words := "words" + f.name
		w := &writer{f: f.field, words: NewDataAddr(NewStaticSymbol(words), 0), half: f.half}
		writeLadder(w, "ladder8"+f.name)
		writeMultiply(w, "multiply8"+f.name)
		writeComb(w, "comb8"+f.name)
		w.writeWords(words)
	}
	writeHalfWords()
	Generate()
}

// inRounding writes body, rounding towards zero where the field needs it.
func (w *writer) inRounding(body func()) {
	const masked, towardsZero = 0x1f80, 3 << 13 // MXCSR: Intel SDM volume 1, section 10.2.3
	if _, float := w.f.(*fma); !float {
		body()
		return
	}
	caller, own := AllocLocal(4), AllocLocal(4)
	STMXCSR(caller)
	t := GP32()
	MOVL(U32(masked|towardsZero), t)
	MOVL(t, own)
	LDMXCSR(own)
	body()
	LDMXCSR(caller)
}

func writeLadder(w *writer, name string) {
	l := newLadder(w.f)
	signature := "func(point *[3][5][8]uint64, work " + workType + ", swaps *[255]uint8"
	doc := []string{
		name + " climbs the Montgomery ladder in eight lanes, from u, the first number of",
		"point, to its other two, whose quotient is the result. Bit j of swaps[i] says whether",
		"step i swaps in lane j. point and work are aligned to 64 bytes; what is left in",
		"them is secret.",
	}
	if w.half {
		signature += ", lanes uint64"
		doc = append(doc, "With lanes at most 4, lanes 4 to 7 of point stay as they are.")
	}
	TEXT(name, NOSPLIT, signature+")")
	Doc(doc...)
	Pragma("noescape")
	w.start("point", "work")
	w.after(l.work)
	w.mask[l.swap] = reg.K1
	lanes := allLanes
	if w.half {
		lanes = Load(Param("lanes"), GP64())
	}
	w.inRounding(func() {
		w.inHalves(name, lanes, func() {
			swaps := Load(Param("swaps"), GP64())
			n := GP64()
			MOVQ(U64(255), n)
			w.write(l.begin())
			Label(name + "Step")
			w.loadSwaps(swaps)
			w.write(l.step()...)
			INCQ(swaps)
			DECQ(n)
			JNZ(LabelRef(name + "Step"))
			w.write(l.finish())
		})
	})
	w.forget()
}

func writeMultiply(w *writer, name string) {
	TEXT(name, NOSPLIT, "func(dst, x, y *[5][8]uint64, work "+workType+")")
	Doc(name+" sets dst to x*y in eight lanes. dst may be x or y. All are aligned to 64",
		"bytes; what is left in work is secret.")
	Pragma("noescape")
	w.start("dst", "x", "y", "work")
	work := &space{base: "work"}
	factor := func(name string) (*block, *number) {
		s := &space{base: name}
		b, n := new(block), work.number("factor")
		b.storeAll(n, w.f.reduce(b, w.f.raw(b, b.loadAll(s.number(name).declarePacked(mask48)))))
		return b, n
	}
	xb, x := factor("x")
	yb, y := factor("y")
	w.after(work)
	b := new(block)
	dst := &space{base: "dst"}
	b.storeAll(dst.number("dst").declarePacked(mask48), w.f.pack(b, w.f.reduce(b, w.f.mul(b, x, y))))
	w.inRounding(func() {
		w.inHalves(name, allLanes, func() { w.write(w.f.together(xb, yb), b.ops) })
	})
	w.forget()
}

func writeComb(w *writer, name string) {
	index := &constReg{value: *newValue(tableEntries-1, false)}
	negative := new(maskReg)
	points, work := &space{base: "points"}, &space{base: "work"}
	p := newComb(w.f, index, negative, "p", points, work)
	q := newComb(w.f, index, negative, "q", points, work)

	TEXT(name, NOSPLIT, "func(points *[4][5][8]uint64, work "+workType+", p, q *[51][3][5][16]uint64, digits *[51][8]uint8)")
	Doc(name+" multiplies the points of the tables p and q by eight scalars, one to a",
		"lane. Odd digit d of a scalar, from -31 to 31, is (d+31)/2 in digits. points[0] /",
		"points[1] becomes the Montgomery coordinate of the product of p, the other two that",
		"of q. All are aligned to 64 bytes; what is left in points and work is secret.")
	Pragma("noescape")
	w.start("points", "work")
	w.pinIndex(index)
	w.after(work)
	w.mask[negative] = reg.K1
	w.inRounding(func() {
		w.inHalves(name, allLanes, func() {
			for _, base := range []string{"p", "q"} {
				w.base[base] = Load(Param(base), GP64())
			}
			digits := Load(Param("digits"), GP64())
			n := GP64()
			MOVQ(U64(51), n)
			w.write(p.begin(), q.begin())
			Label(name + "Digit")
			w.loadDigits(digits)
			w.write(combStep(p, q)...)
			for _, base := range []string{"p", "q"} {
				ADDQ(U32(3*limbs*8*tableEntries), w.base[base])
			}
			ADDQ(U8(8), digits)
			DECQ(n)
			JNZ(LabelRef(name + "Digit"))
			w.write(p.result(), q.result())
		})
	})
	w.forget()
}
