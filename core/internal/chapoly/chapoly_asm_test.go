//go:build amd64 && !purego

package chapoly

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 An oracle; no newer package has Poly1305 alone.
	xpoly1305 "golang.org/x/crypto/poly1305"

	"ecoin/core/internal/vectors"
)

func init() {
	if !wide {
		return
	}
	implementations = append(implementations, implementation{
		"avx512",
		func(s *Scratch, k *Keys, m *Messages, n int) { sealWide(s.work(), k, m, n) },
		func(s *Scratch, k *Keys, m *Messages, n int) uint16 { return openWide(s.work(), k, m, n) },
	})
}

func needWide(t testing.TB) {
	if !wide {
		t.Skip("no AVX-512 here")
	}
}

// place returns where a lane is in columns.
func place(lane int) (half, i int) { return lane >> 1 & 1, lane>>2<<1 | lane&1 }

// spread returns a source for newBatch that repeats data, changed by a counter after
// each turn so that lanes differ.
func spread(data []byte) func([]byte) {
	i, turn := 0, byte(0)
	return func(p []byte) {
		for j := range p {
			if i == len(data) {
				i, turn = 0, turn+1
			}
			p[j] = turn
			if i < len(data) {
				p[j] ^= data[i]
				i++
			}
		}
	}
}

// xStream returns 64 bytes of key stream by x/crypto.
func xStream(t testing.TB, key *[32]byte, counter uint32, nonce *[12]byte) (out [64]byte) {
	c, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	if err != nil {
		t.Fatal(err)
	}
	c.SetCounter(counter)
	c.XORKeyStream(out[:], out[:])
	return out
}

// polyInput is what tags takes, in bytes.
type polyInput struct {
	key    [Lanes][32]byte
	blocks [Lanes][5 * 16]byte
}

// checkTags compares tags with the generic twin and with x/crypto.
func checkTags(t *testing.T, in *polyInput) {
	t.Helper()
	w := new(Scratch).work()
	for lane := range Lanes {
		for i := range w.polyKey {
			w.polyKey[i][lane] = binary.LittleEndian.Uint32(in.key[lane][4*i:])
		}
		half, place := place(lane)
		for i := range w.blocks {
			for part := range 2 {
				w.blocks[i][part][half][place] = binary.LittleEndian.Uint64(in.blocks[lane][16*i+8*part:])
			}
		}
	}
	tags(&w.tags, &w.factors, &w.polyKey, &w.blocks)
	for lane := range Lanes {
		half, place := place(lane)
		got := binary.LittleEndian.AppendUint64(nil, w.tags[0][half][place])
		got = binary.LittleEndian.AppendUint64(got, w.tags[1][half][place])
		twin := generalTag(&in.key[lane], in.blocks[lane][:])
		var oracle [16]byte
		xpoly1305.Sum(&oracle, in.blocks[lane][:], &in.key[lane])
		if !bytes.Equal(got, twin) || !bytes.Equal(twin, oracle[:]) {
			t.Errorf("lane %d, key %x, blocks %x: tag %x, generic %x, x/crypto %x",
				lane, in.key[lane], in.blocks[lane], got, twin, oracle)
		}
	}
}

// TestTagsAtEdges has sums that end around 2^130 - 5, keys and blocks of ones, and
// the vectors of RFC 8439 appendix A.3 at each place among zeros.
func TestTagsAtEdges(t *testing.T) {
	needWide(t)

	// With r = 1 the MAC is the sum of five blocks, each with 2^128. These end at
	// 2(2^130 - 5) - 8 + lane, s being zero or all ones.
	for _, s := range []byte{0, 0xff} {
		var in polyInput
		for lane := range Lanes {
			in.key[lane][0] = 1
			for i := 16; i < 32; i++ {
				in.key[lane][i] = s
			}
			for i := range 3 * 16 { // three times 2^128 - 1
				in.blocks[lane][16+i] = 0xff
			}
			in.blocks[lane][16] = byte(0xff - 15 + lane) // - 18 + 3 + lane
		}
		checkTags(t, &in)
	}

	var in polyInput
	for lane := range Lanes {
		for i := range in.key[lane] {
			in.key[lane][i] = [4]byte{0xff, 0x0f, 0xfc, 0x01}[lane%4]
		}
		for i := range in.blocks[lane] {
			in.blocks[lane][i] = [4]byte{0xff, 0x00, 0xfe, 0x80}[lane/4]
		}
	}
	checkTags(t, &in)

	for _, v := range polyVectors {
		var in polyInput
		for lane := range Lanes {
			copy(in.key[lane][:], vectors.Hex(t, v.key))
			copy(in.blocks[lane][16*(lane%5):], vectors.Hex(t, v.msg))
		}
		checkTags(t, &in)
	}
	for seed := range byte(100) {
		var in polyInput
		source := random(seed)
		for lane := range Lanes {
			source(in.key[lane][:])
			source(in.blocks[lane][:])
		}
		checkTags(t, &in)
	}
}

