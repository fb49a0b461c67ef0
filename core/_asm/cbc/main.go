// Command cbc generates the routines of package cbc: the key schedule of AES-256 (FIPS
// 197; schedule.go) and CBC mode, one message (mode.go, wide.go) or several (lanes.go),
// with AES-NI on registers of 128 bits and with VAES on registers of 512.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ecoin/core/_asm/registers"
)

const (
	rounds    = 14 // Nr of AES-256
	blockSize = 16
	maxLanes  = 16

	narrow = 1 // blocks in a register of 128 bits
	wide   = 4 // in one of 512
)

func main() {
	ConstraintExpr("amd64,!purego")
	c := newConstants()
	expandOne(c)
	expandLane(c)
	expandLanes(c, "expandLanesAESNI", narrow, 8, 4)
	expandLanes(c, "expandLanesVAES", wide, maxLanes, 4)
	encrypt()
	mac()
	decrypt()
	decryptWide()
	encryptLanes("encryptLanesAESNI", narrow, 8)
	encryptLanes("encryptLanesVAES", wide, maxLanes)
	Generate()
}

// A vector is a register for narrow or wide blocks.
type vector = reg.VecPhysical

var vectors = map[int][]vector{
	narrow: {
		reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
		reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
	},
	wide: registers.Z[:],
}

// xor and move are VPXOR and VMOVDQU, which have other names on 512 bits.
func xor(width int, a Op, b, sum vector) {
	if width == narrow {
		VPXOR(a, b, sum)
	} else {
		VPXORQ(a, b, sum)
	}
}

func move(width int, from, to Op) {
	if width == narrow {
		VMOVDQU(from, to)
	} else {
		VMOVDQU64(from, to)
	}
}

// block returns block i of an array or a message; round keys are an array of blocks.
func block(p reg.Register, i int) Mem { return Mem{Base: p, Disp: i * blockSize} }

// forget clears the vector registers that a routine used, for they held keys or
// messages, and ends the routine. On 128 bits this clears the upper parts as well and
// costs less than VZEROALL.
func forget(width int, used ...vector) {
	if width == narrow {
		for _, x := range used {
			VPXOR(x, x, x)
		}
		RET()
		return
	}
	registers.Forget()
}
