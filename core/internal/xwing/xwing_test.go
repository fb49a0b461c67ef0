package xwing

import (
	"bytes"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/hex"
	"strings"
	"testing"

	"ecoin/core/internal/vectors"
	"ecoin/core/internal/x25519"
)

// decapsulate is the three steps of a recipient.
func (k *PrivateKey) decapsulate(shared *[32]byte, enc *[EncLen]byte) bool {
	var e Exchange
	private, public := k.X25519()
	if !x25519.Multiply(e.X25519(), private, EncX25519(enc)) {
		return false
	}
	k.DecapsulateMLKEM(&e, enc)
	e.Combine(shared, enc, public)
	return true
}

// encapsulate is the three steps of a sender. If random is not nil, it takes from
// there what EncapsulateMLKEM would draw.
func (k *PublicKey) encapsulate(t testing.TB, shared *[32]byte, enc *[EncLen]byte, random []byte, ephemeral *[32]byte) bool {
	t.Helper()
	var e Exchange
	k.EncapsulateMLKEM(&e, enc)
	if random != nil {
		ss, ct, err := mlkemtest.Encapsulate768(k.mlkem, random)
		if err != nil {
			t.Fatal(err)
		}
		copy(e.mlkem()[:], ss)
		copy(enc[:], ct)
	}
	if !x25519.Multiply(e.X25519(), ephemeral, k.X25519()) {
		return false
	}
	x25519.BaseMultiply(EncX25519(enc), ephemeral)
	e.Combine(shared, enc, k.X25519())
	return true
}

// TestVectors holds the two vectors of X-Wing in Go's source, in both directions.
func TestVectors(t *testing.T) {
	type vector struct {
		IkmE, SkRm, PkRm, Enc string
		SharedSecret          string `json:"shared_secret"`
	}
	var v struct{ Suite, Kem vector }
	vectors.File(t, "../../testdata/xwing.json", &v)
	for _, v := range []vector{v.Suite, v.Kem} {
		private := NewPrivateKey((*[SeedLen]byte)(vectors.Hex(t, v.SkRm)))
		if got := hex.EncodeToString(private.Public()[:]); got != v.PkRm {
			t.Errorf("public key %s, want %s", got, v.PkRm)
		}
		var shared [32]byte
		if !private.decapsulate(&shared, (*[EncLen]byte)(vectors.Hex(t, v.Enc))) || hex.EncodeToString(shared[:]) != v.SharedSecret {
			t.Errorf("decapsulates to %x, want %s", shared, v.SharedSecret)
		}
		public, err := NewPublicKey((*[PublicLen]byte)(vectors.Hex(t, v.PkRm)))
		if err != nil {
			t.Fatal(err)
		}
		var enc [EncLen]byte
		random := vectors.Hex(t, v.IkmE)
		shared = [32]byte{}
		ok := public.encapsulate(t, &shared, &enc, random[:32], (*[32]byte)(random[32:]))
		if !ok || hex.EncodeToString(enc[:]) != v.Enc || hex.EncodeToString(shared[:]) != v.SharedSecret {
			t.Errorf("encapsulates to %x, secret %x, want %s", enc, shared, v.SharedSecret)
		}
	}
}

// TestWycheproof holds Project Wycheproof's vectors of ML-KEM-768 decapsulation from a
// seed. Ciphertexts and seeds of another length cannot be passed to this package.
func TestWycheproof(t *testing.T) {
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID                   int
				Seed, Ek, C, K, Result string
			}
		}
	}
	vectors.Wycheproof(t, "mlkem_768_test.json", &v)
	all, valid, length := 0, 0, 0
	for _, g := range v.TestGroups {
		for _, c := range g.Tests {
			all++
			seed, ciphertext := vectors.Hex(t, c.Seed), vectors.Hex(t, c.C)
			if c.Result == "invalid" && (len(seed) != mlkem.SeedSize || len(ciphertext) != mlkem.CiphertextSize768) {
				length++
				continue
			}
			if c.Result != "valid" {
				t.Errorf("case %d is %s", c.TcID, c.Result)
				continue
			}
			valid++
			key, err := mlkem.NewDecapsulationKey768(seed)
			if err != nil {
				t.Fatal(err)
			}
			if c.Ek != "" && hex.EncodeToString(key.EncapsulationKey().Bytes()) != c.Ek {
				t.Errorf("case %d: another public key", c.TcID)
			}
			var e Exchange
			var enc [EncLen]byte
			copy(enc[:], ciphertext)
			private := &PrivateKey{mlkem: key}
			private.DecapsulateMLKEM(&e, &enc)
			if hex.EncodeToString(e.mlkem()[:]) != c.K {
				t.Errorf("case %d: secret %x, want %s", c.TcID, *e.mlkem(), c.K)
			}
		}
	}
	if v.NumberOfTests != all || all != 201 || valid != 161 || length != 40 {
		t.Errorf("%d vectors, %d valid and %d of another length; want 201, 161 and 40", all, valid, length)
	}
}

