package hpke

import (
	"crypto/subtle"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 The full construction, package chacha20poly1305, allocates its AEAD for each key, and every header has its own key.
	"golang.org/x/crypto/poly1305"
)

// TagLen is the length of the tag that ends a ciphertext, in bytes.
const TagLen = poly1305.TagSize

// An aead is one use of ChaCha20-Poly1305 (RFC 8439 section 2.8): its key, its
// nonce, and memory to work in. It is secret; its owner clears it.
type aead struct {
	key   [chacha20.KeySize]byte
	nonce [chacha20.NonceSize]byte

	block   [64]byte // key stream block 0, whose first half is the Poly1305 key
	polyKey [32]byte
	tag     [TagLen]byte
	lengths [16]byte // of aad and ciphertext; not secret
}

// seal sets dst to the encryption of plaintext and its tag. dst has
// len(plaintext) + TagLen bytes, and overlaps plaintext entirely or not at all.
func (a *aead) seal(dst, plaintext, aad []byte) {
	stream, err := chacha20.NewUnauthenticatedCipher(a.key[:], a.nonce[:])
	if err != nil {
		panic("hpke: " + err.Error()) // the only errors are wrong lengths
	}
	a.setPolyKey(stream)
	ciphertext := dst[:len(plaintext)]
	stream.XORKeyStream(ciphertext, plaintext)
	*stream = chacha20.Cipher{}
	a.setTag(ciphertext, aad)
	copy(dst[len(plaintext):], a.tag[:])
}

// open sets dst to the plaintext of sealed, a ciphertext and its tag, if the tag
// is right, and reports whether it is; it decrypts nothing before. dst has
// len(sealed) - TagLen bytes, and overlaps sealed entirely or not at all.
func (a *aead) open(dst, sealed, aad []byte) bool {
	stream, err := chacha20.NewUnauthenticatedCipher(a.key[:], a.nonce[:])
	if err != nil {
		panic("hpke: " + err.Error()) // the only errors are wrong lengths
	}
	a.setPolyKey(stream)
	ciphertext, tag := sealed[:len(sealed)-TagLen], sealed[len(sealed)-TagLen:]
	a.setTag(ciphertext, aad)
	ok := subtle.ConstantTimeCompare(a.tag[:], tag) == 1
	if ok {
		stream.XORKeyStream(dst, ciphertext)
	}
	*stream = chacha20.Cipher{}
	return ok
}

// setPolyKey takes block 0 of the key stream.
func (a *aead) setPolyKey(stream *chacha20.Cipher) {
	clear(a.block[:])
	stream.XORKeyStream(a.block[:], a.block[:])
	copy(a.polyKey[:], a.block[:])
}

// setTag sets a.tag to the Poly1305 of aad and ciphertext, each padded with zeros
// to 16 bytes, and of their lengths.
func (a *aead) setTag(ciphertext, aad []byte) {
	var zeros [15]byte
	binary.LittleEndian.PutUint64(a.lengths[:8], uint64(len(aad)))
	binary.LittleEndian.PutUint64(a.lengths[8:], uint64(len(ciphertext)))

	mac := poly1305.New(&a.polyKey)
	_, _ = mac.Write(aad)
	_, _ = mac.Write(zeros[:-len(aad)&15])
	_, _ = mac.Write(ciphertext)
	_, _ = mac.Write(zeros[:-len(ciphertext)&15])
	_, _ = mac.Write(a.lengths[:])
	mac.Sum(a.tag[:0])
}
