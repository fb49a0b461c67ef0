package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// The routines for AVX2 have sixteen registers of four lanes and no masks. They run for
// lanes 0 to 3 and then for lanes 4 to 7 of the same numbers, 32 bytes further on, and
// keep in memory what the digit or bit of a step decides: regions that depend on it
// begin with loading it.

// halfState is what a writer knows of such a routine.
type halfState struct {
	pointers []string       // the parameters that point to numbers
	first    reg.GPVirtual  // 0, then 4
	kept     map[string]Mem // of what a step decides
	spills   space          // in which values wait for a register
}

// These registers are loaded at the start of a region that needs them: all ones where
// a lane is selected; for a lookup, which part of a vector of four entries to take, and
// in the sign bits which vector. The last one is the lookup's own.
var (
	selected = registers.Y[15]
	part     = registers.Y[14]
	odd      = registers.Y[13]
	upper    = registers.Y[12]
	scratch  = registers.Y[11]
)

var allLanes Op = U8(8)

// after says that work is all that numbers take of the work space.
func (w *writer) after(work *space) {
	if !w.half {
		return
	}
	w.kept = map[string]Mem{}
	w.spills = *work
	for _, name := range []string{"selected", "part", "odd", "upper"} {
		w.kept[name] = Mem{Base: w.base["work"], Disp: w.spills.size}
		w.spills.size += 64
	}
}

// inHalves writes body, in a loop over the halves of so many lanes where there are some.
func (w *writer) inHalves(name string, lanes Op, body func()) {
	if !w.half {
		body()
		return
	}
	w.first = GP64()
	XORQ(w.first, w.first)
	Label(name + "Half")
	body()
	for _, name := range w.pointers {
		ADDQ(U8(32), w.base[name])
	}
	ADDQ(U8(4), w.first)
	CMPQ(w.first, lanes)
	JCS(LabelRef(name + "Half")) // first < lanes
}

// needs returns whether a region selects and whether it looks up, and how many registers
// that leaves to values.
func needs(ops []*op) (selects, looksUp bool, left int) {
	has := func(code opcode) bool {
		return slices.ContainsFunc(ops, func(o *op) bool { return o.code == code })
	}
	switch selects, looksUp = has(opSelect), has(opLookup); {
	case looksUp:
		return selects, looksUp, slices.Index(registers.Y[:], scratch)
	case selects:
		return selects, looksUp, slices.Index(registers.Y[:], selected)
	}
	return selects, looksUp, len(registers.Y)
}

// fit begins a region with loading what it needs, and returns its operations with
// those that it takes for values to fit the registers that are left.
func (w *writer) fit(ops []*op) (fitted []*op, left int) {
	selects, looksUp, left := needs(ops)
	if selects {
		VMOVDQU(w.kept["selected"], selected)
	}
	if looksUp {
		VMOVDQU(w.kept["part"], part)
		VMOVDQU(w.kept["odd"], odd)
		VMOVDQU(w.kept["upper"], upper)
	}
	s := spiller{w.f.constants(), w.pinned, left, w.spills}
	return s.region(ops), left
}

// writeHalf writes the instructions for what AVX2 says in another way than AVX-512, and
// reports whether it did.
func (w *writer) writeHalf(o *op, src []Op, dst Op) bool {
	switch o.code {
	case opZero:
		VPXOR(dst, dst, dst)
	case opCopy:
		VMOVDQA(src[0], dst)
	case opLoad:
		VMOVDQU(src[0], dst)
	case opStore:
		VMOVDQU(src[0], w.mem(o.mem))
	case opAnd:
		VPAND(src[1], src[0], dst)
	case opSelect:
		VPBLENDVB(selected, src[1], src[0], dst)
	case opLookup:
		// src[1] has the entries 0 to 3, the others are at the 32 bytes after them and so on.
		upperEight := w.mem(o.mem)
		VPERMD(src[1], part, src[1])
		VPERMD(upperEight.Offset(-32), part, dst)
		VBLENDVPD(odd, dst, src[1], src[1])
		VPERMD(upperEight, part, dst)
		VPERMD(upperEight.Offset(32), part, scratch)
		VBLENDVPD(odd, scratch, dst, dst)
		VBLENDVPD(upper, dst, src[1], dst)
	case opWithExponent:
		VPAND(src[1], src[0], dst)
		VPOR(src[2], dst, dst)
	default:
		return false
	}
	return true
}

