package core

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
)

// replyFixed is the length of a reply without its ciphertext.
const replyFixed = PrefixLen + len(IV{}) + TagLen

// AppendReply appends the reply to r: plaintext sealed under the coin of sec with
// a fresh random IV, and bound by its MAC to the request's IV. It needs no more of
// r than Suite and KeyID, so the message may be gone by then.
//
// It appends PrefixLen + 16 + ciphertext + TagLen bytes, the ciphertext being
// plaintext padded by 1 to 16 bytes to a multiple of 16. A plaintext of more than
// MaxPlaintext bytes is an error that wraps ErrTooLong, a Request of unknown suite
// (the zero value) one that wraps ErrFormat. plaintext must not overlap the spare
// capacity of dst.
func (r *Request) AppendReply(dst []byte, s *Scratch, sec *Secrets, plaintext []byte) ([]byte, error) {
	mustNotOverlap("plaintext", dst, plaintext)
	if r.Suite.HeaderLen() == 0 {
		return dst, fmt.Errorf("%w: reply to a request of unknown %v", ErrFormat, r.Suite)
	}
	if err := checkPlaintext(len(plaintext)); err != nil {
		return dst, err
	}
	n := ciphertextLen(len(plaintext))
	out := slices.Grow(dst, replyFixed+n)
	out = appendBound(out, r.Suite, KindReply, r.KeyID)
	out = binary.BigEndian.AppendUint32(out, uint32(n))
	out = out[:len(out)+len(IV{})]
	iv := out[len(out)-len(IV{}):]
	_, _ = rand.Read(iv) // never fails: crypto/rand ends the process instead
	out = appendCBC(out, &sec.Coin, iv, plaintext)
	return s.appendTag(out, len(dst), r.Suite, KindReply, sec), nil
}

// OpenReply appends the plaintext of the reply msg to dst. key and sec are those
// of the request that msg must answer. Anything else, be it another suite, key id,
// kind or length, a reply to another operation, or a request sent back, is
// ErrOpen, with dst returned as it was; nothing is decrypted before the MAC over
// the whole message is verified. dst needs as much spare capacity as the
// ciphertext is long, or it is reallocated; msg must not overlap that capacity.
func OpenReply(dst []byte, s *Scratch, key *PublicKey, sec *Secrets, msg []byte) ([]byte, error) {
	mustNotOverlap("msg", dst, msg)
	suite, id, err := checkBound(msg, KindReply)
	if err != nil || suite != key.suite || id != key.id {
		return dst, ErrOpen
	}
	if checkLength(msg, replyFixed) != nil {
		return dst, ErrOpen
	}
	if !s.verifyTag(suite, KindReply, sec, msg) {
		return dst, ErrOpen
	}
	iv, ciphertext := msg[PrefixLen:PrefixLen+len(IV{})], msg[PrefixLen+len(IV{}):len(msg)-TagLen]
	return appendOpenCBC(dst, &sec.Coin, iv, ciphertext)
}
