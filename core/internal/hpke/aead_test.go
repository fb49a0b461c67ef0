package hpke

import (
	"bytes"
	"testing"

	"ecoin/core/internal/vectors"
)

// TestWycheproof holds Project Wycheproof's vectors of ChaCha20-Poly1305. Those
// with a nonce of another length have no counterpart here.
func TestWycheproof(t *testing.T) {
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			IvSize, KeySize, TagSize int
			Tests                    []struct {
				TcID                               int
				Key, Iv, Aad, Msg, Ct, Tag, Result string
			}
		}
	}
	vectors.Wycheproof(t, "chacha20_poly1305_test.json", &v)
	all, valid, invalid := 0, 0, 0
	for _, g := range v.TestGroups {
		all += len(g.Tests)
		if g.IvSize != 96 {
			continue
		}
		if g.KeySize != 256 || g.TagSize != 128 {
			t.Fatalf("key of %d bits, tag of %d", g.KeySize, g.TagSize)
		}
		for _, c := range g.Tests {
			a := aead{key: [32]byte(vectors.Hex(t, c.Key)), nonce: [12]byte(vectors.Hex(t, c.Iv))}
			b := a
			aad, msg := vectors.Hex(t, c.Aad), vectors.Hex(t, c.Msg)
			sealed := append(vectors.Hex(t, c.Ct), vectors.Hex(t, c.Tag)...)
			got := make([]byte, len(sealed)-TagLen)
			ok := a.open(got, sealed, aad)
			switch c.Result {
			case "valid":
				valid++
				made := make([]byte, len(msg)+TagLen)
				b.seal(made, msg, aad)
				if !ok || !bytes.Equal(got, msg) || !bytes.Equal(made, sealed) {
					t.Errorf("case %d: differs, or does not open", c.TcID)
				}
			case "invalid":
				invalid++
				if ok || !bytes.Equal(got, make([]byte, len(got))) {
					t.Errorf("case %d: opens, or leaves something in dst", c.TcID)
				}
			default:
				t.Fatalf("case %d has result %q", c.TcID, c.Result)
			}
		}
	}
	if all != 325 || v.NumberOfTests != all || valid != 256 || invalid != 60 {
		t.Errorf("%d vectors, with our nonce length %d valid and %d invalid; want 325, 256 and 60", all, valid, invalid)
	}
}
