package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"ecoin/core/internal/vectors"
)

// twin is RFC 9180 for SuiteX25519 and, from the shared secret on, for SuiteXWing,
// written from the RFC with X25519, HMAC and ChaCha20Poly1305 alone. It shares no HPKE
// code with the package, so that each checks the other.
type twin struct {
	sharedSecret, key, baseNonce []byte
}

func twinHMAC(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func labeledExtract(suiteID, salt, label string, ikm []byte) []byte {
	return twinHMAC([]byte(salt), append([]byte("HPKE-v1"+suiteID+label), ikm...))
}

// labeledExpand gives at most 32 bytes, one block of HKDF-Expand.
func labeledExpand(suiteID string, prk []byte, label string, info []byte, n int) []byte {
	data := binary.BigEndian.AppendUint16(nil, uint16(n))
	data = append(data, "HPKE-v1"+suiteID+label...)
	data = append(append(data, info...), 1)
	return twinHMAC(prk, data)[:n]
}

// newTwin is Encap or Decap (RFC 9180 section 4.1) and KeySchedule (section 5.1):
// dh is the Diffie-Hellman result of either side.
func newTwin(dh, enc, pkR, info []byte) *twin {
	const kem, suite = "KEM\x00\x20", "HPKE\x00\x20\x00\x01\x00\x03"
	prk := labeledExtract(kem, "", "eae_prk", dh)
	shared := labeledExpand(kem, prk, "shared_secret", append(bytes.Clone(enc), pkR...), 32)
	return scheduleTwin(suite, shared, info)
}

// scheduleTwin is KeySchedule alone (section 5.1), from the KEM's shared secret.
func scheduleTwin(suite string, shared, info []byte) *twin {
	context := []byte{0} // mode_base
	context = append(context, labeledExtract(suite, "", "psk_id_hash", nil)...)
	context = append(context, labeledExtract(suite, "", "info_hash", info)...)
	secret := labeledExtract(suite, string(shared), "secret", nil)
	return &twin{
		sharedSecret: shared,
		key:          labeledExpand(suite, secret, "key", context, 32),
		baseNonce:    labeledExpand(suite, secret, "base_nonce", context, 12),
	}
}

func (w *twin) nonce(seq uint64) []byte {
	nonce := bytes.Clone(w.baseNonce)
	for i := range 8 {
		nonce[11-i] ^= byte(seq >> (8 * i))
	}
	return nonce
}

func (w *twin) seal(t testing.TB, seq uint64, aad, plaintext []byte) []byte {
	aead, err := chacha20poly1305.New(w.key)
	if err != nil {
		t.Fatal(err)
	}
	return aead.Seal(nil, w.nonce(seq), plaintext, aad)
}

func (w *twin) open(t testing.TB, aad, ciphertext []byte) []byte {
	aead, err := chacha20poly1305.New(w.key)
	if err != nil {
		t.Fatal(err)
	}
	plaintext, err := aead.Open(nil, w.nonce(0), ciphertext, aad)
	if err != nil {
		t.Fatalf("the twin cannot open: %v", err)
	}
	return plaintext
}

func twinDH(t testing.TB, private, public []byte) []byte {
	sk, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	dh, err := sk.ECDH(pk)
	if err != nil {
		t.Fatal(err)
	}
	return dh
}

type rfc9180 struct {
	Info, IkmE, SkEm, PkEm, IkmR, SkRm, PkRm, Key, Pt string
	SharedSecret                                      string `json:"shared_secret"`
	BaseNonce                                         string `json:"base_nonce"`
	Encryptions                                       []struct {
		Seq     uint64
		Aad, Ct string
	}
	Exports []struct{ Context, Value string }
}

func readRFC9180(t testing.TB) *rfc9180 {
	t.Helper()
	v := new(rfc9180)
	vectors.File(t, "testdata/rfc9180-a2.json", v)
	if len(v.Encryptions) != 6 || len(v.Exports) != 3 {
		t.Fatalf("%d encryptions and %d exports, want 6 and 3", len(v.Encryptions), len(v.Exports))
	}
	return v
}

// TestRFC9180Twin checks the twin against RFC 9180 appendix A.2.1.
func TestRFC9180Twin(t *testing.T) {
	v := readRFC9180(t)
	pkE, pkR := vectors.Hex(t, v.PkEm), vectors.Hex(t, v.PkRm)
	for side, dh := range map[string][]byte{
		"sender":    twinDH(t, vectors.Hex(t, v.SkEm), pkR),
		"recipient": twinDH(t, vectors.Hex(t, v.SkRm), pkE),
	} {
		w := newTwin(dh, pkE, pkR, vectors.Hex(t, v.Info))
		for _, c := range []struct {
			name, want string
			got        []byte
		}{
			{"shared_secret", v.SharedSecret, w.sharedSecret},
			{"key", v.Key, w.key},
			{"base_nonce", v.BaseNonce, w.baseNonce},
		} {
			if hex.EncodeToString(c.got) != c.want {
				t.Errorf("%s: %s differs from the RFC", side, c.name)
			}
		}
		for _, e := range v.Encryptions {
			if got := w.seal(t, e.Seq, vectors.Hex(t, e.Aad), vectors.Hex(t, v.Pt)); hex.EncodeToString(got) != e.Ct {
				t.Errorf("%s: ciphertext %d differs from the RFC", side, e.Seq)
			}
		}
	}
}

// TestRFC9180Suite drives the recipient of crypto/hpke, with the algorithms that
// SuiteX25519 names, through RFC 9180 appendix A.2.1.
func TestRFC9180Suite(t *testing.T) {
	if x25519KEM.ID() != 0x20 || suiteKDF.ID() != 1 || suiteAEAD.ID() != 3 {
		t.Fatal("SuiteX25519 is not KEM 0x0020, KDF 0x0001, AEAD 0x0003")
	}
	v := readRFC9180(t)
	for _, pair := range [][3]string{{v.IkmE, v.SkEm, v.PkEm}, {v.IkmR, v.SkRm, v.PkRm}} {
		key, err := x25519KEM.DeriveKeyPair(vectors.Hex(t, pair[0]))
		if err != nil {
			t.Fatal(err)
		}
		given, err := x25519KEM.NewPrivateKey(vectors.Hex(t, pair[1]))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []hpke.PrivateKey{key, given} {
			if got := hex.EncodeToString(k.PublicKey().Bytes()); got != pair[2] {
				t.Errorf("public key %s, the RFC has %s", got, pair[2])
			}
		}
	}
	key, err := x25519KEM.NewPrivateKey(vectors.Hex(t, v.SkRm))
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := hpke.NewRecipient(vectors.Hex(t, v.PkEm), key, suiteKDF, suiteAEAD, vectors.Hex(t, v.Info))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range v.Exports {
		got, err := recipient.Export(string(vectors.Hex(t, e.Context)), 32)
		if err != nil || hex.EncodeToString(got) != e.Value {
			t.Errorf("export %q differs from the RFC (%v)", e.Context, err)
		}
	}
	w := newTwin(twinDH(t, vectors.Hex(t, v.SkRm), vectors.Hex(t, v.PkEm)), vectors.Hex(t, v.PkEm), vectors.Hex(t, v.PkRm), vectors.Hex(t, v.Info))
	next := 0 // a recipient opens in order: the twin fills the numbers between
	for seq := uint64(0); next < len(v.Encryptions); seq++ {
		aad := []byte("between")
		ct := w.seal(t, seq, aad, []byte("filler"))
		want := []byte("filler")
		if e := v.Encryptions[next]; e.Seq == seq {
			aad, ct, want = vectors.Hex(t, e.Aad), vectors.Hex(t, e.Ct), vectors.Hex(t, v.Pt)
			next++
		}
		got, err := recipient.Open(aad, ct)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("ciphertext %d does not open: %v", seq, err)
		}
	}
}