const (
	laneBits   = "laneBits"   // the bit of each lane
	digitWords = "digitWords" // 16, 15, and 1 in the upper half of the word, four times each
)

func writeHalfWords() {
	GLOBL(laneBits, RODATA|NOPTR)
	for j := range 8 {
		DATA(8*j, U64(1<<j))
	}
	GLOBL(digitWords, RODATA|NOPTR)
	for i, word := range []uint64{16, 15, 1 << 32} {
		for j := range 4 {
			DATA(8*(4*i+j), U64(word))
		}
	}
}

// pinIndex gives the index of lookups its register. With AVX2, lookups go by what
// loadDigits makes of it.
func (w *writer) pinIndex(index *constReg) {
	if !w.half {
		w.pin(index)
		return
	}
	w.pinned[index.id] = slices.Index(registers.Y[:], part)
}

// loadSwaps takes which lanes swap from the byte at swaps, bit by bit.
func (w *writer) loadSwaps(swaps reg.Register) {
	if !w.half {
		KMOVB(Mem{Base: swaps}, reg.K1)
		return
	}
	bits := GP64()
	LEAQ(NewDataAddr(NewStaticSymbol(laneBits), 0), bits)
	these := Mem{Base: bits, Index: w.first, Scale: 8}
	VPBROADCASTB(Mem{Base: swaps}, selected)
	VPAND(these, selected, selected)
	VPCMPEQQ(these, selected, selected)
	VMOVDQU(selected, w.kept["selected"])
}

// loadDigits takes the lanes' digits from the bytes at digits. From 16 on they are
// positive and count up, the others negative and count down.
func (w *writer) loadDigits(digits reg.Register) {
	if !w.half {
		at := registers.Z[w.limit]                         // of the index
		sixteen, fifteen := registers.Z[0], registers.Z[1] // free between the regions
		t := GP64()
		VPMOVZXBQ(Mem{Base: digits}, at)
		MOVQ(U64(16), t)
		VPBROADCASTQ(t, sixteen)
		MOVQ(U64(15), t)
		VPBROADCASTQ(t, fifteen)
		VPTESTNMQ(sixteen, at, reg.K1)
		VPXORQ(fifteen, at, reg.K1, at)
		return
	}
	word := func(i int) Mem { return NewDataAddr(NewStaticSymbol(digitWords), 32*i) }
	at, t := registers.Y[0], registers.Y[1]
	VPMOVZXBQ(Mem{Base: digits, Index: w.first, Scale: 1}, at)
	VMOVDQU(word(0), t)
	VPCMPGTQ(at, t, selected) // 16 > digit
	VMOVDQU(selected, w.kept["selected"])
	VPAND(word(1), selected, t)
	VPXOR(t, at, at)
	VPSLLQ(U8(61), at, t) // bit 2 of the index
	VMOVDQU(t, w.kept["odd"])
	VPSLLQ(U8(60), at, t) // bit 3
	VMOVDQU(t, w.kept["upper"])
	// In 32-bit parts, of which VPERMD takes one of eight: twice the index, and one more.
	VPADDQ(at, at, at)
	VPSHUFD(U8(0b10_10_00_00), at, at)
	VPADDQ(word(2), at, at)
	VMOVDQU(at, w.kept["part"])
}

// forget clears the registers and ends the routine.
func (w *writer) forget() {
	if w.half {
		registers.ForgetY()
		return
	}
	registers.Forget()
}
