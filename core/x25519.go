package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"ecoin/core/internal/hpke"
)

const x25519HeaderLen = hpke.EncLen + secretsLen + hpke.TagLen

type x25519Opener struct {
	hpkeOpener
	priv *ecdh.PrivateKey // to be marshaled
}

func (k x25519Opener) marshalPKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.priv) }

// errLowOrder stands behind what could not be done. It cannot come from sealing: a
// PublicKey is never of low order.
var errLowOrder = errors.New("public key is a point of low order")

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
		return nil, fmt.Errorf("core: x25519 %w", errLowOrder)
	}
	sender := hpke.NewSender((*[32]byte)(raw), []byte(headerInfo))
	return newPublicKey(SuiteX25519, raw, &hpkeSealer{sender, x25519HeaderLen, errLowOrder}), nil
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
	public, err := parseX25519Public(priv.PublicKey().Bytes())
	if err != nil {
		return nil, err
	}
	scalar := priv.Bytes()
	recipient := hpke.NewRecipient((*[32]byte)(scalar), []byte(headerInfo))
	clear(scalar)
	return &PrivateKey{public: public, open: x25519Opener{hpkeOpener{recipient}, priv}}, nil
}