// x25519Record is the record around coin a0..bf and IV c0..cf for the recipient
// key of RFC 9180 A.2.1 under its ephemeral key, computed with Python's
// cryptography package.
const x25519Record = "01100100fef6e9a0f5594fcd1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a13b53e7acf0e78d6ac4dcec9ac6e2892451f97550189315f1b455e81e41811faaeda6ecc619ef71f1b2abed51460f47fede4ee7faf780ecaebda2654f49571b9"

func TestX25519Record(t *testing.T) {
	v := readRFC9180(t)
	want := new(Secrets)
	for i := range 32 {
		want.Coin[i] = 0xa0 + byte(i)
	}
	for i := range 16 {
		want.IV[i] = 0xc0 + byte(i)
	}
	priv, err := ecdh.X25519().NewPrivateKey(vectors.Hex(t, v.SkRm))
	if err != nil {
		t.Fatal(err)
	}
	key, err := newX25519(priv)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := append(want.Coin[:], want.IV[:]...)

	// The fixed record opens, and the twin makes the same bytes.
	record := vectors.Hex(t, x25519Record)
	var s Scratch
	var got Secrets
	if err := ring.OpenHeader(&s, record, &got); err != nil || got != *want {
		t.Errorf("the fixed record does not open: %v", err)
	}
	w := newTwin(twinDH(t, vectors.Hex(t, v.SkEm), vectors.Hex(t, v.PkRm)), vectors.Hex(t, v.PkEm), vectors.Hex(t, v.PkRm), []byte(headerInfo))
	if made := w.seal(t, 0, record[:BoundLen], plain); !bytes.Equal(made, record[BoundLen+32:]) {
		t.Error("the twin makes another record")
	}

	// What AppendHeader makes, the twin opens with the recipient's key.
	fresh := mustRecord(t, key.Public(), want)
	enc := fresh[BoundLen : BoundLen+32]
	w = newTwin(twinDH(t, vectors.Hex(t, v.SkRm), enc), enc, vectors.Hex(t, v.PkRm), []byte(headerInfo))
	if !bytes.Equal(w.open(t, fresh[:BoundLen], fresh[BoundLen+32:]), plain) {
		t.Error("the twin opens a fresh record to something else")
	}
}
