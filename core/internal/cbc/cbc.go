// Package cbc is AES-256 (FIPS 197) in CBC mode (NIST SP 800-38A section 6.2) without
// allocations, for messages that each have a key of their own.
//
// A Schedule is the expanded key of one message; EncryptMany encrypts many messages
// at once, because one alone cannot fill the processor: each of its blocks waits for
// the block before. Padding and authentication are the caller's. A MAC authenticates
// messages of two blocks under one key.
//
// No branch and no memory address depends on a key or on a message, with and without
// assembly. Lengths are public.
package cbc

import "unsafe"

const (
	// BlockSize is the length of a block, in bytes.
	BlockSize = 16

	rounds = 14 // Nr of AES-256
)

// roundKeys is the round keys of one key, in the order of their use.
type roundKeys [rounds + 1][BlockSize]byte

// A Schedule is an expanded key (FIPS 197 section 5.2). The memory is the caller's, and
// as secret as the key. The zero value is not a key: call Expand first. Methods other
// than Expand and Wipe may run at the same time.
type Schedule struct {
	enc roundKeys
	dec roundKeys // of the equivalent inverse cipher, section 5.3.5
}

// Expand sets k to the schedule of key.
func (k *Schedule) Expand(key *[32]byte) { expand(k, key) }

// Wipe overwrites k.
func (k *Schedule) Wipe() { *k = Schedule{} }

// Encrypt encrypts src into the first len(src) bytes of dst. iv stays as it is; the
// next message needs another.
//
// len(src) must be a multiple of BlockSize, len(dst) at least len(src), and dst and src
// must overlap entirely or not at all. Else Encrypt panics, as crypto/cipher does.
func (k *Schedule) Encrypt(dst, src []byte, iv *[BlockSize]byte) {
	if n := check(dst, src); n > 0 {
		encrypt(k, &dst[0], &src[0], n, iv)
	}
}

// Decrypt is the inverse of Encrypt, with the same rules.
func (k *Schedule) Decrypt(dst, src []byte, iv *[BlockSize]byte) {
	if n := check(dst, src); n > 0 {
		decrypt(k, &dst[0], &src[0], n, iv)
	}
}

// check returns the number of blocks of src, after a panic if it breaks a rule.
func check(dst, src []byte) (blocks int) {
	switch {
	case len(src)%BlockSize != 0:
		panic("cbc: input not full blocks")
	case len(dst) < len(src):
		panic("cbc: output smaller than input")
	case inexact(dst[:len(src)], src):
		panic("cbc: invalid buffer overlap")
	}
	return len(src) / BlockSize
}

// inexact reports whether two slices of one length share memory, but not all of it.
func inexact(a, b []byte) bool {
	if len(a) == 0 || &a[0] == &b[0] {
		return false
	}
	n := uintptr(len(a))
	x, y := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return x < y+n && y < x+n
}

// bytesOf returns n blocks from p on.
func bytesOf(p *byte, n int) []byte { return unsafe.Slice(p, n*BlockSize) }
