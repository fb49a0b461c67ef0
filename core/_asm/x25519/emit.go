package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

// A writer turns the operations of one field's routines into instructions.
type writer struct {
	f      field
	base   map[string]reg.Register // of the spaces
	mask   map[*maskReg]reg.Register
	words  Mem         // the constants in memory
	pinned map[int]int // constants in registers, by value id
	limit  int         // registers below it are free

	// half says that registers have 256 bits, and that there are sixteen.
	half bool
	halfState
}

func (w *writer) mem(s *slot) Mem {
	if s.constant {
		return w.words.Offset(s.offsetBytes / 8 * w.wordBytes())
	}
	return Mem{Base: w.base[s.base], Disp: s.offsetBytes}
}

// wordBytes is the size of a constant in memory: AVX-512 spreads 8 bytes to all lanes.
func (w *writer) wordBytes() int {
	if w.half {
		return 32
	}
	return 8
}

func (w *writer) register(i int) reg.VecPhysical {
	if w.half {
		return registers.Y[i]
	}
	return registers.Z[i]
}

// pin keeps the last free register for a constant.
func (w *writer) pin(k *constReg) reg.VecPhysical {
	if w.half {
		panic("a constant for as long as the routine runs")
	}
	w.limit--
	w.pinned[k.id] = w.limit
	return registers.Z[w.limit]
}

// start loads the pointer parameters, which are the bases of the spaces, and the
// constants.
func (w *writer) start(pointers ...string) {
	w.pointers = pointers
	w.base, w.mask = map[string]reg.Register{}, map[*maskReg]reg.Register{}
	for _, name := range pointers {
		w.base[name] = Load(Param(name), GP64())
	}
	w.pinned, w.limit = map[int]int{}, len(registers.Z)
	if w.half {
		return // there are too few to pin any
	}
	for _, k := range w.f.constants().registers {
		t := GP64()
		MOVQ(U64(k.word), t)
		VPBROADCASTQ(t, w.pin(k))
	}
}

// writeWords writes the constants in memory, when all are known.
func (w *writer) writeWords(name string) {
	GLOBL(name, RODATA|NOPTR)
	for i, s := range w.f.constants().words {
		for at := 0; at < w.wordBytes(); at += 8 {
			DATA(w.wordBytes()*i+at, U64(s.word))
		}
	}
}

func (w *writer) write(regions ...[]*op) {
	for _, ops := range regions {
		w.writeRegion(ops)
	}
}

func (w *writer) writeRegion(ops []*op) {
	limit := w.limit
	if w.half {
		ops, limit = w.fit(ops)
	}
	regs := assign(ops, w.pinned, limit)
	for _, o := range ops {
		var src []Op
		for _, s := range o.srcs {
			src = append(src, w.register(regs[s.id]))
		}
		var dst reg.VecPhysical
		if o.dst != nil {
			dst = w.register(regs[o.dst.id])
		}
		if o.mem != nil && o.code != opStore {
			src = append(src, w.mem(o.mem))
		}
		if w.half && w.writeHalf(o, src, dst) {
			continue
		}
		w.writeOp(o, src, dst)
	}
}

// writeOp writes one instruction. Go's order of operands is the reverse of Intel's: the
// destination is last.
func (w *writer) writeOp(o *op, src []Op, dst Op) {
	broadcast := o.mem != nil && o.mem.constant && !w.half
	switch o.code {
	case opZero:
		VPXORQ(dst, dst, dst)
	case opCopy:
		VMOVDQA64(src[0], dst)
	case opLoad:
		if broadcast {
			VPBROADCASTQ(src[0], dst)
		} else {
			VMOVDQU64(src[0], dst)
		}
	case opStore:
		VMOVDQU64(src[0], w.mem(o.mem))
	case opAdd:
		if broadcast {
			VPADDQ_BCST(src[1], src[0], dst)
		} else {
			VPADDQ(src[1], src[0], dst)
		}
	case opSub:
		VPSUBQ(src[1], src[0], dst)
	case opShr:
		VPSRLQ(U8(o.imm), src[0], dst)
	case opShl:
		VPSLLQ(U8(o.imm), src[0], dst)
	case opAnd:
		if broadcast {
			VPANDQ_BCST(src[1], src[0], dst)
		} else {
			VPANDQ(src[1], src[0], dst)
		}
	case opMul32:
		if broadcast {
			VPMULUDQ_BCST(src[1], src[0], dst)
		} else {
			VPMULUDQ(src[1], src[0], dst)
		}
	case opLo:
		VPMADD52LUQ(src[2], src[1], dst)
	case opHi:
		VPMADD52HUQ(src[2], src[1], dst)
	case opSelect:
		VPBLENDMQ(src[1], src[0], w.mask[o.mask], dst)
	case opLookup:
		VPERMI2Q(src[2], src[1], dst)
	case opWithExponent:
		VPTERNLOGQ(U8(0xea), src[2], src[1], dst) // (dst & src1) | src2
	case opFloatAdd:
		VADDPD(src[1], src[0], dst)
	case opFloatSub:
		if broadcast {
			VSUBPD_BCST(src[1], src[0], dst)
		} else {
			VSUBPD(src[1], src[0], dst)
		}
	case opFMA:
		VFMADD231PD(src[2], src[1], dst)
	case opFMAOver:
		VFMADD213PD(src[2], src[1], dst)
	default:
		panic("an operation without an instruction")
	}
}
