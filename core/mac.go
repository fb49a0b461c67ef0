package core

import "crypto/subtle"

const macInfo = "ecoin/v1 mac"

// A macKeyInfo is what HKDF-Expand makes the MAC key of a message from: its info, and
// the counter of the one block it takes.
type macKeyInfo [len(macInfo) + 2 + len(IV{}) + 1]byte

func (b *macKeyInfo) set(suite Suite, kind byte, iv *IV) {
	info := append(b[:0], macInfo...)
	info = append(info, byte(suite), kind)
	info = append(info, iv[:]...)
	_ = append(info, 1)
}

// computeTag sets s.tag to the MAC of authenticated, every byte of a message
// before its tag. The caller clears s.tag if the message turns out to be forged.
//
//	K   = HKDF-Expand-SHA256(coin, "ecoin/v1 mac" | suite | kind | request IV, 32)
//	tag = HMAC-SHA256(K, authenticated)
//
// 32 bytes are one block of HKDF-Expand (RFC 5869 section 2.3), a single HMAC of
// info | 0x01. It is written out because crypto/hkdf takes info as a string, which
// would leave a copy of the IV that cannot be cleared.
func (s *Scratch) computeTag(suite Suite, kind byte, sec *Secrets, authenticated []byte) {
	s.info.set(suite, kind, &sec.IV)
	s.hmacKey.Set(&s.hmac, sec.Coin[:])
	s.hmacKey.Sum(&s.hmac, &s.macKey, s.info[:])
	clear(s.info[:])
	s.hmacKey.Set(&s.hmac, s.macKey[:])
	clear(s.macKey[:])
	s.hmacKey.Sum(&s.hmac, &s.tag, authenticated)
	s.hmacKey.Wipe()
}

// verifyTag reports, in constant time, whether msg ends in the right tag. msg is
// at least TagLen bytes.
func (s *Scratch) verifyTag(suite Suite, kind byte, sec *Secrets, msg []byte) bool {
	n := len(msg) - TagLen
	s.computeTag(suite, kind, sec, msg[:n])
	ok := subtle.ConstantTimeCompare(s.tag[:], msg[n:]) == 1
	clear(s.tag[:]) // the right tag of a forged message would make it a good one
	return ok
}
