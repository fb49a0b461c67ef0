//go:build !purego

package cpu

import "golang.org/x/sys/cpu"

// AES is the AES instructions of ARMv8's cryptographic extension: AESE, AESD, AESMC and
// AESIMC.
var AES = cpu.ARM64.HasAES
