// Package hmac256 is HMAC-SHA256 (RFC 2104) of short messages, without allocation
// and in memory that its user can clear.
//
// crypto/hmac allocates five times for each key. Here an HMAC is two calls of
// sha256.Sum256. Hash states saved after the pads would spare about 0.1 µs where a
// key serves twice, which in a header's 40 µs is twice: not worth their memory.
package hmac256

import "crypto/sha256"

const (
	// Size is the length of an HMAC in bytes.
	Size = sha256.Size

	// MaxMessage is the longest message in bytes: what HPKE expands, with room.
	MaxMessage = 128

	blockSize = sha256.BlockSize
)

// An HMAC is one key and the memory to use it with. SetKey comes first. It is
// secret; its owner clears it.
type HMAC struct {
	inner [blockSize + MaxMessage]byte // key ^ ipad | message
	outer [blockSize + Size]byte       // key ^ opad | inner hash
}

// Wipe clears h.
func (h *HMAC) Wipe() { *h = HMAC{} }

// SetKey sets the key, at most 64 bytes; a longer one panics.
func (h *HMAC) SetKey(key []byte) {
	if len(key) > blockSize {
		panic("hmac256: key of more than 64 bytes")
	}
	for i := range blockSize {
		h.inner[i], h.outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		h.inner[i] ^= b
		h.outer[i] ^= b
	}
}

// Sum sets dst to the HMAC of the parts, one after the other. Together they are at
// most MaxMessage bytes; more panic. dst may be one of them.
func (h *HMAC) Sum(dst *[Size]byte, parts ...[]byte) {
	n := blockSize
	for _, p := range parts {
		if len(p) > len(h.inner)-n {
			panic("hmac256: message too long")
		}
		n += copy(h.inner[n:], p)
	}
	sum := sha256.Sum256(h.inner[:n])
	copy(h.outer[blockSize:], sum[:])
	*dst = sha256.Sum256(h.outer[:])
	clear(sum[:])
}
