// Package xwing is the key encapsulation mechanism X-Wing, also called
// MLKEM768-X25519 (draft-connolly-cfrg-xwing-kem): ML-KEM-768 (FIPS 203) and X25519
// (RFC 7748) side by side, one secret made of both, safe as long as either is. Start
// with [NewPrivateKey] and [NewPublicKey].
//
// One encapsulation or decapsulation is three steps, so that whoever has many can do
// the second step for all of them in one call: the ML-KEM half of a key, then X25519,
// which the caller does with the key's X25519 half, then [Exchange.Combine].
//
// One rule is stricter than the draft: like HPKE with DHKEM (RFC 9180 section 7.1.4)
// and crypto/hpke, callers refuse an X25519 result of zero.
//
// ML-KEM is crypto/mlkem, in constant time. It allocates, and its state on the heap
// and in frames on the stack is outside our reach.
package xwing

import (
	"crypto/mlkem"
	"crypto/sha3"
	"errors"

	"ecoin/core/internal/x25519"
)

// Lengths in bytes.
const (
	SeedLen   = 32                                 // a private key
	PublicLen = mlkem.EncapsulationKeySize768 + 32 // ML-KEM's key | X25519's key
	EncLen    = mlkem.CiphertextSize768 + 32       // ML-KEM's ciphertext | X25519's ephemeral key
)

// label is XWingLabel of the draft, a drawing of an X-wing.
const label = `\./` + `/^\`

// An Exchange is the working memory of one encapsulation or decapsulation: the input
// of the combiner, ss_M | ss_X | ct_X | pk_X | label. Its zero value is ready; one
// goroutine may use it at a time. It is secret; its owner clears it.
type Exchange [4*32 + len(label)]byte

// X25519 is where the caller puts the Diffie-Hellman result: ss_X of the draft.
func (e *Exchange) X25519() *[32]byte { return (*[32]byte)(e[32:]) }

// mlkem is where ss_M goes.
func (e *Exchange) mlkem() *[32]byte { return (*[32]byte)(e[:]) }

// Combine sets shared to the shared secret, SHA3-256(ss_M | ss_X | ct_X | pk_X |
// label). Both halves are in e; enc is the whole encapsulated key and public the
// recipient's X25519 key.
func (e *Exchange) Combine(shared *[32]byte, enc *[EncLen]byte, public *[32]byte) {
	copy(e[2*32:], EncX25519(enc)[:])
	copy(e[3*32:], public[:])
	copy(e[4*32:], label)
	*shared = sha3.Sum256(e[:])
}

// EncX25519 is the X25519 half of an encapsulated key: ct_X, the sender's ephemeral
// public key. It aliases enc.
func EncX25519(enc *[EncLen]byte) *[32]byte {
	return (*[32]byte)(enc[mlkem.CiphertextSize768:])
}

// A PublicKey encapsulates. It does not change and is safe for concurrent use.
type PublicKey struct {
	mlkem  *mlkem.EncapsulationKey768
	x25519 [32]byte
}

// NewPublicKey returns the key encoded in b, which it copies. It refuses an ML-KEM
// key with a coefficient that is not reduced (FIPS 203 section 7.2), and an X25519
// half of low order.
func NewPublicKey(b *[PublicLen]byte) (*PublicKey, error) {
	key, err := mlkem.NewEncapsulationKey768(b[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return nil, errors.New("ML-KEM-768 half is not fully reduced")
	}
	k := &PublicKey{key, [32]byte(b[mlkem.EncapsulationKeySize768:])}
	var probe, product [32]byte // any clamped scalar takes a point of low order to zero
	if !x25519.Multiply(&product, &probe, &k.x25519) {
		return nil, errors.New("X25519 half is a point of low order")
	}
	return k, nil
}

// X25519 is the X25519 half of the key, which must not be written to.
func (k *PublicKey) X25519() *[32]byte { return &k.x25519 }

// EncapsulateMLKEM draws a secret into e and writes the ML-KEM half of enc.
func (k *PublicKey) EncapsulateMLKEM(e *Exchange, enc *[EncLen]byte) {
	shared, ciphertext := k.mlkem.Encapsulate()
	copy(enc[:], ciphertext)
	*e.mlkem() = [32]byte(shared)
	clear(shared)
}

// A PrivateKey decapsulates. It does not change and is safe for concurrent use. It is
// secret; its owner must not print it.
type PrivateKey struct {
	mlkem  *mlkem.DecapsulationKey768
	x25519 [32]byte
	public [PublicLen]byte
}

// NewPrivateKey returns the key that the draft's expandDecapsulationKey makes of
// seed, which it does not retain.
func NewPrivateKey(seed *[SeedLen]byte) *PrivateKey {
	expanded := sha3.SumSHAKE256(seed[:], mlkem.SeedSize+32)
	defer clear(expanded)
	key, err := mlkem.NewDecapsulationKey768(expanded[:mlkem.SeedSize])
	if err != nil {
		panic("xwing: " + err.Error()) // the only error is a wrong length
	}
	k := &PrivateKey{mlkem: key, x25519: [32]byte(expanded[mlkem.SeedSize:])}
	n := copy(k.public[:], key.EncapsulationKey().Bytes())
	x25519.BaseMultiply((*[32]byte)(k.public[n:]), &k.x25519)
	return k
}

// Public is the encoding of the public half, which must not be written to.
func (k *PrivateKey) Public() *[PublicLen]byte { return &k.public }

// X25519 is the X25519 half of the key, a scalar to be clamped, and its public key.
// Neither must be written to.
func (k *PrivateKey) X25519() (private, public *[32]byte) {
	return &k.x25519, (*[32]byte)(k.public[mlkem.EncapsulationKeySize768:])
}

// DecapsulateMLKEM sets the ML-KEM half of e from that of enc. It cannot fail: what
// is no encapsulation gives a secret that nobody else has (FIPS 203 section 6.3).
func (k *PrivateKey) DecapsulateMLKEM(e *Exchange, enc *[EncLen]byte) {
	shared, err := k.mlkem.Decapsulate(enc[:mlkem.CiphertextSize768])
	if err != nil {
		panic("xwing: " + err.Error()) // the only error is a wrong length
	}
	*e.mlkem() = [32]byte(shared)
	clear(shared)
}
