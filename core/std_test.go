package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"testing"
)

// The algorithms of SuiteX25519 in crypto/hpke, the reference.
var (
	x25519KEM  = hpke.DHKEM(ecdh.X25519())
	x25519KDF  = hpke.HKDFSHA256()
	x25519AEAD = hpke.ChaCha20Poly1305()
)

// stdX25519 seals and opens records of SuiteX25519 with crypto/hpke: the oracle of
// the tests and impl=stdlib of the benchmarks.
type stdX25519 struct {
	bound []byte
	key   hpke.PrivateKey
}

// newStdX25519 returns nil for a key of another suite.
func newStdX25519(t testing.TB, k *PrivateKey) *stdX25519 {
	t.Helper()
	priv, ok := k.open.private().(*ecdh.PrivateKey)
	if !ok {
		return nil
	}
	key, err := hpke.NewDHKEMPrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return &stdX25519{k.public.bound[:], key}
}

// appendHeaders is PublicKey.AppendHeaders.
func (k *stdX25519) appendHeaders(dst []byte, s *Scratch, secs []Secrets) ([]byte, error) {
	for i := range secs {
		secs[i].put(&s.plain)
		enc, sender, err := hpke.NewSender(k.key.PublicKey(), x25519KDF, x25519AEAD, []byte(headerInfo))
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

// openHeaders is Keyring.OpenHeaders for records of the right length.
func (k *stdX25519) openHeaders(s *Scratch, records [][]byte, out []Secrets, ok []bool) {
	for i, record := range records {
		out[i], ok[i] = Secrets{}, false
		if !bytes.Equal(record[:BoundLen], k.bound) {
			continue
		}
		header := record[BoundLen:]
		recipient, err := hpke.NewRecipient(header[:32], k.key, x25519KDF, x25519AEAD, []byte(headerInfo))
		if err != nil {
			continue
		}
		plain, err := recipient.Open(record[:BoundLen], header[32:])
		if err != nil {
			continue
		}
		copy(s.plain[:], plain)
		out[i].get(&s.plain)
		ok[i] = true
	}
}
