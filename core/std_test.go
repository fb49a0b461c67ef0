package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"slices"
	"testing"
)

// The algorithms of SuiteX25519 and SuiteXWing in crypto/hpke, the reference.
var (
	x25519KEM = hpke.DHKEM(ecdh.X25519())
	xwingKEM  = hpke.MLKEM768X25519()
	suiteKDF  = hpke.HKDFSHA256()
	suiteAEAD = hpke.ChaCha20Poly1305()
)

// A std seals and opens records with the standard library alone: the oracle of the
// tests and impl=stdlib of the benchmarks. Its calls are those of PublicKey and
// Keyring; openHeaders takes records of the right length only.
type std interface {
	appendHeaders(dst []byte, s *Scratch, secs []Secrets) ([]byte, error)
	openHeaders(s *Scratch, records [][]byte, out []Secrets, ok []bool)
}

func newStd(t testing.TB, k *PrivateKey) std {
	t.Helper()
	var key hpke.PrivateKey
	var err error
	switch open := k.open.(type) {
	case x25519Opener:
		key, err = hpke.NewDHKEMPrivateKey(open.priv)
	case xwingOpener:
		key, err = xwingKEM.NewPrivateKey(open.seed[:])
	case rsaOpener:
		return &stdRSA{k.public.bound[:], open.key}
	}
	if err != nil {
		t.Fatal(err)
	}
	return &stdHPKE{k.public.bound[:], key, key.PublicKey(), map[Suite]int{SuiteX25519: 32, SuiteXWing: 1120}[k.public.suite]}
}

// stdHPKE is crypto/hpke with SuiteX25519 or SuiteXWing.
type stdHPKE struct {
	bound  []byte
	key    hpke.PrivateKey
	public hpke.PublicKey
	encLen int
}

func (k *stdHPKE) appendHeaders(dst []byte, s *Scratch, secs []Secrets) ([]byte, error) {
	for i := range secs {
		secs[i].put(&s.plain)
		enc, sender, err := hpke.NewSender(k.public, suiteKDF, suiteAEAD, []byte(headerInfo))
		if err != nil {
			return dst, err
		}
		ct, err := sender.Seal(k.bound, s.plain[:])
		if err != nil {
			return dst, err
		}
		dst = append(append(append(dst, k.bound...), enc...), ct...)
	}
	return dst, nil
}

func (k *stdHPKE) openHeaders(s *Scratch, records [][]byte, out []Secrets, ok []bool) {
	stdOpen(s, k.bound, records, out, ok, func(header []byte) ([]byte, error) {
		recipient, err := hpke.NewRecipient(header[:k.encLen], k.key, suiteKDF, suiteAEAD, []byte(headerInfo))
		if err != nil {
			return nil, err
		}
		return recipient.Open(k.bound, header[k.encLen:])
	})
}

// stdRSA is crypto/rsa with SuiteRSA3072.
type stdRSA struct {
	bound []byte
	key   *rsa.PrivateKey
}

func (k *stdRSA) appendHeaders(dst []byte, s *Scratch, secs []Secrets) ([]byte, error) {
	for i := range secs {
		secs[i].put(&s.plain)
		ct, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &k.key.PublicKey, s.plain[:], k.label())
		if err != nil {
			return dst, err
		}
		dst = append(append(dst, k.bound...), ct...)
	}
	return dst, nil
}

func (k *stdRSA) openHeaders(s *Scratch, records [][]byte, out []Secrets, ok []bool) {
	stdOpen(s, k.bound, records, out, ok, func(header []byte) ([]byte, error) {
		return rsa.DecryptOAEP(sha256.New(), nil, k.key, header, k.label())
	})
}

func (k *stdRSA) label() []byte { return append([]byte(headerInfo), k.bound...) }

// stdOpen opens each record that begins with bound.
func stdOpen(s *Scratch, bound []byte, records [][]byte, out []Secrets, ok []bool, open func(header []byte) ([]byte, error)) {
	for i, record := range records {
		out[i], ok[i] = Secrets{}, false
		if !bytes.Equal(record[:BoundLen], bound) {
			continue
		}
		plain, err := open(record[BoundLen:])
		if err != nil || len(plain) != len(s.plain) {
			continue
		}
		copy(s.plain[:], plain)
		out[i].get(&s.plain)
		ok[i] = true
	}
}

// TestAgainstStandardLibrary: what one seals the other opens, in every suite.
func TestAgainstStandardLibrary(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		ring, err := NewKeyring(key)
		if err != nil {
			t.Fatal(err)
		}
		var s Scratch
		std := newStd(t, key)
		secs := make([]Secrets, 20) // more than the lanes of a batch
		for i := range secs {
			secs[i] = *testSecrets(byte(i))
		}
		for name, seal := range map[string]func([]byte, *Scratch, []Secrets) ([]byte, error){
			"ecoin": key.Public().AppendHeaders, "stdlib": std.appendHeaders,
		} {
			b, err := seal(nil, &s, secs)
			if err != nil {
				t.Fatal(err)
			}
			var records [][]byte
			for len(b) > 0 {
				var record []byte
				if record, b, err = CutRecord(b); err != nil {
					t.Fatal(err)
				}
				records = append(records, record)
			}
			records[1] = flip(records[1], BoundLen+key.Public().Suite().HeaderLen()/2)
			for by, open := range map[string]func(*Scratch, [][]byte, []Secrets, []bool){
				"ecoin": ring.OpenHeaders, "stdlib": std.openHeaders,
			} {
				out, ok := make([]Secrets, len(secs)), make([]bool, len(secs))
				ok[1] = true
				open(&s, records, out, ok)
				want := slices.Clone(secs)
				want[1] = Secrets{}
				for i := range ok {
					if ok[i] != (i != 1) || out[i] != want[i] {
						t.Errorf("sealed by %s, opened by %s: record %d opens: %v", name, by, i, ok[i])
					}
				}
			}
		}
	})
}
