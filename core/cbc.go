package core

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"slices"
)

// ciphertextLen returns the length of n plaintext bytes after padding: PKCS#7
// adds 1 to 16 bytes.
func ciphertextLen(n int) int { return (n/aes.BlockSize + 1) * aes.BlockSize }

func checkPlaintext(n int) error {
	if n > MaxPlaintext {
		return fmt.Errorf("%w: %d bytes, at most %d fit one message", ErrTooLong, n, MaxPlaintext)
	}
	return nil
}

// appendCBC appends the AES-256-CBC encryption of plaintext with PKCS#7 padding,
// ciphertextLen(len(plaintext)) bytes.
func appendCBC(dst []byte, coin *Coin, iv, plaintext []byte) []byte {
	start, n := len(dst), ciphertextLen(len(plaintext))
	dst = slices.Grow(dst, n)[:start+n]
	body := dst[start:]
	pad := body[copy(body, plaintext):]
	for i := range pad {
		pad[i] = byte(len(pad))
	}
	cipher.NewCBCEncrypter(newAES(coin[:]), iv).CryptBlocks(body, body)
	return dst
}

// appendOpenCBC appends the plaintext of ciphertext, whose MAC has been verified.
// Bad padding is ErrOpen, with dst returned as it was and what was decrypted
// cleared. ciphertext is a positive multiple of 16 bytes.
func appendOpenCBC(dst []byte, coin *Coin, iv, ciphertext []byte) ([]byte, error) {
	start, n := len(dst), len(ciphertext)
	out := slices.Grow(dst, n)[:start+n]
	body := out[start:]
	cipher.NewCBCDecrypter(newAES(coin[:]), iv).CryptBlocks(body, ciphertext)
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
	last := b[len(b)-1]
	n := int(last)
	ok := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, aes.BlockSize)
	for i := range aes.BlockSize {
		outside := subtle.ConstantTimeLessOrEq(n, i)
		ok &= outside | subtle.ConstantTimeByteEq(b[len(b)-1-i], last)
	}
	return subtle.ConstantTimeSelect(ok, n, 0)
}

// newAES returns AES-256; key is 32 bytes.
func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("core: " + err.Error()) // the only error is a wrong key length
	}
	return block
}
