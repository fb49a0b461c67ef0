// Package chapoly seals and opens up to sixteen short messages at once with
// ChaCha20-Poly1305 (RFC 8439), each under its own key and nonce. All have the length
// of an envelope's header: 48 bytes of plaintext, 12 of associated data, a tag of 16.
//
// Start with Seal and Open. The messages share the work, not the outcome: a forged one
// fails alone, and nothing about it changes another. Where Wide is false, everything
// here runs one message after the other and has no advantage over a one-by-one path.
package chapoly

import "unsafe"

// Lengths, in messages and in bytes.
const (
	Lanes        = 16
	PlaintextLen = 48
	AADLen       = 12
	TagLen       = 16
	SealedLen    = PlaintextLen + TagLen // ciphertext, then tag
)

// Keys holds the key and nonce of each lane, word-major as they leave a SHA-256 in
// sixteen lanes: Key[i][lane] is bytes 4i to 4i+3 of the lane's key, read as a
// little-endian number, and so for its nonce. It is secret; its owner clears it.
// Lanes without a message may hold anything.
type Keys struct {
	Key   [8][Lanes]uint32
	Nonce [3][Lanes]uint32
}

// Messages says where the parts of each message are. Lanes without a message may be
// nil. What Seal or Open writes overlaps nothing else that it is given.
type Messages struct {
	AAD    [Lanes]*[AADLen]byte
	Plain  [Lanes]*[PlaintextLen]byte
	Sealed [Lanes]*[SealedLen]byte
}

// Wide reports whether this machine has the instructions to share the work. Sixteen
// messages then take as long as two or three would one by one, and so does any number
// from three on.
func Wide() bool { return wide }

// Seal sets Sealed of the first n messages to their ciphertexts and tags. n is at
// most Lanes. It does not allocate. Composition: RFC 8439 section 2.8.
func Seal(s *Scratch, k *Keys, m *Messages, n int) {
	checkLanes(n)
	w := s.work()
	if wide && n >= minWide {
		sealWide(w, k, m, n)
	} else {
		sealGeneric(&w.one, k, m, n)
	}
	*w = work{}
}

// Open sets Plain of the first n messages to their plaintexts, and bit i of opened if
// message i has the right tag. Plain of one with a wrong tag becomes zeros. All tags
// are compared, in constant time, before anything is decrypted. n is at most Lanes.
// It does not allocate.
func Open(s *Scratch, k *Keys, m *Messages, n int) (opened uint16) {
	checkLanes(n)
	w := s.work()
	if wide && n >= minWide {
		opened = openWide(w, k, m, n)
	} else {
		opened = openGeneric(&w.one, k, m, n)
	}
	*w = work{}
	return opened
}

func checkLanes(n int) {
	if n < 0 || n > Lanes {
		panic("chapoly: number of messages out of range")
	}
}

// A Scratch is memory for one call of Seal or Open at a time. Its zero value is ready,
// and both leave it so: they wipe it before they return.
type Scratch struct {
	_    [0]uint64 // aligns as work
	area [unsafe.Sizeof(work{}) + register - 1]byte
}

const register = 64 // bytes: an access across such a boundary takes twice the time

// work returns the part of s that starts at a multiple of register. A stack that grows
// moves s, and may cost speed, not more: no instruction here insists on alignment.
func (s *Scratch) work() *work {
	start := unsafe.Pointer(&s.area)
	return (*work)(unsafe.Add(start, -uintptr(start)&(register-1)))
}

// work is what the routines keep in memory. A column has one 64-bit number for each
// lane of a half, in the order in which the assembly interleaves: half 0 has lanes 0, 1,
// 4, 5, 8, 9, 12 and 13, half 1 the rest. [2] of them are low and high 64 bits.
type work struct {
	polyKey [8][Lanes]uint32   // word-major: r, then s
	stream  [Lanes][64]byte    // by message; the first 48 bytes count
	factors [2][9][8]uint64    // of the MAC's multiplications: multiples of r
	tags    [2][2][8]uint64    // [lo, hi][half]
	want    [2][2][8]uint64    // tags that came with sealed messages
	right   [2][8]uint64       // all ones where tags and want agree
	blocks  [5][2][2][8]uint64 // what the MAC covers
	idle    struct {           // the message of lanes that have none
		aad    [AADLen]byte
		_      [4]byte
		plain  [PlaintextLen]byte
		sealed [SealedLen]byte
	}
	one oneLane
}
