package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"math/rand/v2"
	"testing"

	"ecoin/core/internal/race"
)

// filler is what buffers hold where nothing should be written.
const filler = 0xa5

// random returns n bytes that are the same in each run.
func random(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// libraryEncrypt and libraryDecrypt are what crypto/aes and crypto/cipher make of it.
func libraryEncrypt(t testing.TB, key *[32]byte, iv *[16]byte, src []byte) []byte {
	dst := make([]byte, len(src))
	cipher.NewCBCEncrypter(libraryCipher(t, key), iv[:]).CryptBlocks(dst, src)
	return dst
}

func libraryDecrypt(t testing.TB, key *[32]byte, iv *[16]byte, src []byte) []byte {
	dst := make([]byte, len(src))
	cipher.NewCBCDecrypter(libraryCipher(t, key), iv[:]).CryptBlocks(dst, src)
	return dst
}

func libraryCipher(t testing.TB, key *[32]byte) cipher.Block {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLengths holds all implementations to the library, for every length around the
// sizes of their steps, in place and not, wherever the buffers lie.
func TestLengths(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for blocks := range 71 {
			key, iv := [32]byte(random(1, 32)), [16]byte(random(2, 16))
			key[0], iv[0] = byte(blocks), byte(blocks)
			var k Schedule
			k.Expand(&key)
			before := k
			src := random(3, blocks*BlockSize)
			for _, c := range []struct {
				name string
				run  func(dst, src []byte, iv *[16]byte)
				want []byte
			}{
				{"encrypt", k.Encrypt, libraryEncrypt(t, &key, &iv, src)},
				{"decrypt", k.Decrypt, libraryDecrypt(t, &key, &iv, src)},
			} {
				for _, shift := range []int{0, 1, 7, 15} {
					for _, inPlace := range []bool{false, true} {
						in, out := buffer(src, shift), buffer(src, 16-shift)
						dst := out[16-shift:]
						if inPlace {
							out, dst = in, in[shift:]
						}
						want := bytes.Clone(out)
						copy(want[len(out)-len(dst):], c.want)
						v := iv
						c.run(dst, in[shift:shift+len(src)], &v)
						if !bytes.Equal(out, want) {
							t.Errorf("%s: %d blocks, at %d, in place %t: differs or wrote elsewhere", c.name, blocks, shift, inPlace)
						}
						if v != iv || k != before {
							t.Fatalf("%s: %d blocks: changed the IV or the schedule", c.name, blocks)
						}
						if !inPlace && !bytes.Equal(in, buffer(src, shift)) {
							t.Errorf("%s: %d blocks: changed src", c.name, blocks)
						}
					}
				}
			}
		}
	})
}

// buffer returns before bytes, content and 32 bytes more.
func buffer(content []byte, before int) []byte {
	b := bytes.Repeat([]byte{filler}, before+len(content)+32)
	copy(b[before:], content)
	return b
}

// TestSchedules compares the round keys of all implementations, those of the lanes
// included.
func TestSchedules(t *testing.T) {
	t.Cleanup(useBest)
	for seed := range byte(20) {
		key := [32]byte(random(seed, 32))
		var want Schedule
		expandGeneric(&want, &key)
		for _, impl := range implementations() {
			impl.use()
			var got Schedule
			got.Expand(&key)
			if got != want {
				t.Fatalf("%s: schedule of key %x differs", impl.name, key)
			}
			for _, set := range []uint16{1, 1 << (laneCount() - 1), 1<<laneCount() - 1} {
				var keys [maxLanes]*[32]byte
				for lane := range keys {
					k := key
					k[31] ^= byte(lane)
					keys[lane] = &k
				}
				var all laneKeys
				expandLanes(&all, &keys, set)
				for lane := range laneCount() {
					if set>>lane&1 == 0 {
						continue
					}
					expandGeneric(&want, keys[lane])
					for r := range all {
						if all[r][lane] != want.enc[r] {
							t.Fatalf("%s: lanes %#x: round %d of lane %d differs", impl.name, set, r, lane)
						}
					}
				}
				expandGeneric(&want, &key)
			}
		}
	}
}

