package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha3"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ecoin/core/internal/vectors"
)

// xwingVector is testdata/xwing.json as far as this package needs it.
type xwingVector struct {
	Suite struct {
		Info, IkmE, SkRm, PkRm, Enc, Key string
		SharedSecret                     string `json:"shared_secret"`
		BaseNonce                        string `json:"base_nonce"`
		Encryptions                      []struct{ Nonce, Aad, Pt, Ct string }
	}
	Record string
}

func readXWing(t testing.TB) *xwingVector {
	t.Helper()
	v := new(xwingVector)
	vectors.File(t, "testdata/xwing.json", v)
	if len(v.Suite.Encryptions) != 10 || len(v.Record) != 2*1196 {
		t.Fatalf("%d encryptions and a record of %d digits, want 10 and 2392", len(v.Suite.Encryptions), len(v.Record))
	}
	return v
}

// xwingTwin is X-Wing written from the draft with ML-KEM, X25519 and SHA-3 alone, and
// then the twin's key schedule.
func xwingTwin(ssM, ssX, enc, pkR, info []byte) *twin {
	h := sha3.New256()
	for _, b := range [][]byte{ssM, ssX, enc[1088:1120], pkR[1184:], {0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c}} {
		h.Write(b)
	}
	return scheduleTwin("HPKE\x64\x7a\x00\x01\x00\x03", h.Sum(nil), info)
}

// xwingTwinOpens is the twin on the recipient's side.
func xwingTwinOpens(t testing.TB, seed, enc, pkR, info []byte) (w *twin, ssM, ssX, dkM, dkX []byte) {
	t.Helper()
	expanded := sha3.SumSHAKE256(seed, 96)
	key, err := mlkem.NewDecapsulationKey768(expanded[:64])
	if err != nil {
		t.Fatal(err)
	}
	if ssM, err = key.Decapsulate(enc[:1088]); err != nil {
		t.Fatal(err)
	}
	ssX = twinDH(t, expanded[64:], enc[1088:1120])
	return xwingTwin(ssM, ssX, enc, pkR, info), ssM, ssX, expanded[:64], expanded[64:]
}

// xwingTwinSeals is the twin on the sender's side, under the randomness of a vector.
func xwingTwinSeals(t testing.TB, ikmE, enc, pkR, info []byte) *twin {
	t.Helper()
	key, err := mlkem.NewEncapsulationKey768(pkR[:1184])
	if err != nil {
		t.Fatal(err)
	}
	ssM, ctM, err := mlkemtest.Encapsulate768(key, ikmE[:32])
	if err != nil {
		t.Fatal(err)
	}
	ephemeral, err := ecdh.X25519().NewPrivateKey(ikmE[32:])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(append(ctM, ephemeral.PublicKey().Bytes()...), enc) {
		t.Error("the twin encapsulates to another key")
	}
	return xwingTwin(ssM, twinDH(t, ikmE[32:], pkR[1184:]), enc, pkR, info)
}

// TestXWingTwin checks the twin against the vector.
func TestXWingTwin(t *testing.T) {
	v := &readXWing(t).Suite
	enc, pkR, info := vectors.Hex(t, v.Enc), vectors.Hex(t, v.PkRm), vectors.Hex(t, v.Info)
	opens, _, _, _, _ := xwingTwinOpens(t, vectors.Hex(t, v.SkRm), enc, pkR, info)
	for side, w := range map[string]*twin{"sender": xwingTwinSeals(t, vectors.Hex(t, v.IkmE), enc, pkR, info), "recipient": opens} {
		if hex.EncodeToString(w.key) != v.Key || hex.EncodeToString(w.baseNonce) != v.BaseNonce {
			t.Errorf("%s: key or nonce differs from the vector", side)
		}
		for i, e := range v.Encryptions {
			if got := w.seal(t, uint64(i), vectors.Hex(t, e.Aad), vectors.Hex(t, e.Pt)); hex.EncodeToString(got) != e.Ct {
				t.Errorf("%s: ciphertext %d differs from the vector", side, i)
			}
		}
	}
}

// TestXWingSuite: crypto/hpke, with the algorithms that SuiteXWing names, opens the
// vector.
func TestXWingSuite(t *testing.T) {
	if xwingKEM.ID() != 0x647a || suiteKDF.ID() != 1 || suiteAEAD.ID() != 3 {
		t.Fatal("SuiteXWing is not KEM 0x647a, KDF 0x0001, AEAD 0x0003")
	}
	v := &readXWing(t).Suite
	key, err := xwingKEM.NewPrivateKey(vectors.Hex(t, v.SkRm))
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := hpke.NewRecipient(vectors.Hex(t, v.Enc), key, suiteKDF, suiteAEAD, vectors.Hex(t, v.Info))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range v.Encryptions {
		if got, err := recipient.Open(vectors.Hex(t, e.Aad), vectors.Hex(t, e.Ct)); err != nil || !bytes.Equal(got, vectors.Hex(t, e.Pt)) {
			t.Fatalf("ciphertext %d does not open: %v", i, err)
		}
	}
}

// TestXWingRecord is TestX25519Record for the recipient of the vector.
func TestXWingRecord(t *testing.T) {
	v := readXWing(t)
	want := new(Secrets)
	for i := range 32 {
		want.Coin[i] = 0xa0 + byte(i)
	}
	for i := range 16 {
		want.IV[i] = 0xc0 + byte(i)
	}
	seed, pkR := vectors.Hex(t, v.Suite.SkRm), vectors.Hex(t, v.Suite.PkRm)
	key, err := newXWing((*xwingSeed)(seed))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(key.Public().Bytes(), pkR) {
		t.Fatal("the public key is not the vector's")
	}
	if id := key.Public().ID().String(); id != "042b7d2e0da6175f" {
		t.Errorf("key id %s, want 042b7d2e0da6175f", id)
	}
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := append(want.Coin[:], want.IV[:]...)

	// The fixed record opens, and the twin makes the same bytes.
	record := vectors.Hex(t, v.Record)
	var s Scratch
	var got Secrets
	if err := ring.OpenHeader(&s, record, &got); err != nil || got != *want {
		t.Errorf("the fixed record does not open: %v", err)
	}
	w := xwingTwinSeals(t, vectors.Hex(t, v.Suite.IkmE), record[BoundLen:BoundLen+1120], pkR, []byte(headerInfo))
	if made := w.seal(t, 0, record[:BoundLen], plain); !bytes.Equal(made, record[BoundLen+1120:]) {
		t.Error("the twin makes another record")
	}

	// What AppendHeader makes, the twin opens with the recipient's key.
	fresh := mustRecord(t, key.Public(), want)
	w, _, _, _, _ = xwingTwinOpens(t, seed, fresh[BoundLen:BoundLen+1120], pkR, []byte(headerInfo))
	if !bytes.Equal(w.open(t, fresh[:BoundLen], fresh[BoundLen+1120:]), plain) {
		t.Error("the twin opens a fresh record to something else")
	}
}

