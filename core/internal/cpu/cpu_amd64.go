//go:build !purego

package cpu

import (
	"os"
	"strings"

	"golang.org/x/sys/cpu"
)

// Each is a set of instructions that one kind of routine needs.
var (
	// AESNI is AES on 128-bit registers. Its routines are in VEX encoding throughout.
	AESNI = cpu.X86.HasAES && cpu.X86.HasAVX

	// SHANI is SHA-256's rounds, with SSSE3 and SSE4.1.
	SHANI = cpu.X86.HasSSSE3 && cpu.X86.HasSSE41 && hasSHA()

	// AVX2 is arithmetic on 256-bit registers, with fused multiply-add of floating-point numbers.
	AVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

	// AVX512 is arithmetic on 512-bit registers, of floating-point numbers too: F, BW, DQ, VL.
	AVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL

	// VAES is AES on 512-bit registers.
	VAES = AVX512 && AESNI && cpu.X86.HasAVX512VAES

	// IFMA is the 52-bit multiply-add on 512-bit registers.
	IFMA = AVX512 && cpu.X86.HasAVX512IFMA
)

// hasSHA asks the processor itself, because golang.org/x/sys/cpu does not tell.
func hasSHA() bool {
	if strings.Contains(os.Getenv("GODEBUG"), "cpu.sha=off") {
		return false
	}
	const extended, sha = 7, 1 << 29 // the leaf, and its bit in EBX
	if leaves, _, _, _ := cpuid(0, 0); leaves < extended {
		return false
	}
	_, ebx, _, _ := cpuid(extended, 0)
	return ebx&sha != 0
}
