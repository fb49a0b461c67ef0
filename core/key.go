package core

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

const headerInfo = "ecoin/v1 header"

// A sealer is the public half of one suite.
type sealer interface {
	// appendHeader appends the suite's header around s.plain, bound to the 12 bytes
	// of bound, which may lie in dst[:len(dst)].
	appendHeader(dst []byte, s *Scratch, bound []byte) ([]byte, error)
}

// An opener is the private half of one suite.
type opener interface {
	// openHeader sets s.plain to the content of header and reports whether it
	// opened. header has the suite's length. After a failure s.plain is undefined.
	openHeader(s *Scratch, bound, header []byte) bool
	// marshalPKCS8 returns the key as ParsePrivateKey takes it. The caller owns it.
	marshalPKCS8() ([]byte, error)
}

// A PublicKey is a bank's key, for sealing headers. It is safe for concurrent use.
type PublicKey struct {
	suite Suite
	id    KeyID
	bound [BoundLen]byte // how every record for the key begins
	raw   []byte
	seal  sealer
}

// ParsePublicKey returns the public key encoded in b, which it does not retain:
// for SuiteX25519 the 32 bytes of RFC 7748, for SuiteXWing the 1184 bytes of FIPS 203
// and after them those of RFC 7748, for SuiteRSA3072 a SubjectPublicKeyInfo in DER.
// Keys that no bank can use are refused: points of low order, what is not fully
// reduced, RSA keys of another size or exponent, and encodings that are not DER.
func ParsePublicKey(s Suite, b []byte) (*PublicKey, error) {
	switch s {
	case SuiteX25519:
		return parseX25519Public(b)
	case SuiteXWing:
		return parseXWingPublic(b)
	case SuiteRSA3072:
		return parseRSAPublic(b)
	}
	return nil, fmt.Errorf("core: public key of unknown %v", s)
}

func newPublicKey(s Suite, raw []byte, seal sealer) *PublicKey {
	k := &PublicKey{suite: s, id: makeKeyID(s, raw), raw: raw, seal: seal}
	appendBound(k.bound[:0], s, KindRequest, k.id)
	return k
}

// Suite returns the suite the key belongs to.
func (k *PublicKey) Suite() Suite { return k.suite }

// ID returns the key's name on the wire.
func (k *PublicKey) ID() KeyID { return k.id }

// Bound returns how every record for k begins: prefix[0:12] of a request.
func (k *PublicKey) Bound() [BoundLen]byte { return k.bound }

// Bytes returns a copy of the encoding that ParsePublicKey takes.
func (k *PublicKey) Bytes() []byte { return bytes.Clone(k.raw) }

// AppendHeader appends one record, prefix[0:12] | header, around sec:
// Suite.RecordLen bytes. It fails only if the system's cryptography does; dst is
// then returned as it was.
func (k *PublicKey) AppendHeader(dst []byte, s *Scratch, sec *Secrets) ([]byte, error) {
	start := len(dst)
	out := slices.Grow(dst, k.suite.RecordLen())
	out = append(out, k.bound[:]...)
	sec.put(&s.plain)
	out, err := k.seal.appendHeader(out, s, out[start:])
	clear(s.plain[:])
	if err != nil {
		return dst, fmt.Errorf("core: seal header of suite %v: %w", k.suite, err)
	}
	return out, nil
}

// AppendHeaders appends one record for each element of secs, back to back. It
// fails as AppendHeader does, and then appends none.
func (k *PublicKey) AppendHeaders(dst []byte, s *Scratch, secs []Secrets) ([]byte, error) {
	out := slices.Grow(dst, len(secs)*k.suite.RecordLen())
	if many, can := k.seal.(batchSealer); can && len(secs) > 1 {
		out, err := k.sealBatch(out, s, many, secs)
		if err != nil {
			return dst, fmt.Errorf("core: seal headers of suite %v: %w", k.suite, err)
		}
		return out, nil
	}
	for i := range secs {
		var err error
		if out, err = k.AppendHeader(out, s, &secs[i]); err != nil {
			return dst, fmt.Errorf("record %d: %w", i, err)
		}
	}
	return out, nil
}

// A PrivateKey is a bank's key, for opening headers; a [Keyring] does that. It is
// safe for concurrent use and prints as "redacted".
type PrivateKey struct {
	public *PublicKey
	open   opener
}

// GenerateKey makes a new key from the system's random source. A key of
// SuiteRSA3072 takes a second or so.
func GenerateKey(s Suite) (*PrivateKey, error) {
	switch s {
	case SuiteX25519:
		return generateX25519()
	case SuiteXWing:
		return generateXWing()
	case SuiteRSA3072:
		return generateRSA()
	}
	return nil, fmt.Errorf("core: cannot generate a key of unknown %v", s)
}

// ParsePrivateKey returns the key in a PKCS#8 structure (RFC 5958, DER): X25519
// (RFC 8410), the 32-byte seed of X-Wing (OID 1.3.6.1.4.1.62253.25722), or RSA of 3072
// bits with exponent 65537. Errors hold no key bytes.
func ParsePrivateKey(pkcs8 []byte) (*PrivateKey, error) {
	// x509 ignores what follows the structure; a key file with a tail is damaged.
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(pkcs8, &whole); err != nil || len(rest) != 0 {
		return nil, errors.New("core: private key is not one PKCS#8 structure in DER")
	}
	var seed xwingSeed
	defer clear(seed[:])
	if named, err := seed.parsePKCS8(pkcs8); err != nil {
		return nil, err
	} else if named {
		return newXWing(&seed)
	}
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil { // dropped: it can show key bytes as the number of an ASN.1 tag
		return nil, errors.New("core: private key is damaged or not PKCS#8: use X25519, X-Wing or RSA-3072")
	}
	switch key := key.(type) {
	case *ecdh.PrivateKey:
		return newX25519(key)
	case *rsa.PrivateKey:
		return newRSA(key)
	}
	return nil, fmt.Errorf("core: private key is a %T: use X25519, X-Wing or RSA-3072", key)
}

// MarshalPKCS8 returns the key as ParsePrivateKey takes it. The caller owns the
// bytes and should clear them after use.
func (k *PrivateKey) MarshalPKCS8() ([]byte, error) {
	der, err := k.open.marshalPKCS8()
	if err != nil {
		return nil, fmt.Errorf("core: marshal private key %v: %w", k.public.id, err)
	}
	return der, nil
}

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Format implements fmt.Formatter: it prints "redacted".
func (PrivateKey) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (PrivateKey) LogValue() slog.Value { return logRedacted() }

// MarshalText returns an error; a private key is secret.
func (PrivateKey) MarshalText() ([]byte, error) { return textRefused() }
