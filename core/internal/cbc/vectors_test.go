package cbc

import (
	"bytes"
	"encoding/hex"
	"testing"

	"ecoin/core/internal/vectors"
)

// TestFIPS197 is FIPS 197 appendix A.3, the expansion of a key of 256 bits, at both
// ends and in the middle, and appendix C.3, one block.
func TestFIPS197(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		var k Schedule
		k.Expand((*[32]byte)(vectors.Hex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")))
		for round, want := range map[int]string{
			0:  "603deb1015ca71be2b73aef0857d7781",
			1:  "1f352c073b6108d72d9810a30914dff4",
			2:  "9ba354118e6925afa51a8b5f2067fcde",
			3:  "a8b09c1a93d194cdbe49846eb75d5b9a",
			14: "fe4890d1e6188d0b046df344706c631e",
		} {
			if got := hex.EncodeToString(k.enc[round][:]); got != want {
				t.Errorf("A.3: round key %d is %s, want %s", round, got, want)
			}
		}
		k.Expand((*[32]byte)(vectors.Hex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")))
		plain, want := vectors.Hex(t, "00112233445566778899aabbccddeeff"), vectors.Hex(t, "8ea2b7ca516745bfeafc49904b496089")
		var got [16]byte
		k.Encrypt(got[:], plain, new([16]byte))
		if !bytes.Equal(got[:], want) {
			t.Errorf("C.3: encrypts to %x", got)
		}
		if k.Decrypt(got[:], want, new([16]byte)); !bytes.Equal(got[:], plain) {
			t.Errorf("C.3: decrypts to %x", got)
		}
	})
}

// TestSP80038A is NIST SP 800-38A appendix F.2.5 and F.2.6, CBC-AES256.
func TestSP80038A(t *testing.T) {
	key := [32]byte(vectors.Hex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
	iv := [16]byte(vectors.Hex(t, "000102030405060708090a0b0c0d0e0f"))
	plain := vectors.Hex(t, "6bc1bee22e409f96e93d7e117393172a"+
		"ae2d8a571e03ac9c9eb76fac45af8e51"+
		"30c81c46a35ce411e5fbc1191a0a52ef"+
		"f69f2445df4f9b17ad2b417be66c3710")
	sealed := vectors.Hex(t, "f58c4c04d6e5f1ba779eabfb5f7bfbd6"+
		"9cfc4e967edb808d679f777bc6702c7d"+
		"39f23369a9d9bacfa530e26304231461"+
		"b2eb05e2c39be9fcda6c19078c6a9d1b")
	eachImplementation(t, func(t *testing.T) { checkVector(t, "F.2.5", &key, &iv, plain, sealed) })
}

// TestWycheproof holds Project Wycheproof's vectors of AES-CBC with PKCS #7 padding
// that have a key of 256 bits. Those that are invalid have bad padding, or no full
// blocks.
func TestWycheproof(t *testing.T) {
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			IvSize, KeySize int
			Tests           []struct {
				TcID                     int
				Key, Iv, Msg, Ct, Result string
			}
		}
	}
	vectors.Wycheproof(t, "aes_cbc_pkcs5_test.json", &v)
	eachImplementation(t, func(t *testing.T) {
		all, valid, invalid := 0, 0, 0
		for _, g := range v.TestGroups {
			all += len(g.Tests)
			if g.KeySize != 256 {
				continue
			}
			for _, c := range g.Tests {
				key, iv := [32]byte(vectors.Hex(t, c.Key)), [16]byte(vectors.Hex(t, c.Iv))
				msg, sealed := vectors.Hex(t, c.Msg), vectors.Hex(t, c.Ct)
				switch c.Result {
				case "valid":
					valid++
					checkVector(t, c.Result, &key, &iv, pad(msg), sealed)
				case "invalid":
					invalid++
					if len(sealed)%BlockSize != 0 {
						continue
					}
					var k Schedule
					k.Expand(&key)
					plain := make([]byte, len(sealed))
					k.Decrypt(plain, sealed, &iv)
					if _, ok := unpad(plain); ok {
						t.Errorf("case %d: good padding", c.TcID)
					}
				default:
					t.Fatalf("case %d has result %q", c.TcID, c.Result)
				}
			}
		}
		if all != 216 || v.NumberOfTests != all || valid != 24 || invalid != 48 {
			t.Errorf("%d vectors, with our key length %d valid and %d invalid; want 216, 24 and 48", all, valid, invalid)
		}
	})
}

// checkVector holds one message to its ciphertext, both ways, alone and in lanes.
func checkVector(t *testing.T, name string, key *[32]byte, iv *[16]byte, plain, sealed []byte) {
	t.Helper()
	var k Schedule
	k.Expand(key)
	got := make([]byte, len(sealed))
	if k.Encrypt(got, plain, iv); !bytes.Equal(got, sealed) {
		t.Errorf("%s: key %x encrypts to %x, want %x", name, *key, got, sealed)
	}
	if k.Decrypt(got, sealed, iv); !bytes.Equal(got, plain) {
		t.Errorf("%s: key %x decrypts to %x, want %x", name, *key, got, plain)
	}
	var jobs [3]Job
	for i := range jobs {
		jobs[i] = Job{Key: key, IV: iv, Dst: make([]byte, len(plain)), Src: plain}
	}
	EncryptMany(new(ManyScratch), jobs[:])
	for _, j := range jobs {
		if !bytes.Equal(j.Dst, sealed) {
			t.Errorf("%s: key %x encrypts in lanes to %x, want %x", name, *key, j.Dst, sealed)
		}
	}
}

// pad is PKCS #7 padding (RFC 5652 section 6.3), and unpad its inverse. The package
// has neither: these are for the vectors.
func pad(p []byte) []byte {
	n := BlockSize - len(p)%BlockSize
	return append(bytes.Clone(p), bytes.Repeat([]byte{byte(n)}, n)...)
}

func unpad(p []byte) (text []byte, ok bool) {
	if len(p) == 0 {
		return nil, false
	}
	n := int(p[len(p)-1])
	if n == 0 || n > BlockSize {
		return nil, false
	}
	text = p[:len(p)-n]
	return text, bytes.Equal(p, pad(text))
}
