package hmac256

import (
	"encoding/binary"

	"ecoin/core/internal/sha2"
)

// Like saveStates, tests change these.
var (
	// wide says that sixteen lanes take about as long as one.
	wide = sha2.Wide()

	// fewLanes is the number of lanes that take as long as all sixteen when they
	// are done one by one: a compression takes 20 ns in each of sixteen lanes, 48 ns
	// alone with SHA-NI, 190 ns with the standard library and 500 ns in plain Go.
	fewLanes = few(sha2.Native())
)

func few(native bool) int {
	if native {
		return 6
	}
	return 1 // which the standard library does in half the time
}

// ManyScratch is working memory of SumMany. Its zero value is ready; one goroutine
// may use it at a time. SumMany clears what it puts there.
type ManyScratch struct {
	single Scratch
	key    Key
	batch  batch
}

// SumMany sets dst[i] to the HMAC of msgs[i] under keys[i]. The three have the same
// length, or it panics. A message may have any length; those of about the same length
// are best put side by side. dst[i] may be keys[i] or overlap msgs[i], but no other
// message or key. What a message or key is changes no other's result.
func SumMany(s *ManyScratch, dst [][Size]byte, keys [][32]byte, msgs [][]byte) {
	if len(dst) != len(msgs) || len(keys) != len(msgs) {
		panic("hmac256: dst, keys and msgs differ in length")
	}
	if !wide || len(msgs) <= fewLanes {
		for i := range msgs {
			s.key.Set(&s.single, keys[i][:])
			s.key.Sum(&s.single, &dst[i], msgs[i])
		}
		s.key.Wipe()
		return
	}
	s.batch.run(dst, keys, msgs)
	s.batch = batch{}
}

// A batch is sixteen lanes at work. A lane takes a message, hashes the inner, then
// the outer half of its HMAC, and takes the next message that nobody has. It works
// through stretches of whole blocks: key ^ ipad, the message as far as it fills
// blocks, the rest of it with the padding; or the first and the last of these in one,
// when nothing lies between. Then key ^ opad with the inner hash.
type batch struct {
	state  sha2.Lanes
	at     [sha2.LaneCount]*byte  // the next block of each lane; of an idle one, any
	rest   [sha2.LaneCount][]byte // of its stretch; none: the lane is idle
	lane   [sha2.LaneCount]lane
	next   int // the first message that nobody has
	active int // lanes with a message
}

type lane struct {
	msg  int // index
	then stage
	end  int                 // of the message's last block in buf
	buf  [3 * blockSize]byte // a key's pad, then the message's one or two last blocks
}

func (l *lane) pad() *[blockSize]byte { return (*[blockSize]byte)(l.buf[:]) }

// last returns the place of the last blocks, of which the hash of the inner half needs
// one.
func (l *lane) last() *[2 * blockSize]byte { return (*[2 * blockSize]byte)(l.buf[blockSize:]) }

// A stage is what comes after a stretch.
type stage uint8

const (
	thenMessage stage = iota
	thenLast
	thenOuter
	thenDone
)

func (b *batch) run(dst [][Size]byte, keys [][32]byte, msgs [][]byte) {
	for i := range b.lane {
		b.take(i, keys, msgs)
	}
	for b.active > 0 {
		n := b.compress() * blockSize
		for i := range b.rest {
			if rest := b.rest[i]; len(rest) > n {
				b.rest[i] = rest[n:]
			} else if len(rest) > 0 {
				b.stretch(i, dst, keys, msgs)
			}
		}
	}
}

// take gives a lane the next message, if there is one.
func (b *batch) take(i int, keys [][32]byte, msgs [][]byte) {
	if b.next == len(msgs) {
		b.rest[i] = nil
		return
	}
	l := &b.lane[i]
	l.msg = b.next
	b.next++
	b.active++

	msg := msgs[l.msg]
	whole := len(msg) &^ (blockSize - 1)
	setPad(l.pad(), &keys[l.msg], padInner)
	last := l.last()
	*last = [len(last)]byte{}
	n := copy(last[:], msg[whole:])
	last[n] = 0x80 // FIPS 180-4 section 5.1.1
	l.end = 2 * blockSize
	if n >= blockSize-lengthLen {
		l.end = 3 * blockSize
	}
	binary.BigEndian.PutUint64(l.buf[l.end-lengthLen:], 8*uint64(blockSize+len(msg)))
	if whole > 0 {
		b.rest[i], l.then = l.pad()[:], thenMessage
	} else {
		b.rest[i], l.then = l.buf[:l.end], thenOuter
	}
	b.init(i)
}

// stretch gives a lane, which has done one, the next.
func (b *batch) stretch(i int, dst [][Size]byte, keys [][32]byte, msgs [][]byte) {
	l := &b.lane[i]
	switch l.then {
	case thenMessage:
		msg := msgs[l.msg]
		b.rest[i], l.then = msg[:len(msg)&^(blockSize-1)], thenLast
	case thenLast:
		b.rest[i], l.then = l.buf[blockSize:l.end], thenOuter
	case thenOuter:
		setPad(l.pad(), &keys[l.msg], padOuter)
		last := (*[blockSize]byte)(l.last()[:])
		b.put((*[Size]byte)(last[:]), i)
		endOuter(last)
		b.init(i)
		b.rest[i], l.then = l.buf[:2*blockSize], thenDone
	case thenDone:
		b.put(&dst[l.msg], i)
		b.active--
		b.take(i, keys, msgs)
	}
}

// setPad sets pad to the block key ^ with.
func setPad(pad *[blockSize]byte, key *[32]byte, with byte) {
	word := 0x0101010101010101 * uint64(with)
	for i := 0; i < len(key); i += 8 {
		binary.LittleEndian.PutUint64(pad[i:], binary.LittleEndian.Uint64(key[i:])^word)
		binary.LittleEndian.PutUint64(pad[len(key)+i:], word)
	}
}

var empty = sha2.Init()

// init sets the state of a lane to that of an empty hash.
func (b *batch) init(i int) {
	b.state.Set(i, &empty)
}

// put sets dst to the hash of a lane.
func (b *batch) put(dst *[Size]byte, i int) {
	st := &b.state
	for w := 0; w < len(st); w += 2 { // two at a time take half as long
		binary.BigEndian.PutUint64(dst[4*w:], uint64(st[w][i])<<32|uint64(st[w+1][i]))
	}
}

// compress does as many blocks of each lane as all lanes have, and returns how many.
func (b *batch) compress() (n int) {
	var some *byte
	for i, rest := range &b.rest {
		if len(rest) > 0 {
			b.at[i] = &rest[0]
			if m := len(rest) / blockSize; n == 0 || m < n {
				n = m
			}
			some = b.at[i]
		}
	}
	if b.active <= fewLanes && saveStates {
		b.oneByOne(n)
		return n
	}
	if b.active < sha2.LaneCount {
		for i, rest := range &b.rest {
			if len(rest) == 0 {
				b.at[i] = some // has n blocks; what becomes of an idle lane does not matter
			}
		}
	}
	sha2.BlockLanes(&b.state, &b.at, n)
	return n
}

// oneByOne is compress of n blocks for few lanes, at the end of a batch.
func (b *batch) oneByOne(n int) {
	for i, rest := range &b.rest {
		if len(rest) > 0 {
			st := b.state.Get(i)
			sha2.Block(&st, rest[:n*blockSize])
			b.state.Set(i, &st)
			clear(st[:])
		}
	}
}
