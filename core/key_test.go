package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"ecoin/core/internal/hpke"
	"ecoin/core/internal/vectors"
	"ecoin/core/internal/xwing"
)

func TestKeyRoundTrip(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		der, err := key.MarshalPKCS8()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePrivateKey(der)
		if err != nil {
			t.Fatal(err)
		}
		if again.Public().ID() != key.Public().ID() {
			t.Error("private key comes back as another")
		}
		pub, err := ParsePublicKey(key.Public().Suite(), key.Public().Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if pub.ID() != key.Public().ID() || pub.Suite() != key.Public().Suite() || !bytes.Equal(pub.Bytes(), key.Public().Bytes()) {
			t.Error("public key comes back as another")
		}
		ring, err := NewKeyring(again)
		if err != nil {
			t.Fatal(err)
		}
		var got Secrets
		if err := ring.OpenHeader(new(Scratch), mustRecord(t, pub, testSecrets(1)), &got); err != nil || got != *testSecrets(1) {
			t.Errorf("parsed keys do not work together: %v", err)
		}
		clear(pub.Bytes())
		if !bytes.Equal(pub.Bytes(), key.Public().Bytes()) {
			t.Error("Bytes gives away the key's own memory")
		}
	})
}

func TestParsePublicKeyCopies(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		b := key.Public().Bytes()
		pub, err := ParsePublicKey(key.Public().Suite(), b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if !bytes.Equal(pub.Bytes(), key.Public().Bytes()) {
			t.Error("the key changes with the input")
		}
	})
}

func TestGenerateKey(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteXWing, SuiteRSA3072} {
		if testing.Short() && suite == SuiteRSA3072 {
			continue // takes a minute where it is emulated
		}
		key, err := GenerateKey(suite)
		if err != nil || key.Public().Suite() != suite {
			t.Fatalf("%v: %v", suite, err)
		}
		for _, other := range testKeys() {
			if key.Public().ID() == other.Public().ID() {
				t.Errorf("%v: a generated key is not new", suite)
			}
		}
	}
	for _, suite := range []Suite{0, 0x21, 0xff} {
		if key, err := GenerateKey(suite); key != nil || err == nil {
			t.Errorf("%v: key generated", suite)
		}
	}
}

// fieldPrime returns 2^255 - 19 + add, little-endian.
func fieldPrime(add byte) []byte {
	b := bytes.Repeat([]byte{0xff}, 32)
	b[0], b[31] = 0xed+add, 0x7f
	return b
}

