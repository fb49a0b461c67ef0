package hpke

import "encoding/binary"

// A Prepared is one ephemeral key whose work is done: nothing is left to do for a
// message but to encrypt it. The message enters neither the KEM nor the key schedule.
// It is secret, and good for one message.
type Prepared struct {
	enc   [EncLen]byte
	key   [32]byte
	nonce [12]byte
}

// Prepare makes up to Batch prepared keys. It reports false when the public key is a
// point of low order.
func (k *Sender) Prepare(s *ManyScratch, to []Prepared) bool {
	defer s.wipe(len(to))
	if !k.exchanger.many(s, len(to)) {
		return false
	}
	k.deriver.each(s, len(to), func(i int) {
		to[i] = Prepared{s.enc[i], s.one.aead.key, s.one.aead.nonce}
	}, func(start, end int) {
		for i := range to[start:end] {
			p := &to[start+i]
			p.enc = s.enc[start+i]
			for w := range s.keys.Key {
				binary.LittleEndian.PutUint32(p.key[4*w:], s.keys.Key[w][i])
			}
			for w := range s.keys.Nonce {
				binary.LittleEndian.PutUint32(p.nonce[4*w:], s.keys.Nonce[w][i])
			}
		}
	})
	return true
}

// Seal sets dst to enc | ciphertext | tag and wipes p. dst must not overlap the inputs.
// A p that is wiped panics: its key is one that everybody has.
func (p *Prepared) Seal(dst []byte, s *Scratch, aad, plaintext []byte) {
	if p.enc == ([EncLen]byte{}) { // no key has this point
		panic("hpke: a prepared key is used a second time")
	}
	copy(dst, p.enc[:])
	s.aead.key, s.aead.nonce = p.key, p.nonce
	*p = Prepared{}
	s.aead.seal(dst[EncLen:], plaintext, aad)
	s.aead = aead{}
}
