// Package registers is what the generators share: the vector registers of AVX-512 and
// AVX2, how a routine forgets what they held, and how it loads a pointer.
package registers

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// Z is all registers of 512 bits.
var Z = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// Y is all registers of 256 bits that AVX2 has.
var Y = [16]reg.VecPhysical{
	reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
	reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
}

// ForgetY clears Y, which held secrets, and ends the routine.
func ForgetY() {
	VZEROALL()
	RET()
}

// Forget clears Z, which held secrets, and ends the routine.
func Forget() {
	VPXOR(reg.X0, reg.X0, reg.X0)
	for _, z := range Z[16:] {
		VMOVDQA64(reg.X0, z.AsX())
	}
	VZEROALL() // the first sixteen, in full width
	RET()
}

// Pointer loads the argument name.
func Pointer(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }
