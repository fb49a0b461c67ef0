//go:build amd64 && !purego

package x25519

import "ecoin/core/internal/cpu"

// setImpl chooses how lanes are computed, and reports whether this processor can.
func setImpl(impl implementation) bool {
	if impl == implIFMA && !cpu.IFMA || impl == implFMA && !cpu.AVX512 || impl == implAVX2 && !cpu.AVX2 {
		return false
	}
	lanesImpl = impl
	return true
}
