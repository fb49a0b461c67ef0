package core

import (
	"bytes"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"ecoin/core/internal/hpke"
	"ecoin/core/internal/xwing"
)

const xwingHeaderLen = hpke.XWingEncLen + secretsLen + hpke.TagLen

// errXWingLowOrder is errLowOrder for SuiteXWing.
var errXWingLowOrder = errors.New("X25519 half of the public key is a point of low order")

type xwingOpener struct {
	hpkeOpener
	seed *xwingSeed // to be marshaled
}

func (k xwingOpener) marshalPKCS8() ([]byte, error) { return k.seed.marshalPKCS8() }

// parseXWingPublic takes an ML-KEM-768 encapsulation key (FIPS 203) | an X25519 key.
// Each half must be one that a private key can have.
func parseXWingPublic(b []byte) (*PublicKey, error) {
	if len(b) != xwing.PublicLen {
		return nil, fmt.Errorf("core: xwing public key of %d bytes, want %d", len(b), xwing.PublicLen)
	}
	raw := bytes.Clone(b)
	key, err := xwing.NewPublicKey((*[xwing.PublicLen]byte)(raw))
	if err != nil {
		return nil, fmt.Errorf("core: xwing public key: %w", err)
	}
	if !canonicalX25519(key.X25519()[:]) {
		return nil, errors.New("core: xwing public key: X25519 half is not fully reduced; no private key has it")
	}
	sender := hpke.NewXWingSender(key, []byte(headerInfo))
	return newPublicKey(SuiteXWing, raw, &hpkeSealer{sender, xwingHeaderLen, errXWingLowOrder}), nil
}

func generateXWing() (*PrivateKey, error) {
	var seed xwingSeed
	defer clear(seed[:])
	_, _ = rand.Read(seed[:]) // never fails: crypto/rand ends the process instead
	return newXWing(&seed)
}

// newXWing does not retain seed.
func newXWing(seed *xwingSeed) (*PrivateKey, error) {
	key := xwing.NewPrivateKey((*[xwing.SeedLen]byte)(seed))
	public, err := parseXWingPublic(key.Public()[:])
	if err != nil {
		return nil, err
	}
	recipient := hpke.NewXWingRecipient(key, []byte(headerInfo))
	own := *seed
	return &PrivateKey{public: public, open: xwingOpener{hpkeOpener{recipient}, &own}}, nil
}

// An xwingSeed is a private key of SuiteXWing as draft-connolly-cfrg-xwing-kem
// serializes it: everything else is derived from it.
type xwingSeed [xwing.SeedLen]byte

// oidXWing names X-Wing in PKCS#8 and SubjectPublicKeyInfo.
var oidXWing = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62253, 25722}

// An xwingPKCS8 is the PKCS#8 structure (RFC 5958) of a seed.
type xwingPKCS8 struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier // without parameters
	PrivateKey []byte                   // the seed itself, not an OCTET STRING in the other
}

// marshalPKCS8 returns DER of 54 bytes, which the caller owns.
func (seed *xwingSeed) marshalPKCS8() ([]byte, error) {
	return asn1.Marshal(xwingPKCS8{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidXWing}, PrivateKey: seed[:]})
}

// parsePKCS8 reports whether der is a PKCS#8 structure that names X-Wing, and
// sets seed to the seed in it. It takes only what marshalPKCS8 makes, byte for byte:
// no attributes, no public key, no parameters. Errors hold no key bytes.
func (seed *xwingSeed) parsePKCS8(der []byte) (named bool, err error) {
	var s xwingPKCS8
	if _, err := asn1.Unmarshal(der, &s); err != nil || !s.Algorithm.Algorithm.Equal(oidXWing) {
		clear(s.PrivateKey)
		return false, nil
	}
	copy(seed[:], s.PrivateKey)
	clear(s.PrivateKey)
	again, err := seed.marshalPKCS8()
	ok := err == nil && bytes.Equal(again, der)
	clear(again)
	if !ok {
		clear(seed[:])
		return true, errors.New("core: xwing private key is not the PKCS#8 structure of a 32-byte seed and nothing else")
	}
	return true, nil
}
