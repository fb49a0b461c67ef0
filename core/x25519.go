package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
)

const (
	x25519EncLen    = 32
	x25519HeaderLen = x25519EncLen + secretsLen + 16
)

// The algorithms of SuiteX25519; stateless.
var (
	x25519KEM  = hpke.DHKEM(ecdh.X25519())
	x25519KDF  = hpke.HKDFSHA256()
	x25519AEAD = hpke.ChaCha20Poly1305()
	x25519Info = []byte(headerInfo)
)

type x25519Sealer struct{ key hpke.PublicKey }

func (k x25519Sealer) appendHeader(dst []byte, s *Scratch, bound []byte) ([]byte, error) {
	enc, sender, err := hpke.NewSender(k.key, x25519KDF, x25519AEAD, x25519Info)
	if err != nil {
		return dst, err
	}
	ct, err := sender.Seal(bound, s.plain[:])
	if err != nil {
		return dst, err
	}
	return append(append(dst, enc...), ct...), nil
}

type x25519Opener struct {
	key  hpke.PrivateKey
	priv *ecdh.PrivateKey
}

func (k x25519Opener) openHeader(s *Scratch, bound, header []byte) bool {
	// NewRecipient fails when the shared secret is all zero (RFC 9180 section 7.1.4).
	recipient, err := hpke.NewRecipient(header[:x25519EncLen], k.key, x25519KDF, x25519AEAD, x25519Info)
	if err != nil {
		return false
	}
	plain, err := recipient.Open(bound, header[x25519EncLen:])
	if err != nil {
		return false
	}
	ok := len(plain) == len(s.plain)
	copy(s.plain[:], plain)
	clear(plain)
	return ok
}

func (k x25519Opener) private() any { return k.priv }

func parseX25519Public(b []byte) (*PublicKey, error) {
	if len(b) != 32 {
		return nil, fmt.Errorf("core: x25519 public key of %d bytes, want 32", len(b))
	}
	if !canonicalX25519(b) {
		return nil, errors.New("core: x25519 public key is not fully reduced; no private key has it")
	}
	raw := bytes.Clone(b)
	point, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("core: x25519 public key: %w", err)
	}
	probe, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("core: x25519 public key: %w", err)
	}
	if _, err := probe.ECDH(point); err != nil {
		return nil, errors.New("core: x25519 public key is a point of low order")
	}
	key, err := x25519KEM.NewPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("core: x25519 public key: %w", err)
	}
	return newPublicKey(SuiteX25519, raw, x25519Sealer{key}), nil
}

// canonicalX25519 reports whether the little-endian number b is below 2^255 - 19.
// A bank's own key always is, and RFC 9180 hashes the bytes as they stand, so a
// header sealed for any other spelling of a point would never open.
func canonicalX25519(b []byte) bool {
	if b[31] != 0x7f {
		return b[31] < 0x7f
	}
	for _, c := range b[1:31] {
		if c != 0xff {
			return true
		}
	}
	return b[0] < 0xed
}

func generateX25519() (*PrivateKey, error) {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("core: generate x25519 key: %w", err)
	}
	return newX25519(priv)
}

func newX25519(priv *ecdh.PrivateKey) (*PrivateKey, error) {
	key, err := hpke.NewDHKEMPrivateKey(priv)
	if err != nil {
		return nil, fmt.Errorf("core: x25519 private key: %w", err)
	}
	public, err := parseX25519Public(priv.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{public: public, open: x25519Opener{key: key, priv: priv}}, nil
}
