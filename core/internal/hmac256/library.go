package hmac256

import (
	"crypto/sha256"
	"encoding"
	"hash"
)

// maxShort is the longest message in bytes that is copied behind its pad and hashed
// in one call: what HPKE expands, with room.
const maxShort = 128

// Scratch is working memory. Its zero value is ready; one goroutine may use it at a
// time. Set and Sum clear what they put there.
type Scratch struct {
	buf  [blockSize + maxShort]byte
	long *long // made for the first long message, and only without saved states
}

// A long hashes a message in pieces. The hash.Hash makes all that it is given escape
// to the heap. So it gets copies that are there already, and neither a Scratch nor a
// message has to be.
type long struct {
	hash  hash.Hash
	empty []byte // the state of an empty hash, marshaled
	piece [1024]byte
}

func newLong() *long {
	l := &long{hash: sha256.New()}
	var err error
	if l.empty, err = l.hash.(encoding.BinaryAppender).AppendBinary(nil); err != nil {
		panic("hmac256: " + err.Error()) // a SHA-256 always marshals
	}
	return l
}

func (l *long) write(p []byte) {
	for len(p) > 0 {
		n := copy(l.piece[:], p)
		l.hash.Write(l.piece[:n])
		p = p[n:]
	}
}

// sum sets dst to the hash and clears l: loading a state replaces the part of a
// block that Reset would leave.
func (l *long) sum(dst []byte) {
	copy(dst, l.hash.Sum(l.piece[:0]))
	clear(l.piece[:])
	if err := l.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(l.empty); err != nil {
		panic("hmac256: " + err.Error())
	}
}

// sumLibrary is Sum by crypto/sha256.
func (k *Key) sumLibrary(s *Scratch, dst *[Size]byte, parts [][]byte) {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	pad := s.buf[:blockSize]
	copy(pad, k.block[:])
	xor(pad, padInner)
	hashed := s.buf[blockSize : blockSize+Size]
	if total <= maxShort {
		message := s.buf[blockSize:blockSize]
		for _, p := range parts {
			message = append(message, p...)
		}
		sum := sha256.Sum256(s.buf[:blockSize+total])
		copy(hashed, sum[:])
		clear(sum[:])
	} else {
		if s.long == nil {
			s.long = newLong()
		}
		s.long.write(pad)
		for _, p := range parts {
			s.long.write(p)
		}
		s.long.sum(hashed)
	}
	xor(pad, padInner^padOuter)
	*dst = sha256.Sum256(s.buf[:blockSize+Size])
	clear(s.buf[:])
}
