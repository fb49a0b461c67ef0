package hpke

import (
	"encoding/binary"
	"math/bits"

	"ecoin/core/internal/chapoly"
	"ecoin/core/internal/sha2"
)

const lanes = sha2.LaneCount

// words are one block of SHA-256 in each lane.
type words [16][lanes]uint32

// A laneSchedule is a schedule for sixteen messages at once: the same HMACs, each
// compression of SHA-256 in all lanes. It holds every block and state that does not
// depend on the message, in all lanes alike, about 9 kB.
type laneSchedule struct {
	start          sha2.Lanes // SHA-256's initial state
	inner, outer   sha2.Lanes // of the HMAC without a salt
	eaePRK         [64]byte   // the message of eae_prk, but for the Diffie-Hellman result
	sharedSecret   [128]byte  // the message of shared_secret, but for enc
	secret         words
	key, baseNonce [2]words
}

// Where the variable parts are in the messages above: after version, KEM and label,
// for shared_secret after the length too.
const (
	dhAt  = len(version) + len(kemID) + len("eae_prk")
	encAt = 2 + len(version) + len(kemID) + len("shared_secret")
)

// newLaneSchedule returns the schedule for lanes of k and its KEM part kem, which is
// nil for a KEM that gives its shared secret itself.
func newLaneSchedule(kem *schedule, k *keySchedule) *laneSchedule {
	l := new(laneSchedule)
	l.start = broadcast(sha2.Init())
	l.inner = broadcast(padState(0x36))
	l.outer = broadcast(padState(0x5c))
	if kem != nil {
		copy(l.eaePRK[:], padded(kem.eaePRK, make([]byte, 32)))
		copy(l.sharedSecret[:], padded(kem.sharedSecret, make([]byte, 32), kem.public))
	}
	toWords([]*words{&l.secret}, padded(k.secret))
	toWords([]*words{&l.key[0], &l.key[1]}, padded(k.key))
	toWords([]*words{&l.baseNonce[0], &l.baseNonce[1]}, padded(k.baseNonce))
	return l
}

// padState returns the state after the pad of a key of zeros.
func padState(pad byte) sha2.State {
	var block [sha2.BlockSize]byte
	for i := range block {
		block[i] = pad
	}
	st := sha2.Init()
	sha2.Block(&st, block[:])
	return st
}

func broadcast(st sha2.State) (l sha2.Lanes) {
	for lane := range lanes {
		l.Set(lane, &st)
	}
	return l
}

// padded returns the parts with SHA-256's padding (FIPS 180-4 section 5.1.1), one block
// having gone before: the pad of an HMAC's key.
func padded(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	n := sha2.BlockSize + len(b)
	for b = append(b, 0x80); len(b)%sha2.BlockSize != sha2.BlockSize-8; {
		b = append(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(n)*8)
}

// toWords writes b, in all lanes alike, to as many blocks as it has.
func toWords(to []*words, b []byte) {
	if len(b) != len(to)*sha2.BlockSize {
		panic("hpke: a message of another length")
	}
	for i := range len(b) / 4 {
		w := binary.BigEndian.Uint32(b[4*i:])
		for lane := range lanes {
			to[i/16][i%16][lane] = w
		}
	}
}

// A laneScratch is what laneSchedule works with. It is secret; its owner clears it.
type laneScratch struct {
	state, inner, outer sha2.Lanes
	block               words
	bytes               [lanes][128]byte
}

// extract leaves the KEM's shared secrets of up to sixteen messages in s.state, from
// their Diffie-Hellman results and points. Lanes without a message get secrets that
// mean nothing.
func (l *laneSchedule) extract(s *laneScratch, dh, enc [][32]byte) {
	// eae_prk
	for i := range lanes {
		copy(s.bytes[i][:], l.eaePRK[:])
		if i < len(dh) {
			copy(s.bytes[i][dhAt:], dh[i][:])
		}
	}
	s.state = l.inner
	s.blocks(1)
	s.finish(&l.outer)

	// shared_secret
	s.setKey(l)
	for i := range lanes {
		copy(s.bytes[i][:], l.sharedSecret[:])
		if i < len(enc) {
			copy(s.bytes[i][encAt:], enc[i][:])
		}
	}
	s.state = s.inner
	s.blocks(2)
	s.finish(&s.outer)
}

// load sets s.state to shared secrets that a KEM made itself.
func (s *laneScratch) load(shared [][32]byte) {
	for lane := range shared {
		for i := range s.state {
			s.state[i][lane] = binary.BigEndian.Uint32(shared[lane][4*i:])
		}
	}
}

// expand sets keys from the shared secrets in s.state.
func (l *laneSchedule) expand(s *laneScratch, keys *chapoly.Keys) {
	s.setKey(l)
	s.state = s.inner
	sha2.BlockWords(&s.state, (*[16][lanes]uint32)(&l.secret))
	s.finish(&s.outer)

	s.setKey(l)
	s.derive(keys.Key[:], &l.key)
	s.derive(keys.Nonce[:], &l.baseNonce)
}

// blocks compresses n blocks of s.bytes into the state.
func (s *laneScratch) blocks(n int) {
	var p [lanes]*byte
	for i := range p {
		p[i] = &s.bytes[i][0]
	}
	sha2.BlockLanes(&s.state, &p, n)
}

// setKey makes the state the key of the HMACs that follow.
func (s *laneScratch) setKey(l *laneSchedule) {
	s.setPad(&s.inner, l, 0x36363636)
	s.setPad(&s.outer, l, 0x5c5c5c5c)
}

func (s *laneScratch) setPad(to *sha2.Lanes, l *laneSchedule, pad uint32) {
	for i := range s.state {
		for lane, w := range s.state[i] {
			s.block[i][lane] = w ^ pad
		}
	}
	for i := len(s.state); i < len(s.block); i++ {
		for lane := range lanes {
			s.block[i][lane] = pad
		}
	}
	*to = l.start
	sha2.BlockWords(to, (*[16][lanes]uint32)(&s.block))
}

// finish completes an HMAC: the state is the inner hash at first, the result then.
func (s *laneScratch) finish(outer *sha2.Lanes) {
	copy(s.block[:], s.state[:])
	clear(s.block[8:])
	for lane := range lanes {
		s.block[8][lane] = 0x80000000
		s.block[15][lane] = 8 * (sha2.BlockSize + 32)
	}
	s.state = *outer
	sha2.BlockWords(&s.state, (*[16][lanes]uint32)(&s.block))
}

// derive sets to to the HMAC of a message of two blocks, as ChaCha20 reads it.
func (s *laneScratch) derive(to [][lanes]uint32, message *[2]words) {
	s.state = s.inner
	for i := range message {
		sha2.BlockWords(&s.state, (*[16][lanes]uint32)(&message[i]))
	}
	s.finish(&s.outer)
	for i := range to {
		for lane, w := range s.state[i] {
			to[i][lane] = bits.ReverseBytes32(w)
		}
	}
}
