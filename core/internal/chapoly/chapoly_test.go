package chapoly

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"ecoin/core/internal/race"
)

// TestAgainstXCrypto holds chacha20poly1305 for each number of messages.
func TestAgainstXCrypto(t *testing.T) {
	eachImplementation(t, func(t *testing.T, impl implementation) {
		var s Scratch
		for n := range Lanes + 1 {
			b := newBatch(t, random(byte(n)))
			before, k, o, untouched := *b, b.keys(), newOutput(), newOutput()
			impl.seal(&s, k, b.toSeal(o, n), n)
			for lane := range Lanes {
				want := &b.sealed[lane]
				if lane >= n {
					want = &untouched.sealed[lane]
				}
				if o.sealed[lane] != *want {
					t.Errorf("of %d, message %d sealed: %x, want %x", n, lane, o.sealed[lane], *want)
				}
			}
			if got := impl.open(&s, k, b.toOpen(o, n), n); got != uint16(1<<n-1) {
				t.Errorf("of %d, opened %016b", n, got)
			}
			for lane := range Lanes {
				want := &b.plain[lane]
				if lane >= n {
					want = &untouched.plain[lane]
				}
				if o.plain[lane] != *want {
					t.Errorf("of %d, message %d opened: %x, want %x", n, lane, o.plain[lane], *want)
				}
			}
			if *b != before || *k != *b.keys() {
				t.Errorf("of %d, an input changed", n)
			}
		}
	})
}

// TestForgedLaneFailsAlone changes each bit of a tag and each byte of the rest, in
// each lane.
func TestForgedLaneFailsAlone(t *testing.T) {
	b := newBatch(t, random(100))
	eachImplementation(t, func(t *testing.T, impl implementation) {
		var s Scratch
		for lane := range Lanes {
			for i := range 8 * SealedLen {
				if i < 8*PlaintextLen && i%8 != i/8%8 {
					continue // of the ciphertext, one bit of each byte
				}
				testForged(t, impl, &s, b, lane, fmt.Sprintf("bit %d of sealed", i), &b.sealed[lane][i/8], 1<<(i%8))
			}
			for i := range b.aad[lane] {
				testForged(t, impl, &s, b, lane, fmt.Sprintf("byte %d of aad", i), &b.aad[lane][i], 0x80)
			}
			for i := range b.key[lane] {
				testForged(t, impl, &s, b, lane, fmt.Sprintf("byte %d of key", i), &b.key[lane][i], 0x01)
			}
			for i := range b.nonce[lane] {
				testForged(t, impl, &s, b, lane, fmt.Sprintf("byte %d of nonce", i), &b.nonce[lane][i], 0x10)
			}
		}
	})
}

func testForged(t *testing.T, impl implementation, s *Scratch, b *batch, lane int, what string, p *byte, change byte) {
	t.Helper()
	*p ^= change
	o := newOutput()
	got := impl.open(s, b.keys(), b.toOpen(o, Lanes), Lanes)
	*p ^= change
	if want := ^uint16(1 << lane); got != want {
		t.Errorf("lane %d, %s: opened %016b, want %016b", lane, what, got, want)
	}
	for i := range Lanes {
		want := b.plain[i]
		if i == lane {
			want = [PlaintextLen]byte{}
		}
		if o.plain[i] != want {
			t.Errorf("lane %d, %s: message %d is %x, want %x", lane, what, i, o.plain[i], want)
		}
	}
}

// TestManyForged has every set of 4 neighbours wrong.
func TestManyForged(t *testing.T) {
	eachImplementation(t, func(t *testing.T, impl implementation) {
		var s Scratch
		for set := range uint16(16) {
			wrong := set * 0x1111
			b, o := newBatch(t, random(101)), newOutput()
			for lane := range Lanes {
				b.sealed[lane][SealedLen-1] ^= byte(wrong>>lane&1) << 7
			}
			if got := impl.open(&s, b.keys(), b.toOpen(o, Lanes), Lanes); got != ^wrong {
				t.Errorf("opened %016b, want %016b", got, ^wrong)
			}
		}
	})
}

// TestScratch looks for what is left in scratch memory, on all alignments, and for
// writes outside of it.
func TestScratch(t *testing.T) {
	type guarded struct {
		before [16]uint64
		s      Scratch
		after  [16]uint64
	}
	const room = unsafe.Sizeof(guarded{}) + 64
	memory := make([]uint64, room/8)
	b := newBatch(t, random(102))
	b.sealed[5][0] ^= 1
	k, o := b.keys(), newOutput()
	for offset := range 8 {
		clear(memory)
		g := (*guarded)(unsafe.Pointer(&memory[offset]))
		for _, n := range []int{1, Lanes - 1, Lanes} {
			for i := range g.before {
				g.before[i], g.after[i] = 1, 1
			}
			check := func(what string) {
				t.Helper()
				if !bytes.Equal(g.s.area[:], make([]byte, len(g.s.area))) {
					t.Errorf("%s of %d, offset %d: something is left in scratch memory", what, n, offset)
				}
				for i := range g.before {
					if g.before[i] != 1 || g.after[i] != 1 {
						t.Fatalf("%s of %d, offset %d: wrote outside of scratch memory", what, n, offset)
					}
				}
			}
			check("before")
			Seal(&g.s, k, b.toSeal(o, n), n)
			check("Seal")
			Open(&g.s, k, b.toOpen(o, n), n)
			check("Open")
			for _, impl := range implementations { // these do not wipe
				impl.seal(&g.s, k, b.toSeal(o, n), n)
				impl.open(&g.s, k, b.toOpen(o, n), n)
				*g.s.work() = work{}
				check(impl.name)
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, n := range []int{1, 2, 8, Lanes} {
		b := newBatch(t, random(103))
		b.sealed[0][9] ^= 1
		k, o, s := b.keys(), newOutput(), new(Scratch)
		toSeal, toOpen := b.toSeal(o, n), b.toOpen(o, n)
		if a := testing.AllocsPerRun(100, func() { Seal(s, k, toSeal, n) }); a != 0 {
			t.Errorf("Seal of %d allocates %v times", n, a)
		}
		if a := testing.AllocsPerRun(100, func() { Open(s, k, toOpen, n) }); a != 0 {
			t.Errorf("Open of %d allocates %v times", n, a)
		}
		// As callers have them: on the stack.
		if a := testing.AllocsPerRun(100, func() {
			var s Scratch
			var k Keys
			var plain [PlaintextLen]byte
			m := *toOpen
			m.Plain[0] = &plain
			Open(&s, &k, &m, n)
		}); a != 0 {
			t.Errorf("Open of %d with memory on the stack allocates %v times", n, a)
		}
	}
}

func TestNumberOfMessages(t *testing.T) {
	for _, n := range []int{-1, Lanes + 1} {
		for name, f := range map[string]func(){
			"Seal": func() { Seal(new(Scratch), new(Keys), new(Messages), n) },
			"Open": func() { Open(new(Scratch), new(Keys), new(Messages), n) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s of %d messages does not panic", name, n)
					}
				}()
				f()
			}()
		}
	}
}
