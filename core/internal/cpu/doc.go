// Package cpu says which instruction sets the assembly of core's internal packages
// may use. Exactly one place decides it, at start-up, from CPUID and from what the
// operating system saves on a context switch.
//
// GODEBUG narrows it for tests and benchmarks, as it does for the standard library:
// GODEBUG=cpu.avx512ifma=off leaves x25519 the floating-point multiplier,
// cpu.avx512f=off takes away all that is 512 bits wide, cpu.avx2=off with it x25519's
// 256 bits, cpu.aes=off and cpu.sha=off the rest. A build with the tag purego has no assembly and does not import this
// package. On arm64 only AES is decided here.
package cpu