// TestWipe leaves nothing of the key.
func TestWipe(t *testing.T) {
	key := [32]byte(random(1, 32))
	var k Schedule
	k.Expand(&key)
	if k == (Schedule{}) {
		t.Fatal("Expand wrote nothing")
	}
	if k.Wipe(); k != (Schedule{}) {
		t.Error("something is left")
	}
}

// TestMisuse wants the panics of crypto/cipher, and nothing written.
func TestMisuse(t *testing.T) {
	const size = 4 * BlockSize
	memory := random(1, 3*size)
	clean := bytes.Clone(memory)
	var k Schedule
	var key [32]byte
	var iv [16]byte
	k.Expand(&key)
	for _, c := range []struct {
		name     string
		dst, src []byte
		want     string
	}{
		{"half a block", memory[size:], memory[:24], "cbc: input not full blocks"},
		{"short dst", memory[size : 2*size-1], memory[:size], "cbc: output smaller than input"},
		{"dst after src", memory[1:], memory[:size], "cbc: invalid buffer overlap"},
		{"dst before src", memory[:size], memory[size-1 : 2*size-1], "cbc: invalid buffer overlap"},
		{"a block later", memory[16:], memory[:size], "cbc: invalid buffer overlap"},
	} {
		for name, run := range map[string]func(){
			"Encrypt": func() { k.Encrypt(c.dst, c.src, &iv) },
			"Decrypt": func() { k.Decrypt(c.dst, c.src, &iv) },
			"EncryptMany": func() {
				other := make([]byte, size)
				jobs := []Job{{&key, &iv, other, other}, {&key, &iv, c.dst, c.src}}
				defer func() {
					if !bytes.Equal(other, make([]byte, size)) {
						t.Errorf("%s: another job was begun", c.name)
					}
				}()
				EncryptMany(new(ManyScratch), jobs)
			},
		} {
			if got := panicOf(run); got != c.want {
				t.Errorf("%s: %s panics with %q, want %q", c.name, name, got, c.want)
			}
			if !bytes.Equal(memory, clean) {
				t.Fatalf("%s: %s wrote something", c.name, name)
			}
		}
	}
	for name, run := range map[string]func(){
		"next to each other": func() { k.Encrypt(memory[size:], memory[:size], &iv) },
		"before each other":  func() { k.Encrypt(memory[:size], memory[size:2*size], &iv) },
		"nothing":            func() { k.Decrypt(nil, nil, &iv) },
	} {
		if got := panicOf(run); got != "" {
			t.Errorf("%s: panics with %q", name, got)
		}
	}
}

func panicOf(run func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	run()
	return ""
}

// TestAllocations wants none, whatever the implementation.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	eachImplementation(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(10, func() {
			// On the stack: a pointer that escapes would be an allocation too.
			var key [32]byte
			var iv [16]byte
			var p [40 * BlockSize]byte
			var k Schedule
			k.Expand(&key)
			k.Encrypt(p[:], p[:], &iv)
			k.Decrypt(p[:], p[:], &iv)
			k.Wipe()
		}); n != 0 {
			t.Errorf("%v for one message", n)
		}
		s := new(ManyScratch)
		if n := testing.AllocsPerRun(10, func() {
			var key [32]byte
			var iv [16]byte
			var p [20][5 * BlockSize]byte
			var jobs [20]Job
			for i := range jobs {
				jobs[i] = Job{&key, &iv, p[i][:], p[i][:i%6*BlockSize]}
			}
			EncryptMany(s, jobs[:])
		}); n != 0 {
			t.Errorf("%v for many messages", n)
		}
		m := NewMAC(new([32]byte))
		if n := testing.AllocsPerRun(10, func() {
			var sums [20][BlockSize]byte
			var msgs [20]MACMessage
			m.Sum(&sums[0], &msgs[0])
			m.SumMany(sums[:], msgs[:])
		}); n != 0 {
			t.Errorf("%v for MACs", n)
		}
	})
}
