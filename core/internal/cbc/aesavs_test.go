package cbc

import (
	"testing"

	"ecoin/core/internal/race"
	"ecoin/core/internal/vectors"
)

// The tests of this file follow NIST's "The Advanced Encryption Standard Algorithm
// Validation Suite (AESAVS)", whose inputs are built by rules; the answers are those of
// crypto/aes, except for the ones that the text prints.

// TestAESAVSKnown is the known answer tests for keys of 256 bits: VarKey (appendix E.3)
// has the first i bits of the key set, VarTxt (D.3) those of the plaintext, and GFSbox
// (B.3) and KeySbox (C.3, the first four of its keys) are printed there.
func TestAESAVSKnown(t *testing.T) {
	type vector struct {
		key    [32]byte
		plain  [16]byte
		sealed string // "" where only crypto/aes tells
	}
	var cases []vector
	for i := 1; i <= 256; i++ {
		v := vector{key: [32]byte(ones(i, 32))}
		switch i {
		case 1:
			v.sealed = "e35a6dcb19b201a01ebcfa8aa22b5759"
		case 256:
			v.sealed = "4bf85f1b5d54adbc307b0a048389adcb"
		}
		cases = append(cases, v)
	}
	for i := 1; i <= 128; i++ {
		v := vector{plain: [16]byte(ones(i, 16))}
		switch i {
		case 1:
			v.sealed = "ddc6bf790c15760d8d9aeb6f9a75fd4e"
		case 128:
			v.sealed = "acdace8078a32b1a182bfa4987ca1347"
		}
		cases = append(cases, v)
	}
	for _, p := range [][2]string{
		{"014730f80ac625fe84f026c60bfd547d", "5c9d844ed46f9885085e5d6a4f94c7d7"},
		{"0b24af36193ce4665f2825d7b4749c98", "a9ff75bd7cf6613d3731c77c3b6d0c04"},
		{"761c1fe41a18acf20d241650611d90f1", "623a52fcea5d443e48d9181ab32c7421"},
		{"8a560769d605868ad80d819bdba03771", "38f2c7ae10612415d27ca190d27da8b4"},
		{"91fbef2d15a97816060bee1feaa49afe", "1bc704f1bce135ceb810341b216d7abe"},
	} {
		cases = append(cases, vector{plain: [16]byte(vectors.Hex(t, p[0])), sealed: p[1]})
	}
	for _, p := range [][2]string{
		{"c47b0294dbbbee0fec4757f22ffeee3587ca4730c3d33b691df38bab076bc558", "46f2fb342d6f0ab477476fc501242c5f"},
		{"28d46cffa158533194214a91e712fc2b45b518076675affd910edeca5f41ac64", "4bf3b0a69aeb6657794f2901b1440ad4"},
		{"c1cc358b449909a19436cfbb3f852ef8bcb5ed12ac7058325f56e6099aab1a1c", "352065272169abf9856843927d0674fd"},
		{"984ca75f4ee8d706f46c2d98c0bf4a45f5b00d791c2dfeb191b5ed8e420fd627", "4307456a9e67813b452e15fa8fffe398"},
	} {
		cases = append(cases, vector{key: [32]byte(vectors.Hex(t, p[0])), sealed: p[1]})
	}
	if len(cases) != 256+128+5+4 {
		t.Fatalf("%d vectors", len(cases))
	}
	eachImplementation(t, func(t *testing.T) {
		var iv [16]byte
		for _, v := range cases {
			want := libraryEncrypt(t, &v.key, &iv, v.plain[:])
			if v.sealed != "" {
				want = vectors.Hex(t, v.sealed)
			}
			checkVector(t, "AESAVS", &v.key, &iv, v.plain[:], want)
		}
	})
}

// ones returns n bits that are set and then zeros, size bytes in all.
func ones(n, size int) []byte {
	b := make([]byte, size)
	for i := range n {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return b
}

// TestAESAVSMonteCarlo is the Monte Carlo test of CBC (section 6.4.2): 100 keys of 1000
// encryptions, and as many decryptions, each fed with what came before.
func TestAESAVSMonteCarlo(t *testing.T) {
	outer := 100
	if testing.Short() || race.Enabled {
		outer = 3
	}
	for _, direction := range []string{"encrypt", "decrypt"} {
		want := monteCarlo(t, outer, direction, func(key *[32]byte) func(dst, src, iv *[16]byte) {
			b := libraryCipher(t, key)
			if direction == "encrypt" {
				return func(dst, src, iv *[16]byte) {
					for i := range dst {
						dst[i] = src[i] ^ iv[i]
					}
					b.Encrypt(dst[:], dst[:])
				}
			}
			return func(dst, src, iv *[16]byte) {
				b.Decrypt(dst[:], src[:])
				for i := range dst {
					dst[i] ^= iv[i]
				}
			}
		})
		eachImplementation(t, func(t *testing.T) {
			got := monteCarlo(t, outer, direction, func(key *[32]byte) func(dst, src, iv *[16]byte) {
				var k Schedule
				k.Expand(key)
				if direction == "encrypt" {
					return func(dst, src, iv *[16]byte) { k.Encrypt(dst[:], src[:], iv) }
				}
				return func(dst, src, iv *[16]byte) { k.Decrypt(dst[:], src[:], iv) }
			})
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%s: answer %d is %x, want %x", direction, i, got[i], want[i])
				}
			}
		})
	}
}

// monteCarlo returns the last output under each key.
func monteCarlo(t *testing.T, outer int, seed string, begin func(*[32]byte) func(dst, src, iv *[16]byte)) [][16]byte {
	t.Helper()
	start := random(byte(len(seed)), 64)
	key, iv, in := [32]byte(start), [16]byte(start[32:]), [16]byte(start[48:])
	var answers [][16]byte
	for range outer {
		step := begin(&key)
		var before, out [16]byte
		chain, encrypting := iv, seed == "encrypt"
		for j := range 1000 {
			before = out
			step(&out, &in, &chain)
			// The next input is the output before this one, or the IV at first.
			next := before
			if j == 0 {
				next = iv
			}
			chain = out
			if !encrypting {
				chain = in
			}
			in = next
		}
		answers = append(answers, out)
		// The next key is this one plus the last two outputs.
		for i := range 16 {
			key[i] ^= before[i]
			key[16+i] ^= out[i]
		}
		iv, in = out, before
	}
	return answers
}