// TestWycheproofEncapsulation holds those of encapsulation: which keys NewPublicKey
// takes, and what a key encapsulates to. Keys of another length cannot be passed.
func TestWycheproofEncapsulation(t *testing.T) {
	var v struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID                int
				M, Ek, C, K, Result string
			}
		}
	}
	vectors.Wycheproof(t, "mlkem_768_encaps_test.json", &v)
	all, valid, refused, length := 0, 0, 0, 0
	for _, g := range v.TestGroups {
		for _, c := range g.Tests {
			all++
			ek := vectors.Hex(t, c.Ek)
			if len(ek) != mlkem.EncapsulationKeySize768 {
				length++
				continue
			}
			b := (*[PublicLen]byte)(append(ek, append([]byte{9}, make([]byte, 31)...)...))
			public, err := NewPublicKey(b)
			if c.Result == "invalid" {
				refused++
				if public != nil || err == nil || !strings.Contains(err.Error(), "ML-KEM-768 half is not fully reduced") {
					t.Errorf("case %d: a key comes with %v", c.TcID, err)
				}
				continue
			}
			valid++
			if err != nil {
				t.Errorf("case %d: %v", c.TcID, err)
				continue
			}
			ss, ct, err := mlkemtest.Encapsulate768(public.mlkem, vectors.Hex(t, c.M))
			if err != nil || hex.EncodeToString(ss) != c.K || hex.EncodeToString(ct) != c.C {
				t.Errorf("case %d: secret %x, want %s (%v)", c.TcID, ss, c.K, err)
			}
		}
	}
	if v.NumberOfTests != all || all != 265 || valid != 133 || refused != 112 || length != 20 {
		t.Errorf("%d vectors, %d valid, %d refused, %d of another length; want 265, 133, 112 and 20", all, valid, refused, length)
	}
}

func TestRandomExchange(t *testing.T) {
	private := NewPrivateKey(&[SeedLen]byte{1, 2, 3})
	public, err := NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	var a, b, again [32]byte
	var enc, other [EncLen]byte
	if !public.encapsulate(t, &a, &enc, nil, &[32]byte{4}) || !private.decapsulate(&b, &enc) || a != b {
		t.Error("the two sides differ")
	}
	public.encapsulate(t, &again, &other, nil, &[32]byte{4})
	if bytes.Equal(enc[:100], other[:100]) || again == a {
		t.Error("the ML-KEM half is the same twice")
	}
	std, err := hpke.MLKEM768X25519().NewPrivateKey(append([]byte{1, 2, 3}, make([]byte, 29)...))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(std.PublicKey().Bytes(), private.Public()[:]) {
		t.Error("crypto/hpke makes another public key of the seed")
	}
}

func TestLowOrder(t *testing.T) {
	private := NewPrivateKey(&[SeedLen]byte{1})
	for _, u := range [][32]byte{{}, {1}, {31: 0x80}} {
		b := *private.Public()
		copy(b[mlkem.EncapsulationKeySize768:], u[:])
		if k, err := NewPublicKey(&b); k != nil || err == nil || !strings.Contains(err.Error(), "low order") {
			t.Errorf("the X25519 half %x is taken (%v)", u, err)
		}
	}
}
