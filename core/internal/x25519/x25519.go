// Package x25519 is the function X25519 of RFC 7748 section 5, in constant time
// and without allocation.
//
// crypto/ecdh computes the same and is what the tests compare with. It allocates
// three times for each shared secret, and takes the slow way for public keys. The
// arithmetic here is that of two maintained libraries, each where it is the faster:
// circl climbs the Montgomery ladder, filippo.io/edwards25519 has tables of the base
// point. Both select by masks, never by a branch or an address. What they keep in
// their frames on the stack is outside our reach, as it is with crypto/ecdh.
package x25519

import (
	"crypto/subtle"

	"filippo.io/edwards25519"
	"github.com/cloudflare/circl/dh/x25519"
)

// Multiply sets dst to X25519(k, u) and reports whether it is not all zero, in
// constant time. It is all zero exactly when u is a point of low order, which RFC
// 9180 section 7.1.4 has refused. The top bit of u is ignored, and u need not be
// reduced. dst may be k or u.
func Multiply(dst, k, u *[32]byte) bool {
	// Shared also reports low order, by a list of such points; the RFC wants the
	// result looked at.
	x25519.Shared((*x25519.Key)(dst), (*x25519.Key)(k), (*x25519.Key)(u))
	var zero [32]byte
	return subtle.ConstantTimeCompare(dst[:], zero[:]) == 0
}

// BaseMultiply sets dst to X25519(k, 9), the public key of k. It multiplies the
// base point of edwards25519 and maps the product to curve25519 (RFC 7748 section
// 4.1). dst may be k.
func BaseMultiply(dst, k *[32]byte) {
	var scalar edwards25519.Scalar
	var point edwards25519.Point
	if _, err := scalar.SetBytesWithClamping(k[:]); err != nil {
		panic("x25519: " + err.Error()) // the only error is a wrong length
	}
	copy(dst[:], point.ScalarBaseMult(&scalar).BytesMontgomery())
	scalar = edwards25519.Scalar{}
}
