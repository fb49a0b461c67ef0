package core

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A Request is a parsed request message. It aliases the message, which must not
// change while Open or AppendRecord may be called. The zero value opens nothing.
// Methods may run concurrently, each with its own Scratch and dst.
type Request struct {
	Suite Suite
	KeyID KeyID // the bank key that opens the header

	msg []byte // the whole message, of the length its prefix says
}

// ParseRequest checks the framing of msg, which must be one request and nothing
// else: version, suite, kind, zero byte, ciphertext length, total length. An error
// wraps ErrFormat and says what is wrong. Nothing is authenticated yet.
func ParseRequest(msg []byte) (Request, error) {
	s, id, err := checkBound(msg, KindRequest)
	if err != nil {
		return Request{}, err
	}
	if err := checkLength(msg, PrefixLen+s.HeaderLen()+TagLen); err != nil {
		return Request{}, err
	}
	return Request{Suite: s, KeyID: id, msg: msg}, nil
}

// AppendRecord appends the record to send to the bank, prefix[0:12] | header:
// Suite.RecordLen bytes, and none for the zero Request.
func (r *Request) AppendRecord(dst []byte) []byte {
	if r.msg == nil {
		return dst
	}
	mustNotOverlap("the request", dst, r.msg)
	dst = append(dst, r.msg[:BoundLen]...)
	return append(dst, r.msg[PrefixLen:PrefixLen+r.Suite.HeaderLen()]...)
}

// Open appends the plaintext of the request to dst. sec is what the bank found in
// the header. Every failure is ErrOpen, with dst returned as it was; nothing is
// decrypted before the MAC over the whole message is verified. dst needs as much
// spare capacity as the ciphertext is long, or it is reallocated; the message must
// not overlap that capacity.
func (r *Request) Open(dst []byte, s *Scratch, sec *Secrets) ([]byte, error) {
	mustNotOverlap("the request", dst, r.msg)
	if r.msg == nil || !s.verifyTag(r.Suite, KindRequest, sec, r.msg) {
		return dst, ErrOpen
	}
	return appendOpenCBC(dst, &s.aes, &sec.Coin, (*[16]byte)(&sec.IV), r.ciphertext())
}

func (r *Request) ciphertext() []byte {
	return r.msg[PrefixLen+r.Suite.HeaderLen() : len(r.msg)-TagLen]
}

// AppendRequest appends a request message: plaintext sealed under sec, with the
// header of record, which [PublicKey.AppendHeader] made from the same sec. (With
// another record the message is well-formed, and opens for nobody.)
//
// It appends PrefixLen + header + ciphertext + TagLen bytes, the ciphertext being
// plaintext padded by 1 to 16 bytes to a multiple of 16. A plaintext of more than
// MaxPlaintext bytes is an error that wraps ErrTooLong; a malformed record one
// that wraps ErrFormat. A coin and IV seal one request: never call AppendRequest
// with the same sec and another plaintext. record and plaintext must not overlap
// the spare capacity of dst.
func AppendRequest(dst []byte, s *Scratch, record []byte, sec *Secrets, plaintext []byte) ([]byte, error) {
	suite, err := checkRequest(dst, record, plaintext)
	if err != nil {
		return dst, err
	}
	out := startRequest(dst, suite, record, len(plaintext))
	out = s.appendCBC(out, &sec.Coin, (*[16]byte)(&sec.IV), plaintext)
	return s.appendTag(out, len(dst), suite, KindRequest, sec), nil
}

// checkRequest checks the inputs of AppendRequest.
func checkRequest(dst, record, plaintext []byte) (Suite, error) {
	mustNotOverlap("record", dst, record)
	mustNotOverlap("plaintext", dst, plaintext)
	suite, _, err := checkRecord(record)
	if err != nil {
		return 0, fmt.Errorf("record: %w", err)
	}
	return suite, checkPlaintext(len(plaintext))
}

// startRequest makes room for a request around n bytes of plaintext and appends what
// comes before the ciphertext.
func startRequest(dst []byte, suite Suite, record []byte, n int) []byte {
	n = ciphertextLen(n)
	out := slices.Grow(dst, PrefixLen+suite.HeaderLen()+n+TagLen)
	out = append(out, record[:BoundLen]...)
	out = binary.BigEndian.AppendUint32(out, uint32(n))
	return append(out, record[BoundLen:]...)
}

// appendTag appends the tag of the message that starts at out[start].
func (s *Scratch) appendTag(out []byte, start int, suite Suite, kind byte, sec *Secrets) []byte {
	s.computeTag(suite, kind, sec, out[start:])
	return append(out, s.tag[:]...)
}
