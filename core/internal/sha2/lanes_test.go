package sha2

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// pointersTo returns the start of each message, which has blocks*BlockSize bytes at
// any alignment, between bytes that must not matter.
func pointersTo(msgs *[LaneCount][]byte) (p [LaneCount]*byte) {
	for lane, msg := range msgs {
		b := append(append(bytes.Repeat([]byte{0xa5}, 1+3*lane), msg...), 0x5a)
		p[lane] = &b[1+3*lane]
	}
	return p
}

// words transposes one block of each message.
func words(msgs *[LaneCount][]byte, block int) *[16][LaneCount]uint32 {
	var w [16][LaneCount]uint32
	for lane, msg := range msgs {
		for t := range w {
			w[t][lane] = binary.BigEndian.Uint32(msg[block*BlockSize+4*t:])
		}
	}
	return &w
}

// TestLanes takes one to nine blocks, each lane with its own message.
func TestLanes(t *testing.T) {
	for _, impl := range append(implementations(), implementation{"dispatch", nil, BlockLanes, BlockWords}) {
		if impl.lanes == nil {
			continue
		}
		for n := 1; n <= 9; n++ {
			var msgs [LaneCount][]byte
			var byPointer, byWord Lanes
			var want [LaneCount][]byte
			start := Init()
			for lane := range msgs {
				raw := pattern(n*BlockSize-9-lane, 100*n+lane)
				sum := sha256.Sum256(raw)
				msgs[lane], want[lane] = padded(raw), sum[:]
				byPointer.Set(lane, &start)
				byWord.Set(lane, &start)
			}
			p := pointersTo(&msgs)
			impl.lanes(&byPointer, &p, n)
			for block := range n {
				impl.words(&byWord, words(&msgs, block))
			}
			for lane := range msgs {
				if st := byPointer.Get(lane); !bytes.Equal(st.bytes(), want[lane]) {
					t.Errorf("%s: BlockLanes, %d blocks, lane %d: differs from crypto/sha256", impl.name, n, lane)
				}
				if st := byWord.Get(lane); !bytes.Equal(st.bytes(), want[lane]) {
					t.Errorf("%s: BlockWords, %d blocks, lane %d: differs from crypto/sha256", impl.name, n, lane)
				}
			}
		}
	}
}

// TestLanesAlone: a lane's message and state change that lane's result alone.
func TestLanesAlone(t *testing.T) {
	for _, impl := range implementations() {
		if impl.lanes == nil {
			continue
		}
		run := func(change func(st *Lanes, msgs *[LaneCount][]byte)) (byPointer, byWord Lanes) {
			var msgs [LaneCount][]byte
			for lane := range msgs {
				msgs[lane] = pattern(2*BlockSize, lane)
			}
			var st Lanes
			change(&st, &msgs)
			byPointer, byWord = st, st
			p := pointersTo(&msgs)
			impl.lanes(&byPointer, &p, 2)
			impl.words(&byWord, words(&msgs, 0))
			return byPointer, byWord
		}
		lanes, wordsOf := run(func(*Lanes, *[LaneCount][]byte) {})
		for changed := range LaneCount {
			for what, change := range map[string]func(*Lanes, *[LaneCount][]byte){
				"message": func(_ *Lanes, msgs *[LaneCount][]byte) { msgs[changed][changed] ^= 0x80 },
				"state":   func(st *Lanes, _ *[LaneCount][]byte) { st[changed%8][changed] ^= 1 },
			} {
				byPointer, byWord := run(change)
				for lane := range LaneCount {
					if (byPointer.Get(lane) == lanes.Get(lane)) != (lane != changed) {
						t.Errorf("%s: BlockLanes, %s of lane %d changed: lane %d is wrong", impl.name, what, changed, lane)
					}
					if (byWord.Get(lane) == wordsOf.Get(lane)) != (lane != changed) {
						t.Errorf("%s: BlockWords, %s of lane %d changed: lane %d is wrong", impl.name, what, changed, lane)
					}
				}
			}
		}
	}
}

