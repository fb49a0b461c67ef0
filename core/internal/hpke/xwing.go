package hpke

import (
	"crypto/rand"
	"sync"

	"ecoin/core/internal/x25519"
	"ecoin/core/internal/xwing"
)

// XWingEncLen is the length of an encapsulated key of X-Wing in bytes.
const XWingEncLen = xwing.EncLen

// An XWingSender is a Sender with KEM X-Wing, 0x647a. It does not change and is safe
// for concurrent use.
type XWingSender struct {
	public    *xwing.PublicKey
	exchanger exchanger // with its X25519 half
	schedule  keySchedule
	deriver   deriver
}

// NewXWingSender returns a sender for the public key.
func NewXWingSender(public *xwing.PublicKey, info []byte) *XWingSender {
	k := &XWingSender{public: public, exchanger: newExchanger(public.X25519()), schedule: newKeySchedule(xwingID, info)}
	k.deriver = k.schedule.xwingDeriver()
	return k
}

// xwingDeriver returns a deriver that has the KEM's shared secrets to begin with.
func (k *keySchedule) xwingDeriver() deriver {
	return deriver{
		schedule: k, encLen: XWingEncLen,
		lanes: sync.OnceValue(func() *laneSchedule { return newLaneSchedule(nil, k) }),
	}
}

// Seal sets dst to enc | ciphertext | tag, XWingEncLen + len(plaintext) + TagLen
// bytes, under a fresh ephemeral key. It reports false when the public key's X25519
// half is a point of low order; dst is then of no use. dst must not overlap the
// inputs.
func (k *XWingSender) Seal(dst []byte, s *Scratch, aad, plaintext []byte) bool {
	_, _ = rand.Read(s.ephemeral[:]) // never fails: crypto/rand ends the process instead
	k.public.EncapsulateMLKEM(&s.xwing, (*[XWingEncLen]byte)(dst))
	return k.seal(dst, s, aad, plaintext)
}

// seal is Seal with the ephemeral X25519 key in s and the ML-KEM half done.
func (k *XWingSender) seal(dst []byte, s *Scratch, aad, plaintext []byte) bool {
	defer s.wipe()
	enc := (*[XWingEncLen]byte)(dst)
	if !k.exchanger.one(xwing.EncX25519(enc), s.xwing.X25519(), &s.ephemeral) {
		return false
	}
	s.xwing.Combine(&s.dh, enc, k.public.X25519())
	k.schedule.runShared(s)
	s.aead.seal(dst[XWingEncLen:], plaintext, aad)
	return true
}

// SealMany is Sender.SealMany.
func (k *XWingSender) SealMany(s *ManyScratch, msgs []Message) bool {
	n := len(msgs)
	defer s.wipe(n)
	if !k.exchanger.many(s, n) {
		return false
	}
	e := &s.one.xwing
	for i := range msgs {
		enc := (*[XWingEncLen]byte)(msgs[i].Sealed)
		*xwing.EncX25519(enc), *e.X25519() = s.enc[i], s.dh[i]
		k.public.EncapsulateMLKEM(e, enc)
		e.Combine(&s.dh[i], enc, k.public.X25519())
	}
	k.deriver.seal(s, msgs)
	return true
}

// An XWingRecipient is a Recipient with KEM X-Wing. It does not change and is safe
// for concurrent use. It is secret; its owner must not print it.
type XWingRecipient struct {
	private  *xwing.PrivateKey
	public   *[32]byte // its X25519 half's
	x25519   *x25519.Multiplier
	schedule keySchedule
	deriver  deriver
}

// NewXWingRecipient returns a recipient with the private key.
func NewXWingRecipient(private *xwing.PrivateKey, info []byte) *XWingRecipient {
	scalar, public := private.X25519()
	k := &XWingRecipient{
		private: private, public: public,
		x25519: x25519.NewMultiplier(scalar), schedule: newKeySchedule(xwingID, info),
	}
	k.deriver = k.schedule.xwingDeriver()
	return k
}

// Open sets dst to the plaintext of sealed, enc | ciphertext | tag, and reports
// whether it opened; if not, dst is as it was. dst has len(sealed) - XWingEncLen -
// TagLen bytes and must not overlap the inputs. An enc whose X25519 half is of low
// order does not open.
func (k *XWingRecipient) Open(dst []byte, s *Scratch, aad, sealed []byte) bool {
	defer s.wipe()
	enc := (*[XWingEncLen]byte)(sealed)
	if !k.x25519.Multiply(s.xwing.X25519(), xwing.EncX25519(enc)) {
		return false
	}
	k.private.DecapsulateMLKEM(&s.xwing, enc)
	s.xwing.Combine(&s.dh, enc, k.public)
	k.schedule.runShared(s)
	return s.aead.open(dst, sealed[XWingEncLen:], aad)
}

// OpenMany is Recipient.OpenMany.
func (k *XWingRecipient) OpenMany(s *ManyScratch, msgs []Message) {
	n := len(msgs)
	for i := range msgs {
		s.enc[i] = *xwing.EncX25519((*[XWingEncLen]byte)(msgs[i].Sealed))
	}
	k.x25519.MultiplyMany(&s.x25519, s.dh[:n], s.ok[:n], s.enc[:n])
	e := &s.one.xwing
	for i := range msgs {
		enc := (*[XWingEncLen]byte)(msgs[i].Sealed)
		*e.X25519() = s.dh[i]
		k.private.DecapsulateMLKEM(e, enc)
		e.Combine(&s.dh[i], enc, k.public)
	}
	k.deriver.open(s, msgs)
	s.wipe(n)
}
