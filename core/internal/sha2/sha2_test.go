package sha2

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// An implementation is what one set of instructions offers; nil where it has none.
type implementation struct {
	name  string
	block func(*State, []byte)
	lanes func(*Lanes, *[LaneCount]*byte, int)
	words func(*Lanes, *[16][LaneCount]uint32)
}

var generic = implementation{"generic", blockGeneric, blockLanesGeneric, blockWordsGeneric}

// padded returns msg with the padding of FIPS 180-4 section 5.1.1.
func padded(msg []byte) []byte {
	p := append(bytes.Clone(msg), 0x80)
	for len(p)%BlockSize != BlockSize-8 {
		p = append(p, 0)
	}
	return binary.BigEndian.AppendUint64(p, 8*uint64(len(msg)))
}

func (st *State) bytes() (b []byte) {
	for _, w := range st {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// pattern returns n bytes that differ with the seed.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 11)
	}
	return b
}

// TestFIPS180 holds the examples that NIST publishes with FIPS 180-4.
func TestFIPS180(t *testing.T) {
	for _, impl := range implementations() {
		if impl.block == nil {
			continue
		}
		for _, c := range []struct{ name, msg, want string }{
			{"none", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
			{"one block", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
			{"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
				"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
			{"a million", strings.Repeat("a", 1e6), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
		} {
			st := Init()
			impl.block(&st, padded([]byte(c.msg)))
			if got := hex.EncodeToString(st.bytes()); got != c.want {
				t.Errorf("%s, %s: %s differs from the standard", impl.name, c.name, got)
			}
		}
	}
}

// TestBlock takes every length of message up to four blocks and more.
func TestBlock(t *testing.T) {
	for _, impl := range append(implementations(), implementation{name: "dispatch", block: Block}) {
		if impl.block == nil {
			continue
		}
		for n := range 301 {
			msg := pattern(n, n)
			want := sha256.Sum256(msg)
			p := padded(msg)
			st := Init()
			impl.block(&st, nil)
			impl.block(&st, p)
			if !bytes.Equal(st.bytes(), want[:]) {
				t.Fatalf("%s: %d bytes: differs from crypto/sha256", impl.name, n)
			}
			if !bytes.Equal(p, padded(msg)) {
				t.Fatalf("%s: %d bytes: changes its input", impl.name, n)
			}
		}
	}
}

// TestBlockPanics: a part of a block is a mistake of the caller.
func TestBlockPanics(t *testing.T) {
	for _, n := range []int{1, 63, 65} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: no panic", n)
				}
			}()
			var st State
			Block(&st, make([]byte, n))
		}()
	}
}

func TestAllocations(t *testing.T) {
	var st State
	var lanes Lanes
	var w [16][LaneCount]uint32
	p := make([]byte, 4*BlockSize)
	var pointers [LaneCount]*byte
	for i := range pointers {
		pointers[i] = &p[0]
	}
	for name, f := range map[string]func(){
		"Block":      func() { Block(&st, p) },
		"BlockLanes": func() { BlockLanes(&lanes, &pointers, 4) },
		"BlockWords": func() { BlockWords(&lanes, &w) },
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// FuzzBlock compares each implementation with the generic one, from any state, and
// with crypto/sha256 from the initial one.
func FuzzBlock(f *testing.F) {
	f.Add(make([]byte, 32), []byte("abc"))
	f.Add(bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0xff}, 256))
	f.Add(pattern(32, 1), pattern(119, 2))
	f.Fuzz(func(t *testing.T, state, msg []byte) {
		if len(state) < 32 {
			return
		}
		var start State
		for i := range start {
			start[i] = binary.BigEndian.Uint32(state[4*i:])
		}
		p, sum := padded(msg), sha256.Sum256(msg)
		want := start
		blockGeneric(&want, p)
		for _, impl := range implementations() {
			if impl.block == nil {
				continue
			}
			got := start
			if impl.block(&got, p); got != want {
				t.Errorf("%s: %x differs from generic %x", impl.name, got, want)
			}
			got = Init()
			if impl.block(&got, p); !bytes.Equal(got.bytes(), sum[:]) {
				t.Errorf("%s: %x differs from crypto/sha256", impl.name, got)
			}
		}
	})
}