func TestParsePublicKeyRefuses(t *testing.T) {
	x, r := testX25519().Public().Bytes(), testRSA().Public().Bytes()
	good := &testRSA().open.(rsaOpener).key.PublicKey
	spki := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	highBit := bytes.Clone(x)
	highBit[31] |= 0x80
	// A point of order 8 (Bernstein, "Curve25519", 2006).
	order8 := vectors.Hex(t, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
	// The key as a bit string shifted by one, which x509 shifts back.
	shifted := bytes.Clone(r)
	bits := shifted[bytes.Index(r, []byte{0x03, 0x82})+4:] // after tag and length: count of unused bits, then the key
	for i := 1; i < len(bits); i++ {
		bits[i] <<= 1
		if i+1 < len(bits) {
			bits[i] |= bits[i+1] >> 7
		}
	}
	bits[0] = 1
	short := new(big.Int).Rsh(good.N, 1)
	even := new(big.Int).Sub(good.N, big.NewInt(1))
	for _, c := range []struct {
		name, want string
		suite      Suite
		b          []byte
	}{
		{"empty", "0 bytes, want 32", SuiteX25519, nil},
		{"31 bytes", "31 bytes, want 32", SuiteX25519, x[:31]},
		{"33 bytes", "33 bytes, want 32", SuiteX25519, append(bytes.Clone(x), 0)},
		{"zero", "low order", SuiteX25519, make([]byte, 32)},
		{"one", "low order", SuiteX25519, append([]byte{1}, make([]byte, 31)...)},
		{"order 8", "low order", SuiteX25519, order8},
		{"p - 1", "low order", SuiteX25519, fieldPrime(0xff)},
		{"p", "not fully reduced", SuiteX25519, fieldPrime(0)},
		{"p + 18", "not fully reduced", SuiteX25519, fieldPrime(18)},
		{"high bit", "not fully reduced", SuiteX25519, highBit},
		{"RSA as x25519", "want 32", SuiteX25519, r},
		{"empty RSA", "SubjectPublicKeyInfo", SuiteRSA3072, nil},
		{"x25519 as RSA", "SubjectPublicKeyInfo", SuiteRSA3072, x},
		{"RSA with a tail", "SubjectPublicKeyInfo", SuiteRSA3072, append(bytes.Clone(r), 0)},
		{"RSA in another encoding", "not in DER", SuiteRSA3072, shifted},
		{"RSA cut", "SubjectPublicKeyInfo", SuiteRSA3072, r[:len(r)-1]},
		{"P-256", "want RSA of 3072 bits", SuiteRSA3072, spki(&p256.PublicKey)},
		{"3071 bits", "of 3071 bits, want 3072", SuiteRSA3072, spki(&rsa.PublicKey{N: short, E: 65537})},
		{"exponent 3", "exponent 3, want 65537", SuiteRSA3072, spki(&rsa.PublicKey{N: good.N, E: 3})},
		{"even", "even modulus", SuiteRSA3072, spki(&rsa.PublicKey{N: even, E: 65537})},
		{"suite 0", "unknown suite 0x00", 0, x},
		{"suite 0x21", "unknown suite 0x21", 0x21, x},
	} {
		key, err := ParsePublicKey(c.suite, c.b)
		if key != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	x, err := testX25519().MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(testRSA().open.(rsaOpener).key)
	type refused struct {
		name, want string
		b          []byte
	}
	cases := []refused{
		{"empty", "not one PKCS#8 structure", nil},
		{"cut", "not one PKCS#8 structure", x[:len(x)-1]},
		{"tail", "not one PKCS#8 structure", append(bytes.Clone(x), 0)},
		{"raw", "not one PKCS#8 structure", x[len(x)-32:]},
		{"PKCS#1", "not PKCS#8", pkcs1},
		{"P-256", "use X25519, X-Wing or RSA-3072", pkcs8(p256)},
	}
	if !testing.Short() { // slow where it is emulated
		rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, refused{"RSA-2048", "of 2048 bits, want 3072", pkcs8(rsa2048)})
	}
	for _, c := range cases {
		key, err := ParsePrivateKey(c.b)
		if key != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// TestParsePrivateKeyErrorsHoldNoKey damages keys in the way that makes x509 take key
// bytes for an ASN.1 tag, whose number its own errors show.
func TestParsePrivateKeyErrorsHoldNoKey(t *testing.T) {
	der, err := testX25519().MarshalPKCS8()
	if err != nil {
		t.Fatal(err)
	}
	// RFC 8410 wraps the key in a second OCTET STRING, 04 20; here it lies in the
	// first one, as some programs write it.
	key := append([]byte{0x3f, 0xa7, 0xc7, 0x37, 27}, make([]byte, 27)...)
	bare := append(bytes.Clone(der[:len(der)-34]), key...)
	bare[1] -= 2
	bare[len(bare)-33] = 32
	_, err = ParsePrivateKey(bare)
	if err == nil {
		t.Fatal("a key without its inner OCTET STRING is accepted")
	}
	if strings.Contains(err.Error(), "648119") { // a7 c7 37 in base 128
		t.Errorf("the error shows key bytes: %v", err)
	}
}

// TestCanonicalX25519 walks the edge at p = 2^255 - 19.
func TestCanonicalX25519(t *testing.T) {
	below := fieldPrime(0)
	below[17] = 0xfe
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"p - 1": {fieldPrime(0xff), true}, "p": {fieldPrime(0), false}, "p + 18": {fieldPrime(18), false},
		"p - 2^136": {below, true}, "0": {make([]byte, 32), true}, "2^255": {append(make([]byte, 31), 0x80), false},
	} {
		if got := canonicalX25519(c.b); got != c.want {
			t.Errorf("%s: canonical %v, want %v", name, got, c.want)
		}
	}
}

// failingSealer fails after a number of headers, having written part of the next.
type failingSealer struct{ left *int }

var errSealer = errors.New("the sealer fails")

func (f failingSealer) appendHeader(dst []byte, s *Scratch, _ []byte) ([]byte, error) {
	if *f.left--; *f.left < 0 {
		return append(dst, s.plain[:]...), errSealer
	}
	return append(dst, make([]byte, x25519HeaderLen)...), nil
}

// failingBatch fails in batches too.
type failingBatch struct{ failingSealer }

func (f failingBatch) sealHeaders(_ *hpke.ManyScratch, msgs []hpke.Message) error {
	for _, m := range msgs {
		copy(m.Sealed, m.Plain[:])
	}
	if *f.left--; *f.left < 0 {
		return errSealer
	}
	return nil
}

func TestBatchFailureAppendsNothing(t *testing.T) {
	left := 1 // batch
	key := newPublicKey(SuiteX25519, make([]byte, 32), failingBatch{failingSealer{&left}})
	secs := slices.Repeat([]Secrets{*testSecrets(1)}, hpke.Batch+2)
	var s Scratch
	got, err := key.AppendHeaders([]byte("ab"), &s, secs)
	if !errors.Is(err, errSealer) || left != -1 || string(got) != "ab" {
		t.Errorf("error %v after %d batches, %d bytes; want that of the second, and the 2 bytes given", err, 1-left, len(got))
	}
	if s.headers.plain != [hpke.Batch][secretsLen]byte{} || s.headers.msgs[0].Sealed != nil {
		t.Error("the scratch holds secrets or messages")
	}
}

// TestLowOrderErrors makes the keys that parsing refuses: an error names the key and
// its suite, one by one and in a batch.
func TestLowOrderErrors(t *testing.T) {
	hybrid, err := xwing.NewPublicKey((*[xwing.PublicLen]byte)(testXWing().Public().Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	clear(hybrid.X25519()[:])
	for _, c := range []struct {
		suite Suite
		seal  sealer
		want  string
	}{
		{SuiteX25519, &hpkeSealer{hpke.NewSender(new([32]byte), nil), x25519HeaderLen, errLowOrder}, "public key is a point of low order"},
		{SuiteXWing, &hpkeSealer{hpke.NewXWingSender(hybrid, nil), xwingHeaderLen, errXWingLowOrder}, "X25519 half of the public key is a point of low order"},
	} {
		key := newPublicKey(c.suite, nil, c.seal)
		for n, what := range map[int]string{1: "header", 3: "headers"} {
			want := fmt.Sprintf("core: seal %s of suite %v: %s", what, c.suite, c.want)
			if _, err := key.AppendHeaders(nil, new(Scratch), make([]Secrets, n)); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	}
}

func TestSealFailureAppendsNothing(t *testing.T) {
	left := 2
	key := newPublicKey(SuiteX25519, make([]byte, 32), failingSealer{&left})
	var s Scratch
	dst := []byte("ab")
	got, err := key.AppendHeaders(dst, &s, make([]Secrets, 5))
	if !errors.Is(err, errSealer) || !strings.Contains(err.Error(), "record 2: ") {
		t.Errorf("error %v, want one that names record 2", err)
	}
	if string(got) != "ab" || s.plain != [48]byte{} {
		t.Errorf("%d bytes came back, want the 2 given; or the scratch holds secrets", len(got))
	}
}