func FuzzTags(f *testing.F) {
	needWide(f)
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 112))
	f.Add(append([]byte{1}, bytes.Repeat([]byte{0}, 111)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var in polyInput
		source := spread(data)
		for lane := range Lanes {
			source(in.key[lane][:])
			source(in.blocks[lane][:])
		}
		checkTags(t, &in)
	})
}

func FuzzStreams(f *testing.F) {
	needWide(f)
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 44))
	f.Add([]byte("expand 32-byte k"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBatch(t, spread(data))
		w, k := new(Scratch).work(), b.keys()
		streams(&w.polyKey, &w.stream, &k.Key, &k.Nonce)
		for lane := range Lanes {
			var polyKey [32]byte
			for i := range w.polyKey {
				binary.LittleEndian.PutUint32(polyKey[4*i:], w.polyKey[i][lane])
			}
			block0, block1 := generalBlock(&b.key[lane], 0, &b.nonce[lane]), generalBlock(&b.key[lane], 1, &b.nonce[lane])
			if block0 != xStream(t, &b.key[lane], 0, &b.nonce[lane]) || block1 != xStream(t, &b.key[lane], 1, &b.nonce[lane]) {
				t.Errorf("lane %d, key %x, nonce %x: generic and x/crypto differ", lane, b.key[lane], b.nonce[lane])
			}
			if !bytes.Equal(polyKey[:], block0[:32]) || !bytes.Equal(w.stream[lane][:48], block1[:48]) {
				t.Errorf("lane %d, key %x, nonce %x: %x and %x, generic %x and %x",
					lane, b.key[lane], b.nonce[lane], polyKey, w.stream[lane][:48], block0[:32], block1[:48])
			}
		}
	})
}

// FuzzSealOpen goes through the routines that move rows, openBlocks, openRows,
// sealRows and sealTags: none means anything without the others. wrong says which
// lanes are forged, and the byte at gives the difference.
func FuzzSealOpen(f *testing.F) {
	needWide(f)
	f.Add([]byte{}, uint8(16), uint16(0), uint8(0), uint8(0))
	f.Add([]byte("some key"), uint8(15), uint16(0x8421), uint8(63), uint8(0x80))
	f.Add(bytes.Repeat([]byte{0xff}, 104), uint8(1), uint16(1), uint8(0), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, number uint8, wrong uint16, at, difference uint8) {
		b, n := newBatch(t, spread(data)), int(number)%(Lanes+1)
		k, s := b.keys(), new(Scratch)
		got, twin := newOutput(), newOutput()
		sealWide(s.work(), k, b.toSeal(got, n), n)
		sealGeneric(&s.work().one, k, b.toSeal(twin, n), n)
		if *got != *twin {
			t.Errorf("sealed %x, generic %x", got.sealed, twin.sealed)
		}
		for lane := range n {
			if got.sealed[lane] != b.sealed[lane] {
				t.Errorf("lane %d: sealed %x, x/crypto %x", lane, got.sealed[lane], b.sealed[lane])
			}
			if wrong>>lane&1 == 1 {
				b.sealed[lane][at%SealedLen] ^= difference
			}
		}
		var want uint16
		opened := openWide(s.work(), k, b.toOpen(got, n), n)
		for lane := range n {
			plain, err := b.aead(t, lane).Open(nil, b.nonce[lane][:], b.sealed[lane][:], b.aad[lane][:])
			if err == nil {
				want |= 1 << lane
			} else {
				plain = make([]byte, PlaintextLen)
			}
			if !bytes.Equal(got.plain[lane][:], plain) {
				t.Errorf("lane %d: opened %x, x/crypto %x", lane, got.plain[lane], plain)
			}
		}
		openedTwin := openGeneric(&s.work().one, k, b.toOpen(twin, n), n)
		if opened != want || openedTwin != want || *got != *twin {
			t.Errorf("opened %016b, generic %016b, x/crypto %016b", opened, openedTwin, want)
		}
	})
}