func TestXWingPublicKeyRefuses(t *testing.T) {
	good := testXWing().Public().Bytes()
	half := func(x []byte) []byte { return append(bytes.Clone(good[:1184]), x...) }
	overflow := bytes.Clone(good)
	overflow[0], overflow[1] = 0x01, overflow[1]&0xf0|0x0d // the first coefficient is 3329 = q
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"empty", "0 bytes, want 1216", nil},
		{"short", "1215 bytes, want 1216", good[:1215]},
		{"long", "1217 bytes, want 1216", append(bytes.Clone(good), 0)},
		{"x25519", "32 bytes, want 1216", good[1184:]},
		{"coefficient q", "ML-KEM-768 half is not fully reduced", overflow},
		{"ones", "ML-KEM-768 half is not fully reduced", bytes.Repeat([]byte{0xff}, 1216)},
		{"zero", "X25519 half is a point of low order", half(make([]byte, 32))},
		{"one", "X25519 half is a point of low order", half(append([]byte{1}, make([]byte, 31)...))},
		{"p - 1", "X25519 half is a point of low order", half(fieldPrime(0xff))},
		{"p", "X25519 half is", half(fieldPrime(0))},
		{"p + 18", "X25519 half is not fully reduced", half(fieldPrime(18))},
		{"high bit", "X25519 half is not fully reduced", flipTop(good, 1215)},
	} {
		key, err := ParsePublicKey(SuiteXWing, c.b)
		if key != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// xwingDER is the PKCS#8 structure of the seed 00..1f, written by hand from RFC 5958.
const xwingDER = "3034" + "020100" + "300d060b2b0601040183e62d81c87a" + "0420" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func TestXWingPKCS8(t *testing.T) {
	var seed xwingSeed
	for i := range seed {
		seed[i] = byte(i)
	}
	key, err := newXWing(&seed)
	if err != nil {
		t.Fatal(err)
	}
	if der, err := key.MarshalPKCS8(); err != nil || hex.EncodeToString(der) != xwingDER {
		t.Errorf("%x (%v), want %s", der, err, xwingDER)
	}
	clear(seed[:]) // the key has its own
	if der, err := key.MarshalPKCS8(); err != nil || hex.EncodeToString(der) != xwingDER {
		t.Errorf("%x (%v), want %s", der, err, xwingDER)
	}
	again, err := ParsePrivateKey(vectors.Hex(t, xwingDER))
	if err != nil || again.Public().ID() != key.Public().ID() || again.Public().Suite() != SuiteXWing {
		t.Errorf("comes back as another key (%v)", err)
	}
}

func TestXWingPrivateKeyRefuses(t *testing.T) {
	const oid, sealed = "060b2b0601040183e62d81c87a", "a7c737a7c737a7c737a7c737a7c737a7c737a7c737a7c737a7c737a7c737a7c7"
	const strict, damaged = "is not the PKCS#8 structure of a 32-byte seed", "damaged or not PKCS#8"
	der := func(parts ...string) string {
		body := strings.Join(parts, "")
		return fmt.Sprintf("30%02x%s", len(body)/2, body)
	}
	for _, c := range []struct{ name, want, der string }{
		{"31 bytes", strict, der("020100", "300d"+oid, "041f", sealed[2:])},
		{"33 bytes", strict, der("020100", "300d"+oid, "0421", sealed+"00")},
		{"expanded key", strict, der("020100", "300d"+oid, "0460", sealed, sealed, sealed)},
		{"empty", strict, der("020100", "300d"+oid, "0400")},
		{"inner OCTET STRING", strict, der("020100", "300d"+oid, "0422", "0420"+sealed)},
		{"NULL parameters", strict, der("020100", "300f"+oid+"0500", "0420"+sealed)},
		{"attributes", strict, der("020100", "300d"+oid, "0420"+sealed, "a000")},
		{"version 1", strict, der("020101", "300d"+oid, "0420"+sealed)},
		{"bytes of another type", damaged, der("020100", "300d"+oid, "0320"+sealed)},
		{"key for a tag", damaged, der("020100", "300d"+oid, "3f"+sealed)},
		{"long length", "not one PKCS#8 structure", "308134" + xwingDER[4:]},
		{"another OID", damaged, der("020100", "300d"+oid[:len(oid)-2]+"7b", "0420"+sealed)},
		{"cut", "not one PKCS#8 structure", xwingDER[:len(xwingDER)-2]},
		{"tail", "not one PKCS#8 structure", xwingDER + "00"},
	} {
		key, err := ParsePrivateKey(vectors.Hex(t, c.der))
		if key != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		} else if leaks(err.Error()) || strings.Contains(err.Error(), "648119") { // a7 c7 37 in base 128
			t.Errorf("%s: the error shows key bytes: %v", c.name, err)
		}
	}
}

// TestXWingLowOrder seals as a sender would who takes the zero that a point of low
// order gives for a secret: everything is right but that.
func TestXWingLowOrder(t *testing.T) {
	key := testXWing()
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	sec, pkR, bound := testSecrets(1), key.Public().Bytes(), key.Public().bound[:]
	pq, err := mlkem.NewEncapsulationKey768(pkR[:1184])
	if err != nil {
		t.Fatal(err)
	}
	std := newStd(t, key)
	for _, u := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), fieldPrime(0), fieldPrime(0xff), flipTop(make([]byte, 32), 31)} {
		ssM, enc := pq.Encapsulate()
		enc = append(enc, u...)
		ct := xwingTwin(ssM, make([]byte, 32), enc, pkR, []byte(headerInfo)).seal(t, 0, bound, append(sec.Coin[:], sec.IV[:]...))
		record := append(append(bytes.Clone(bound), enc...), ct...)
		if err := ring.OpenHeader(new(Scratch), record, new(Secrets)); err != ErrOpen {
			t.Errorf("enc %x: %v", u, err)
		}
		for _, n := range []int{2, 5, 20} {
			out, ok := openBatch(ring, slices.Repeat([][]byte{record}, n))
			if slices.Contains(ok, true) || slices.ContainsFunc(out, func(s Secrets) bool { return s != Secrets{} }) {
				t.Errorf("enc %x: opens in a batch of %d", u, n)
			}
		}
		ok := []bool{true}
		if std.openHeaders(new(Scratch), [][]byte{record}, make([]Secrets, 1), ok); ok[0] {
			t.Errorf("enc %x: crypto/hpke opens it", u)
		}
	}
}
