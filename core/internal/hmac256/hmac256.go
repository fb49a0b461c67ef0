// Package hmac256 is HMAC-SHA256 (RFC 2104), without allocation and in memory that
// its user can clear. crypto/hmac allocates five times for each key.
//
// A [Key] serves one message at a time, [SumMany] a batch with a key for each. Time
// and memory addresses depend on lengths only.
package hmac256

import (
	"crypto/sha256"
	"encoding/binary"

	"ecoin/core/internal/sha2"
)

const (
	// Size is the length of an HMAC in bytes.
	Size = sha256.Size

	blockSize = sha2.BlockSize
	padInner  = 0x36 // "ipad", "opad"
	padOuter  = 0x5c
	lengthLen = 8 // the length of a message at its end, in bits
)

// saveStates says that a key is kept as hash states and its messages go through
// sha2.Block. Without instructions for that the standard library's vector code is
// faster, by more than the two blocks of each message that saved states spare;
// loading such states into its hash.Hash works, but only into one on the heap.
// Tests change it between one use of a key and another's.
var saveStates = sha2.Native()

// A Key is one key, at most 64 bytes. Set comes first. It is secret; its owner
// clears it. Between calls of Set it does not change and serves concurrently.
type Key struct {
	// With saveStates: the states after the blocks key ^ ipad and key ^ opad.
	inner, outer sha2.State

	block [blockSize]byte // without: the key, then zeros
}

// Wipe clears k.
func (k *Key) Wipe() { *k = Key{} }

// Set sets k to the key, at most 64 bytes; a longer one panics.
func (k *Key) Set(s *Scratch, key []byte) {
	if len(key) > blockSize {
		panic("hmac256: key of more than 64 bytes")
	}
	if !saveStates {
		clear(k.block[copy(k.block[:], key):])
		return
	}
	b := s.buf[:blockSize]
	k.inner, k.outer = sha2.Init(), sha2.Init()
	clear(b[copy(b, key):])
	xor(b, padInner)
	sha2.Block(&k.inner, b)
	xor(b, padInner^padOuter)
	sha2.Block(&k.outer, b)
	clear(b)
}

// xor XORs one byte into each of b, a whole number of words.
func xor(b []byte, with byte) {
	word := uint64(with) * 0x0101010101010101
	for i := 0; i < len(b); i += 8 {
		w := b[i : i+8]
		binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(w)^word)
	}
}

// Sum sets dst to the HMAC of the parts, one after the other, of any length
// together. dst may be a part or overlap one.
func (k *Key) Sum(s *Scratch, dst *[Size]byte, parts ...[]byte) {
	if saveStates {
		k.sumStates(s, dst, parts)
		return
	}
	k.sumLibrary(s, dst, parts)
}

// sumStates is Sum with the saved states.
func (k *Key) sumStates(s *Scratch, dst *[Size]byte, parts [][]byte) {
	st, b := k.inner, (*[blockSize]byte)(s.buf[:])
	n, total := 0, blockSize // bytes in b, bytes hashed or there
	for _, p := range parts {
		total += len(p)
		if n > 0 {
			m := copy(b[n:], p)
			if n, p = n+m, p[m:]; n < blockSize {
				continue
			}
			sha2.Block(&st, b[:])
		}
		whole := len(p) &^ (blockSize - 1)
		sha2.Block(&st, p[:whole])
		n = copy(b[:], p[whole:])
	}
	b[n] = 0x80 // FIPS 180-4 section 5.1.1
	clear(b[n+1:])
	if n >= blockSize-lengthLen {
		sha2.Block(&st, b[:])
		clear(b[:])
	}
	binary.BigEndian.PutUint64(b[blockSize-lengthLen:], 8*uint64(total))
	sha2.Block(&st, b[:])

	putState(b[:], &st)
	endOuter(b)
	st = k.outer
	sha2.Block(&st, b[:])
	putState(dst[:], &st)
	clear(st[:])
	clear(b[:])
}

// putState sets the first Size bytes of b to the hash value.
func putState(b []byte, st *sha2.State) {
	for i, w := range st {
		binary.BigEndian.PutUint32(b[4*i:], w)
	}
}

// endOuter sets what follows the inner hash in the last block of the outer one.
func endOuter(b *[blockSize]byte) {
	clear(b[Size:])
	b[Size] = 0x80
	binary.BigEndian.PutUint64(b[blockSize-lengthLen:], 8*(blockSize+Size))
}
