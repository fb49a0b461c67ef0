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
	if err := r.checkReply(dst, plaintext); err != nil {
		return dst, err
	}
	out, iv := r.startReply(dst, len(plaintext))
	out = s.appendCBC(out, &sec.Coin, iv, plaintext)
	return s.appendTag(out, len(dst), r.Suite, KindReply, sec), nil
}

// checkReply checks the inputs of AppendReply.
func (r *Request) checkReply(dst, plaintext []byte) error {
	mustNotOverlap("plaintext", dst, plaintext)
	if r.Suite.HeaderLen() == 0 {
		return fmt.Errorf("%w: reply to a request of unknown %v", ErrFormat, r.Suite)
	}
	return checkPlaintext(len(plaintext))
}

// startReply makes room for a reply around n bytes of plaintext and appends what comes
// before the ciphertext. iv is the reply's own, in out.
func (r *Request) startReply(dst []byte, n int) (out []byte, iv *[len(IV{})]byte) {
	n = ciphertextLen(n)
	out = slices.Grow(dst, replyFixed+n)
	out = appendBound(out, r.Suite, KindReply, r.KeyID)
	out = binary.BigEndian.AppendUint32(out, uint32(n))
	out = out[:len(out)+len(iv)]
	iv = (*[len(IV{})]byte)(out[len(out)-len(iv):])
	_, _ = rand.Read(iv[:]) // never fails: crypto/rand ends the process instead
	return out, iv
}

// OpenReply appends the plaintext of the reply msg to dst. key and sec are those
// of the request that msg must answer. Anything else, be it another suite, key id,
// kind or length, a reply to another operation, or a request sent back, is
// ErrOpen, with dst returned as it was; nothing is decrypted before the MAC over
// the whole message is verified. dst needs as much spare capacity as the
// ciphertext is long, or it is reallocated; msg must not overlap that capacity.
func OpenReply(dst []byte, s *Scratch, key *PublicKey, sec *Secrets, msg []byte) ([]byte, error) {
	mustNotOverlap("msg", dst, msg)
	if !key.framesReply(msg) || !s.verifyTag(key.suite, KindReply, sec, msg) {
		return dst, ErrOpen
	}
	iv, ciphertext := cutReply(msg)
	return appendOpenCBC(dst, &s.aes, &sec.Coin, iv, ciphertext)
}

// framesReply reports whether msg has the prefix and the length of a reply to a
// request with key k.
func (k *PublicKey) framesReply(msg []byte) bool {
	if len(msg) < replyFixed {
		return false
	}
	bound := k.bound
	bound[2] = KindReply
	return [BoundLen]byte(msg) == bound && validLength(msg, replyFixed)
}

// cutReply returns the IV and the ciphertext of a reply that framesReply took.
func cutReply(msg []byte) (iv *[len(IV{})]byte, ciphertext []byte) {
	at := PrefixLen + len(iv)
	return (*[len(IV{})]byte)(msg[PrefixLen:at]), msg[at : len(msg)-TagLen]
}
