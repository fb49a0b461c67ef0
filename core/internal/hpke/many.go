package hpke

import (
	"sync"

	"ecoin/core/internal/chapoly"
	"ecoin/core/internal/sha2"
	"ecoin/core/internal/x25519"
)

// Batch is the number of messages that OpenMany and SealMany take at most.
const Batch = x25519.Batch

// A Message is one of a batch. Sealed is enc | ciphertext | tag, of the length that the
// KEM gives it.
type Message struct {
	AAD    *[chapoly.AADLen]byte
	Plain  *[chapoly.PlaintextLen]byte
	Sealed []byte
	OK     bool
}

// A ManyScratch is the working memory of a batch, 67 kB. Its zero value is ready;
// one goroutine may use it at a time. Calls clear it before they return.
type ManyScratch struct {
	x25519   x25519.Scratch
	one      Scratch
	points   [Batch][32]byte // peers' points; when sealing, the ephemeral keys
	enc      [Batch][32]byte // encapsulated points
	dh       [Batch][32]byte // Diffie-Hellman results, or the KEM's shared secrets
	ok       [Batch]bool
	lanes    laneScratch
	keys     chapoly.Keys
	messages chapoly.Messages
	chapoly  chapoly.Scratch
}

// lanesFrom is the number of messages from which sixteen lanes are faster than one key
// schedule after the other. With instructions for SHA-256 a schedule takes a sixth of
// the time that sixteen lanes take, without them half.
var lanesFrom = func() int {
	switch {
	case !sha2.Wide() || !chapoly.Wide():
		return lanes + 1
	case sha2.Native():
		return 6
	}
	return 2
}()

// OpenMany opens up to Batch messages. It sets OK and, where that is true, Plain; other
// Plains become zero. A message that does not open changes nothing for the others.
// Plain overlaps nothing else.
func (k *Recipient) OpenMany(s *ManyScratch, msgs []Message) {
	n := len(msgs)
	for i := range msgs {
		s.enc[i] = [EncLen]byte(msgs[i].Sealed)
	}
	k.private.MultiplyMany(&s.x25519, s.dh[:n], s.ok[:n], s.enc[:n])
	k.deriver.open(s, msgs)
	s.wipe(n)
}

// SealMany seals up to Batch messages, each under its own fresh ephemeral key. It
// reports false, and then leaves no message of use, when the public key is a point of
// low order. Sealed overlaps nothing else.
func (k *Sender) SealMany(s *ManyScratch, msgs []Message) bool {
	n := len(msgs)
	defer s.wipe(n)
	if !k.exchanger.many(s, n) {
		return false
	}
	for i := range msgs {
		copy(msgs[i].Sealed, s.enc[i][:])
	}
	k.deriver.seal(s, msgs)
	return true
}

// A deriver is the part of a sender or recipient that goes from the results of its KEM
// to messages: for X25519 the Diffie-Hellman results in s.dh and the points in s.enc,
// for X-Wing the shared secrets in s.dh.
type deriver struct {
	schedule *keySchedule
	x25519   *schedule // nil for X-Wing
	encLen   int
	lanes    func() *laneSchedule // made when the first batch comes: a device has none
}

func (k *schedule) deriver() deriver {
	return deriver{
		schedule: &k.keySchedule, x25519: k, encLen: EncLen,
		lanes: sync.OnceValue(func() *laneSchedule { return newLaneSchedule(k, &k.keySchedule) }),
	}
}

// one derives the key of message i into s.one.
func (d *deriver) one(s *ManyScratch, i int) {
	s.one.dh = s.dh[i]
	if d.x25519 != nil {
		d.x25519.run(&s.one, &s.enc[i])
	} else {
		d.schedule.runShared(&s.one)
	}
}

// many derives the keys of up to sixteen messages, from start on, into s.keys.
func (d *deriver) many(s *ManyScratch, start, end int) {
	l := d.lanes()
	if d.x25519 != nil {
		l.extract(&s.lanes, s.dh[start:end], s.enc[start:end])
	} else {
		s.lanes.load(s.dh[start:end])
	}
	l.expand(&s.lanes, &s.keys)
}

// each derives the keys of n messages and calls one for each message i, with its key in
// s.one.aead, or many for up to sixteen messages, from start to end, with their keys in
// s.keys: whichever is faster.
func (d *deriver) each(s *ManyScratch, n int, one func(i int), many func(start, end int)) {
	for start := 0; start < n; start += lanes {
		end := min(start+lanes, n)
		if end-start >= lanesFrom {
			d.many(s, start, end)
			many(start, end)
			continue
		}
		for i := start; i < end; i++ {
			d.one(s, i)
			one(i)
		}
	}
}

func (d *deriver) open(s *ManyScratch, msgs []Message) {
	d.each(s, len(msgs), func(i int) {
		m := &msgs[i]
		m.OK = s.one.aead.open(m.Plain[:], m.Sealed[d.encLen:], m.AAD[:])
	}, func(start, end int) {
		group := msgs[start:end]
		s.point(d.encLen, group)
		opened := chapoly.Open(&s.chapoly, &s.keys, &s.messages, len(group))
		for i := range group {
			group[i].OK = opened>>i&1 == 1
		}
	})
	for i := range msgs {
		m := &msgs[i]
		if m.OK = m.OK && s.ok[i]; !m.OK {
			*m.Plain = [chapoly.PlaintextLen]byte{}
		}
	}
}

func (d *deriver) seal(s *ManyScratch, msgs []Message) {
	d.each(s, len(msgs), func(i int) {
		m := &msgs[i]
		s.one.aead.seal(m.Sealed[d.encLen:], m.Plain[:], m.AAD[:])
	}, func(start, end int) {
		s.point(d.encLen, msgs[start:end])
		chapoly.Seal(&s.chapoly, &s.keys, &s.messages, end-start)
	})
}

// point tells chapoly where the messages are.
func (s *ManyScratch) point(encLen int, msgs []Message) {
	for i := range msgs {
		m := &msgs[i]
		s.messages.AAD[i], s.messages.Plain[i] = m.AAD, m.Plain
		s.messages.Sealed[i] = (*[chapoly.SealedLen]byte)(m.Sealed[encLen:])
	}
}

// wipe clears s after n messages. What belongs to other packages is clear already.
func (s *ManyScratch) wipe(n int) {
	clear(s.points[:n])
	clear(s.enc[:n])
	clear(s.dh[:n])
	clear(s.ok[:n])
	s.one.wipe()
	s.lanes = laneScratch{}
	s.keys = chapoly.Keys{}
	s.messages = chapoly.Messages{}
}
