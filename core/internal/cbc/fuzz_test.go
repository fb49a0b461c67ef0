package cbc

import (
	"bytes"
	"testing"
)

// The fuzz targets hold every routine that this machine can run to its generic twin and
// to the library. Together they reach each routine of the assembly.

// FuzzExpand is for expandAESNI and its like.
func FuzzExpand(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Add(random(1, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		var key [32]byte
		copy(key[:], b)
		var want Schedule
		expandGeneric(&want, &key)
		for _, impl := range implementations() {
			with(t, impl)
			var got Schedule
			if got.Expand(&key); got != want {
				t.Errorf("%s: schedule of %x differs", impl.name, key)
			}
		}
	})
}

// FuzzExpandLanes is for the routines that expand several keys, and the one that
// expands one into its lane.
func FuzzExpandLanes(f *testing.F) {
	f.Add(random(1, 32), uint16(0xffff))
	f.Add(random(2, 32), uint16(0x0104))
	f.Fuzz(func(t *testing.T, b []byte, set uint16) {
		var keys [maxLanes]*[32]byte
		for lane := range keys {
			keys[lane] = new([32]byte)
			copy(keys[lane][:], b)
			keys[lane][lane] ^= byte(lane)
		}
		for _, impl := range implementations() {
			with(t, impl)
			var k laneKeys
			set := set & (1<<laneCount() - 1)
			expandLanes(&k, &keys, set)
			for lane := range laneCount() {
				if set>>lane&1 == 0 {
					continue
				}
				var want Schedule
				expandGeneric(&want, keys[lane])
				for r := range k {
					if k[r][lane] != want.enc[r] {
						t.Fatalf("%s: lanes %#x: round key %d of lane %d differs", impl.name, set, r, lane)
					}
				}
			}
		}
	})
}

// FuzzEncrypt is for encryptAESNI and its like.
func FuzzEncrypt(f *testing.F) { fuzzMessage(f, (*Schedule).Encrypt, libraryEncrypt, encryptGeneric) }

// FuzzDecrypt is for decryptAESNI, decryptVAES and their like.
func FuzzDecrypt(f *testing.F) { fuzzMessage(f, (*Schedule).Decrypt, libraryDecrypt, decryptGeneric) }

func fuzzMessage(
	f *testing.F,
	run func(k *Schedule, dst, src []byte, iv *[16]byte),
	library func(t testing.TB, key *[32]byte, iv *[16]byte, src []byte) []byte,
	twin func(k *Schedule, dst, src *byte, n int, iv *[16]byte),
) {
	for _, blocks := range []int{0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 67} {
		f.Add(random(1, 48), random(2, blocks*BlockSize), true)
	}
	f.Fuzz(func(t *testing.T, b, src []byte, inPlace bool) {
		var key [32]byte
		var iv [16]byte
		copy(iv[:], b[copy(key[:], b):])
		src = src[:len(src)/BlockSize*BlockSize]
		want := library(t, &key, &iv, src)
		for _, impl := range implementations() {
			with(t, impl)
			var k Schedule
			k.Expand(&key)
			in, out := buffer(src, 0), buffer(src, 0)
			if inPlace {
				out = in
			}
			if run(&k, out, in[:len(src)], &iv); !bytes.Equal(out, buffer(want, 0)) {
				t.Errorf("%s: %d blocks: differs from the library, or wrote elsewhere", impl.name, len(src)/BlockSize)
			}
			if n := len(src) / BlockSize; n > 0 {
				alone := make([]byte, len(src))
				if twin(&k, &alone[0], &src[0], n, &iv); !bytes.Equal(alone, out[:len(src)]) {
					t.Errorf("%s: %d blocks: differs from its twin", impl.name, n)
				}
			}
		}
	})
}

// FuzzEncryptMany is for encryptLanesAESNI, encryptLanesVAES and their like: a byte of
// lengths makes a job.
func FuzzEncryptMany(f *testing.F) {
	f.Add(uint64(1), []byte{1, 2, 3})
	f.Add(uint64(2), bytes.Repeat([]byte{5}, 32))
	f.Add(uint64(3), append(bytes.Repeat([]byte{1}, 20), 255, 0, 9))
	f.Fuzz(func(t *testing.T, seed uint64, lengths []byte) {
		blocks := make([]int, min(len(lengths), 100))
		for i := range blocks {
			blocks[i] = int(lengths[i])
		}
		for _, impl := range implementations() {
			with(t, impl)
			newBatch(t, seeded(seed), blocks).check(t, new(ManyScratch))
		}
	})
}
