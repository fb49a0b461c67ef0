package core

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

const (
	rsaBits      = 3072
	rsaHeaderLen = rsaBits / 8
	rsaExponent  = 65537
)

// oaepLabel returns headerInfo | bound in s.label.
func (s *Scratch) oaepLabel(bound []byte) []byte {
	return append(append(s.label[:0], headerInfo...), bound...)
}

type rsaSealer struct{ key *rsa.PublicKey }

func (k rsaSealer) appendHeader(dst []byte, s *Scratch, bound []byte) ([]byte, error) {
	ct, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, k.key, s.plain[:], s.oaepLabel(bound))
	if err != nil {
		return dst, err
	}
	return append(dst, ct...), nil
}

type rsaOpener struct{ key *rsa.PrivateKey }

func (k rsaOpener) openHeader(s *Scratch, bound, header []byte) bool {
	plain, ok := k.decrypt(header, s.oaepLabel(bound))
	// The length of a message that did open is the sender's choice.
	ok = ok && len(plain) == len(s.plain)
	copy(s.plain[:], plain)
	clear(plain)
	return ok
}

// decrypt opens OAEP. DecryptOAEP runs in constant time and has one error for every
// cause (Manger, CRYPTO 2001).
func (k rsaOpener) decrypt(ciphertext, label []byte) ([]byte, bool) {
	plain, err := rsa.DecryptOAEP(sha256.New(), nil, k.key, ciphertext, label)
	return plain, err == nil
}

func (k rsaOpener) marshalPKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.key) }

func parseRSAPublic(b []byte) (*PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("core: rsa3072 public key is not a SubjectPublicKeyInfo: %w", err)
	}
	pub, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("core: public key is a %T, want RSA of %d bits", key, rsaBits)
	}
	if err := checkRSA(pub); err != nil {
		return nil, err
	}
	return newRSAPublic(pub, b)
}

// newRSAPublic makes the key of pub; encoded, if not nil, must be its DER, because
// the key id is a hash of it.
func newRSAPublic(pub *rsa.PublicKey, encoded []byte) (*PublicKey, error) {
	raw, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("core: rsa3072 public key: %w", err)
	}
	if encoded != nil && !bytes.Equal(raw, encoded) {
		return nil, errors.New("core: rsa3072 public key is not in DER")
	}
	return newPublicKey(SuiteRSA3072, raw, rsaSealer{pub}), nil
}

func checkRSA(pub *rsa.PublicKey) error {
	if n := pub.N.BitLen(); n != rsaBits {
		return fmt.Errorf("core: RSA key of %d bits, want %d", n, rsaBits)
	}
	if pub.E != rsaExponent {
		return fmt.Errorf("core: RSA key with exponent %d, want %d", pub.E, rsaExponent)
	}
	if pub.N.Bit(0) == 0 {
		return errors.New("core: RSA key with an even modulus")
	}
	return nil
}

func generateRSA() (*PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, fmt.Errorf("core: generate rsa3072 key: %w", err)
	}
	return newRSA(key)
}

func newRSA(key *rsa.PrivateKey) (*PrivateKey, error) {
	if err := checkRSA(&key.PublicKey); err != nil {
		return nil, err
	}
	public, err := newRSAPublic(&key.PublicKey, nil)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{public: public, open: rsaOpener{key}}, nil
}
