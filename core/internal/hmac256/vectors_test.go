package hmac256

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"ecoin/core/internal/vectors"
)

// TestRFC4231 holds test cases 1 to 5 of RFC 4231 section 4. Cases 6 and 7 have keys
// of 131 bytes, which we do not take.
func TestRFC4231(t *testing.T) {
	repeat := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	var counting []byte
	for i := byte(1); i <= 25; i++ {
		counting = append(counting, i)
	}
	eachPath(t, func(t *testing.T) {
		for _, c := range []struct {
			name     string
			key, msg []byte
			want     string // case 5 gives 128 bits
		}{
			{"1", repeat(0x0b, 20), []byte("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
			{"2", []byte("Jefe"), []byte("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
			{"3", repeat(0xaa, 20), repeat(0xdd, 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
			{"4", counting, repeat(0xcd, 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
			{"5", repeat(0x0c, 20), []byte("Test With Truncation"), "a3b6167473100ee06e0c796c2955552b"},
		} {
			var s Scratch
			var k Key
			var got [Size]byte
			k.Set(&s, c.key)
			k.Sum(&s, &got, c.msg)
			if hex.EncodeToString(got[:len(c.want)/2]) != c.want {
				t.Errorf("case %s: %x differs from the RFC", c.name, got)
			}
		}
	})
}

// TestWycheproofHMAC holds the vectors with keys that fit; the others, of 65 bytes,
// must be hashed first, which is not offered.
func TestWycheproofHMAC(t *testing.T) {
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			KeySize, TagSize int
			Tests            []struct {
				TcID                           int
				Comment, Key, Msg, Tag, Result string
			}
		}
	}
	vectors.Wycheproof(t, "hmac_sha256_test.json", &v)
	eachPath(t, func(t *testing.T) {
		n, valid, long := 0, 0, 0
		var keys [][32]byte
		var msgs [][]byte
		var sums [][Size]byte
		for _, g := range v.TestGroups {
			for _, c := range g.Tests {
				if g.KeySize > 8*blockSize {
					long++
					continue
				}
				var s Scratch
				var k Key
				var got [Size]byte
				k.Set(&s, vectors.Hex(t, c.Key))
				k.Sum(&s, &got, vectors.Hex(t, c.Msg))
				ok := bytes.Equal(got[:g.TagSize/8], vectors.Hex(t, c.Tag))
				if ok != (c.Result == "valid") {
					t.Errorf("case %d, %s: the tag is right: %v, want %s", c.TcID, c.Comment, ok, c.Result)
				}
				if n++; ok {
					valid++
				}
				if g.KeySize == 256 {
					keys, msgs = append(keys, [32]byte(vectors.Hex(t, c.Key))), append(msgs, vectors.Hex(t, c.Msg))
					sums = append(sums, got)
				}
			}
		}
		if n != 168 || valid != 60 || long != 6 || v.NumberOfTests != n+long {
			t.Errorf("%d vectors, %d of them valid, %d with a long key; want 168, 60, 6", n, valid, long)
		}
		got := make([][Size]byte, len(sums))
		SumMany(new(ManyScratch), got, keys, msgs)
		for i := range got {
			if got[i] != sums[i] {
				t.Errorf("vector %d with a key of 32 bytes: SumMany differs from Sum", i)
			}
		}
		if len(got) != 162 {
			t.Errorf("%d vectors with keys of 32 bytes, want 162", len(got))
		}
	})
}

// TestWycheproofHKDF builds HKDF (RFC 5869) from Sum.
func TestWycheproofHKDF(t *testing.T) {
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID                 int
				IKM, Salt, Info, OKM string
				Size                 int
				Flags                []string
				Comment, Result      string
			}
		}
	}
	vectors.Wycheproof(t, "hkdf_sha256_test.json", &v)
	eachPath(t, func(t *testing.T) {
		n, refused := 0, 0
		for _, g := range v.TestGroups {
			for _, c := range g.Tests {
				n++
				okm, ok := hkdf(vectors.Hex(t, c.IKM), vectors.Hex(t, c.Salt), vectors.Hex(t, c.Info), c.Size)
				if !ok {
					refused++
				}
				if ok != (c.Result == "valid") || ok && !bytes.Equal(okm, vectors.Hex(t, c.OKM)) {
					t.Errorf("case %d, %s: differs", c.TcID, c.Comment)
				}
			}
		}
		if n != 86 || refused != 3 || v.NumberOfTests != n {
			t.Errorf("%d vectors, %d of them refused; want 86 and 3", n, refused)
		}
	})
}

// hkdf returns size bytes, or false where the RFC allows fewer.
func hkdf(ikm, salt, info []byte, size int) (okm []byte, ok bool) {
	if size > 255*Size {
		return nil, false
	}
	var s Scratch
	var k Key
	var prk, block [Size]byte
	if len(salt) > blockSize { // HMAC's own rule for long keys (RFC 2104 section 3)
		hash := sha256.Sum256(salt)
		salt = hash[:]
	}
	k.Set(&s, salt)
	k.Sum(&s, &prk, ikm)
	k.Set(&s, prk[:])
	last := block[:0]
	for i := byte(1); len(okm) < size; i++ {
		k.Sum(&s, &block, last, info, []byte{i})
		last = block[:]
		okm = append(okm, block[:]...)
	}
	return okm[:size], true
}
