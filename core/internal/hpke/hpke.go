// Package hpke is HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256) or
// X-Wing, HKDF-SHA256 and ChaCha20Poly1305, for one message to a context: what a
// header needs, in constant time and, but for ML-KEM, without allocation. Start with
// [NewSender] and [NewRecipient], or [NewXWingSender] and [NewXWingRecipient].
//
// The bytes are those of crypto/hpke, which the tests compare with. What depends on
// the recipient's key alone is computed once.
package hpke

import (
	"crypto/rand"

	"ecoin/core/internal/hmac256"
	"ecoin/core/internal/x25519"
	"ecoin/core/internal/xwing"
)

// EncLen is the length of an encapsulated key in bytes.
const EncLen = 32

// Scratch is working memory. Its zero value is ready; one goroutine may use it at
// a time. Seal and Open clear it before they return.
type Scratch struct {
	ephemeral [32]byte
	dh        [32]byte // the Diffie-Hellman result, then what is derived from it
	xwing     xwing.Exchange
	mac       hmac256.Scratch
	macKey    hmac256.Key
	aead      aead
}

// wipe clears s.
func (s *Scratch) wipe() { *s = Scratch{} }

// A Sender seals for one public key. It does not change and is safe for concurrent
// use.
type Sender struct {
	exchanger exchanger
	schedule  schedule
	deriver   deriver
}

// NewSender returns a sender for the public key, which it copies.
func NewSender(public *[32]byte, info []byte) *Sender {
	k := &Sender{exchanger: newExchanger(public), schedule: newSchedule(public, info)}
	k.deriver = k.schedule.deriver()
	return k
}

// Seal sets dst to enc | ciphertext | tag, EncLen + len(plaintext) + TagLen bytes,
// under a fresh ephemeral key. It reports false, with dst as it was, when the
// public key is a point of low order. dst must not overlap the inputs.
func (k *Sender) Seal(dst []byte, s *Scratch, aad, plaintext []byte) bool {
	_, _ = rand.Read(s.ephemeral[:]) // never fails: crypto/rand ends the process instead
	return k.seal(dst, s, aad, plaintext)
}

// seal is Seal with the ephemeral key in s.
func (k *Sender) seal(dst []byte, s *Scratch, aad, plaintext []byte) bool {
	defer s.wipe()
	enc := (*[EncLen]byte)(dst)
	if !k.exchanger.one(enc, &s.dh, &s.ephemeral) {
		return false
	}
	k.schedule.run(s, enc)
	s.aead.seal(dst[EncLen:], plaintext, aad)
	return true
}

// A Recipient opens with one private key. It does not change and is safe for
// concurrent use. It is secret; its owner must not print it.
type Recipient struct {
	private  *x25519.Multiplier
	schedule schedule
	deriver  deriver
}

// NewRecipient returns a recipient with the private key, which it copies.
func NewRecipient(private *[32]byte, info []byte) *Recipient {
	var public [32]byte
	x25519.BaseMultiply(&public, private)
	k := &Recipient{private: x25519.NewMultiplier(private), schedule: newSchedule(&public, info)}
	k.deriver = k.schedule.deriver()
	return k
}

// Open sets dst to the plaintext of sealed, enc | ciphertext | tag, and reports
// whether it opened; if not, dst is as it was. dst has len(sealed) - EncLen - TagLen
// bytes and must not overlap the inputs. An enc of low order does not open.
func (k *Recipient) Open(dst []byte, s *Scratch, aad, sealed []byte) bool {
	defer s.wipe()
	enc := (*[EncLen]byte)(sealed)
	if !k.private.Multiply(&s.dh, enc) {
		return false
	}
	k.schedule.run(s, enc)
	return s.aead.open(dst, sealed[EncLen:], aad)
}
