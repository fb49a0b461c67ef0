package x25519

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"slices"
	"testing"

	"ecoin/core/internal/vectors"
)

func unhex(t testing.TB, s string) *[32]byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		t.Fatalf("%q is not 32 bytes in hex", s)
	}
	return (*[32]byte)(b)
}

func mustBe(t *testing.T, what string, got *[32]byte, want string) {
	t.Helper()
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("%s: %x, want %s", what, got[:], want)
	}
}

// TestRFC7748 holds the vectors of RFC 7748 section 5.2.
func TestRFC7748(t *testing.T) {
	for _, v := range []struct{ k, u, want string }{
		{
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		{
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
	} {
		var got [32]byte
		if !Multiply(&got, unhex(t, v.k), unhex(t, v.u)) {
			t.Error("a product is called zero")
		}
		mustBe(t, "product", &got, v.want)
	}

	k, u := [32]byte{9}, [32]byte{9}
	for i := 1; i <= 1000; i++ {
		last := k
		Multiply(&k, &k, &u)
		u = last
		switch i {
		case 1:
			mustBe(t, "after one iteration", &k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
		case 1000:
			mustBe(t, "after 1000 iterations", &k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
		}
	}
}

// TestRFC7748Exchange holds the vectors of RFC 7748 section 6.1.
func TestRFC7748Exchange(t *testing.T) {
	const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
	pairs := []struct{ private, public string }{
		{
			"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		},
		{
			"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		},
	}
	for i, p := range pairs {
		var public, got [32]byte
		BaseMultiply(&public, unhex(t, p.private))
		mustBe(t, "public key", &public, p.public)
		Multiply(&public, unhex(t, p.private), &[32]byte{9})
		mustBe(t, "public key by the ladder", &public, p.public)
		Multiply(&got, unhex(t, p.private), unhex(t, pairs[1-i].public))
		mustBe(t, "shared secret", &got, shared)
	}
}

type xdhVectors struct {
	NumberOfTests int
	TestGroups    []struct {
		Curve string
		Tests []struct {
			TcID                            int
			Comment                         string
			Flags                           []string
			Public, Private, Shared, Result string
		}
	}
}

// TestWycheproof holds Project Wycheproof's vectors. Its "acceptable" ones are
// points on the twist, not reduced or of low order; all have the result that the
// RFC computes, and the last alone are zero.
func TestWycheproof(t *testing.T) {
	var v xdhVectors
	vectors.Wycheproof(t, "x25519_test.json", &v)
	n, zeros := 0, 0
	for _, g := range v.TestGroups {
		if g.Curve != "curve25519" {
			t.Fatalf("vectors of %s", g.Curve)
		}
		for _, c := range g.Tests {
			var got [32]byte
			ok := Multiply(&got, unhex(t, c.Private), unhex(t, c.Public))
			mustBe(t, c.Comment, &got, c.Shared)
			if ok == slices.Contains(c.Flags, "ZeroSharedSecret") {
				t.Errorf("case %d: reported %v", c.TcID, ok)
			}
			if n++; !ok {
				zeros++
			}
		}
	}
	if n != 518 || v.NumberOfTests != n || zeros != 31 {
		t.Errorf("%d vectors, %d of them zero; want 518 and 31", n, zeros)
	}
}

func TestLowOrder(t *testing.T) {
	for _, u := range lowOrderPoints {
		for _, top := range []byte{0, 0x80} {
			u[31] |= top
			got := [32]byte{1}
			if Multiply(&got, &[32]byte{1, 2, 3}, &u) || got != [32]byte{} {
				t.Errorf("u = %x is not refused", u[:])
			}
			if !lowOrder(&u) {
				t.Errorf("u = %x is not in the list", u[:])
			}
		}
	}
}

// FuzzAgainstStandardLibrary compares both products with crypto/ecdh.
func FuzzAgainstStandardLibrary(f *testing.F) {
	seeds := 0
	add := func(k, u []byte) {
		f.Add(k, u)
		seeds++
	}
	for _, u := range lowOrderPoints {
		add(bytes.Repeat([]byte{0x5a}, 32), u[:])
	}
	for _, b := range []byte{0x00, 0x01, 0x7f, 0x80, 0xff} {
		add(bytes.Repeat([]byte{b}, 32), bytes.Repeat([]byte{^b}, 32))
		add(bytes.Repeat([]byte{b}, 32), append([]byte{9}, make([]byte, 31)...))
	}
	if seeds != 17 {
		f.Fatalf("%d seeds, want 17", seeds)
	}
	f.Fuzz(func(t *testing.T, kb, ub []byte) {
		if len(kb) != 32 || len(ub) != 32 {
			return
		}
		k, u := (*[32]byte)(kb), (*[32]byte)(ub)
		priv, err := ecdh.X25519().NewPrivateKey(kb)
		if err != nil {
			t.Fatal(err)
		}
		pub, err := ecdh.X25519().NewPublicKey(ub)
		if err != nil {
			t.Fatal(err)
		}
		var got [32]byte
		want, err := priv.ECDH(pub)
		ok := Multiply(&got, k, u)
		if ok != (err == nil) || ok && !bytes.Equal(got[:], want) || !ok && got != [32]byte{} {
			t.Errorf("k %x, u %x: %x (%v), crypto/ecdh has %x (%v)", kb, ub, got, ok, want, err)
		}
		if BaseMultiply(&got, k); !bytes.Equal(got[:], priv.PublicKey().Bytes()) {
			t.Errorf("k %x: public key %x, crypto/ecdh has %x", kb, got, priv.PublicKey().Bytes())
		}
		// In place.
		x, y := *k, *u
		Multiply(&x, &x, u)
		Multiply(&y, k, &y)
		if x != y {
			t.Errorf("k %x, u %x: the product in place differs", kb, ub)
		}
	})
}