// TestNoBlocks: none is a number of blocks, and reads nothing.
func TestNoBlocks(t *testing.T) {
	st, want := Lanes{{1}}, Lanes{{1}}
	BlockLanes(&st, new([LaneCount]*byte), 0)
	if st != want {
		t.Error("no block changes a state")
	}
}

// lanesOf spreads fuzzed bytes over sixteen states and messages of n blocks each.
func lanesOf(state, text []byte, n int) (st Lanes, msgs [LaneCount][]byte) {
	at := func(b []byte, i int) byte {
		if len(b) == 0 {
			return byte(i)
		}
		return b[i%len(b)] + byte(i/len(b))
	}
	for lane := range msgs {
		for w := range st {
			for i := range 4 {
				st[w][lane] = st[w][lane]<<8 | uint32(at(state, 4*(LaneCount*w+lane)+i))
			}
		}
		msgs[lane] = make([]byte, n*BlockSize)
		for i := range msgs[lane] {
			msgs[lane][i] = at(text, lane*n*BlockSize+i)
		}
	}
	return st, msgs
}

// FuzzBlockLanes compares each implementation with the generic one.
func FuzzBlockLanes(f *testing.F) {
	addLaneSeeds(f)
	f.Fuzz(func(t *testing.T, state, text []byte, blocks byte) {
		n := 1 + int(blocks)%8
		start, msgs := lanesOf(state, text, n)
		p := pointersTo(&msgs)
		want := start
		blockLanesGeneric(&want, &p, n)
		for _, impl := range implementations() {
			if impl.lanes == nil {
				continue
			}
			got := start
			if impl.lanes(&got, &p, n); got != want {
				t.Errorf("%s: differs from generic", impl.name)
			}
			checkSums(t, impl.name, &msgs, func(st *Lanes, msgs *[LaneCount][]byte) {
				p := pointersTo(msgs)
				impl.lanes(st, &p, n+1)
			})
		}
	})
}

// FuzzBlockWords compares each implementation with the generic one.
func FuzzBlockWords(f *testing.F) {
	addLaneSeeds(f)
	f.Fuzz(func(t *testing.T, state, text []byte, blocks byte) {
		n := 1 + int(blocks)%8
		start, msgs := lanesOf(state, text, n)
		want := start
		blockWordsGeneric(&want, words(&msgs, n-1))
		for _, impl := range implementations() {
			if impl.words == nil {
				continue
			}
			got := start
			if impl.words(&got, words(&msgs, n-1)); got != want {
				t.Errorf("%s: differs from generic", impl.name)
			}
			checkSums(t, impl.name, &msgs, func(st *Lanes, msgs *[LaneCount][]byte) {
				for block := range n + 1 {
					impl.words(st, words(msgs, block))
				}
			})
		}
	})
}

func addLaneSeeds(f *testing.F) {
	f.Add([]byte{}, []byte{}, byte(0))
	f.Add([]byte{0xff}, []byte{0xff}, byte(1))
	f.Add(pattern(512, 1), pattern(1024, 2), byte(2))
}

// checkSums compares the hashes of whole messages, padded by a block, with
// crypto/sha256.
func checkSums(t *testing.T, name string, msgs *[LaneCount][]byte, run func(*Lanes, *[LaneCount][]byte)) {
	t.Helper()
	var st Lanes
	var long [LaneCount][]byte
	start := Init()
	for lane, msg := range msgs {
		st.Set(lane, &start)
		long[lane] = padded(msg)
	}
	run(&st, &long)
	for lane, msg := range msgs {
		got, want := st.Get(lane), sha256.Sum256(msg)
		if !bytes.Equal(got.bytes(), want[:]) {
			t.Errorf("%s: lane %d differs from crypto/sha256", name, lane)
		}
	}
}
