package core

import (
	"crypto/aes"
	"encoding/binary"
	"fmt"
)

// Sizes are in bytes.
const (
	Version     = 1 // first byte of every message and record
	KindRequest = 1 // third byte of a request and of a record
	KindReply   = 2 // third byte of a reply

	PrefixLen = 16 // clear bytes that start every message
	BoundLen  = 12 // first bytes of the prefix, the ones a header is bound to
	TagLen    = 32 // HMAC-SHA256 tag that ends every message

	MaxCiphertext = 16 << 20          // longest payload, padding included
	MaxPlaintext  = MaxCiphertext - 1 // longest plaintext: the padding takes a byte
)

// appendBound appends prefix[0:12] to dst.
func appendBound(dst []byte, s Suite, kind byte, id KeyID) []byte {
	dst = append(dst, Version, byte(s), kind, 0)
	return append(dst, id[:]...)
}

// checkBound checks the first 12 bytes of a message or record of the given kind
// and returns what they name. b may be of any length.
func checkBound(b []byte, kind byte) (Suite, KeyID, error) {
	if len(b) < BoundLen {
		return 0, KeyID{}, fmt.Errorf("%w: %d bytes, too short for a prefix", ErrFormat, len(b))
	}
	if b[0] != Version {
		return 0, KeyID{}, fmt.Errorf("%w: version %d, this program speaks version %d", ErrFormat, b[0], Version)
	}
	s := Suite(b[1])
	if s.HeaderLen() == 0 {
		return 0, KeyID{}, fmt.Errorf("%w: unknown %v", ErrFormat, s)
	}
	if b[2] != kind {
		return 0, KeyID{}, fmt.Errorf("%w: kind %d, want %d", ErrFormat, b[2], kind)
	}
	if b[3] != 0 {
		return 0, KeyID{}, fmt.Errorf("%w: byte 3 is %d, want 0", ErrFormat, b[3])
	}
	return s, KeyID(b[4:BoundLen]), nil
}

// checkLength checks that a message of fixed bytes around its ciphertext has a
// valid ciphertext length, and exactly the length that follows from it. b has
// passed checkBound.
func checkLength(b []byte, fixed int) error {
	if len(b) < PrefixLen {
		return fmt.Errorf("%w: %d bytes, too short for a prefix", ErrFormat, len(b))
	}
	n, ok := claimedLength(b)
	if !ok {
		return fmt.Errorf("%w: ciphertext of %d bytes, want a multiple of 16 from 16 to %d", ErrFormat, n, MaxCiphertext)
	}
	if want := fixed + int(n); len(b) != want {
		return fmt.Errorf("%w: message of %d bytes, its prefix says %d", ErrFormat, len(b), want)
	}
	return nil
}

// claimedLength returns the ciphertext length that a prefix has, and whether it can be
// one.
func claimedLength(b []byte) (n uint32, ok bool) {
	n = binary.BigEndian.Uint32(b[BoundLen:PrefixLen])
	return n, n >= aes.BlockSize && n <= MaxCiphertext && n%aes.BlockSize == 0
}

// validLength is checkLength without an error, which would be an allocation.
func validLength(b []byte, fixed int) bool {
	n, ok := claimedLength(b)
	return ok && len(b) == fixed+int(n)
}

// CutRecord cuts the first record off b, what an analyst sends to the bank for
// one operation: prefix[0:12] | header. Both results alias b. A wrong version,
// suite, kind or zero byte, and too few bytes, are an error that wraps ErrFormat.
// It says nothing about whether the header opens.
func CutRecord(b []byte) (record, rest []byte, err error) {
	s, _, err := checkBound(b, KindRequest)
	if err != nil {
		return nil, nil, err
	}
	n := s.RecordLen()
	if len(b) < n {
		return nil, nil, fmt.Errorf("%w: %d bytes, a record of suite %v has %d", ErrFormat, len(b), s, n)
	}
	return b[:n:n], b[n:], nil
}

// checkRecord checks that b is one record and nothing else.
func checkRecord(b []byte) (Suite, KeyID, error) {
	s, id, err := checkBound(b, KindRequest)
	if err != nil {
		return 0, KeyID{}, err
	}
	if n := s.RecordLen(); len(b) != n {
		return 0, KeyID{}, fmt.Errorf("%w: %d bytes, a record of suite %v has %d", ErrFormat, len(b), s, n)
	}
	return s, id, nil
}
