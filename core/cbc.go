package core

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"

	"ecoin/core/internal/cbc"
)

// ciphertextLen returns the length of n plaintext bytes after padding: PKCS#7
// adds 1 to 16 bytes.
func ciphertextLen(n int) int { return (n/cbc.BlockSize + 1) * cbc.BlockSize }

func checkPlaintext(n int) error {
	if n > MaxPlaintext {
		return fmt.Errorf("%w: %d bytes, at most %d fit one message", ErrTooLong, n, MaxPlaintext)
	}
	return nil
}

// appendPadded appends plaintext with its PKCS#7 padding, ciphertextLen(len(plaintext))
// bytes, and returns the slice and what was appended.
func appendPadded(dst, plaintext []byte) (out, body []byte) {
	start, n := len(dst), ciphertextLen(len(plaintext))
	out = slices.Grow(dst, n)[:start+n]
	body = out[start:]
	pad := body[copy(body, plaintext):]
	for i := range pad {
		pad[i] = byte(len(pad))
	}
	return out, body
}

// appendCBC appends the AES-256-CBC encryption of plaintext with PKCS#7 padding.
func (s *Scratch) appendCBC(dst []byte, coin *Coin, iv *[cbc.BlockSize]byte, plaintext []byte) []byte {
	out, body := appendPadded(dst, plaintext)
	s.aes.Expand((*[32]byte)(coin))
	s.aes.Encrypt(body, body, iv)
	s.aes.Wipe()
	return out
}

// appendOpenCBC appends the plaintext of ciphertext, whose MAC has been verified.
// Bad padding is ErrOpen, with dst returned as it was and what was decrypted
// cleared. ciphertext is a positive multiple of 16 bytes.
func appendOpenCBC(dst []byte, aes *cbc.Schedule, coin *Coin, iv *[cbc.BlockSize]byte, ciphertext []byte) ([]byte, error) {
	start, n := len(dst), len(ciphertext)
	out := slices.Grow(dst, n)[:start+n]
	body := out[start:]
	aes.Expand((*[32]byte)(coin))
	aes.Decrypt(body, ciphertext, iv)
	aes.Wipe()
	pad := paddingLen(body)
	if pad == 0 {
		clear(body)
		return dst, ErrOpen
	}
	clear(body[n-pad:])
	return out[:start+n-pad], nil
}

// paddingLen returns the length of the PKCS#7 padding that ends b, 1 to 16, or 0
// if it is not valid. Neither branches nor memory addresses depend on the content
// of b. len(b) is at least 16.
func paddingLen(b []byte) int {
	end := b[len(b)-cbc.BlockSize:]
	high, low := binary.BigEndian.Uint64(end[:8]), binary.BigEndian.Uint64(end[8:])
	n := int(end[15])
	ok := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, cbc.BlockSize)

	// The last n bytes of the block have to be n: n's bits in every byte, where the mask
	// of the last 8n bits is set. A shift by 64 or more gives 0, which is as it should be.
	all := uint64(n) * 0x0101010101010101
	inHigh := subtle.ConstantTimeSelect(subtle.ConstantTimeLessOrEq(8, n), n-8, 0)
	bad := (low^all)&(1<<uint(8*n)-1) | (high^all)&(1<<uint(8*inHigh)-1)
	ok &= subtle.ConstantTimeEq(int32(bad|bad>>32), 0) // bad|bad>>32 has a bit of each half
	return subtle.ConstantTimeSelect(ok, n, 0)
}
