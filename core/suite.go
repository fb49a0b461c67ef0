package core

import "fmt"

// A Suite names the public-key encryption of the header. The payload is the same
// in every suite.
type Suite uint8

const (
	// SuiteRSA3072 is RSAES-OAEP (RFC 8017) with SHA-256 and MGF1-SHA-256, a
	// 3072-bit modulus and exponent 65537. Header: 384 bytes.
	SuiteRSA3072 Suite = 0x01

	// SuiteX25519 is HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256),
	// HKDF-SHA256 and ChaCha20Poly1305. Header: enc 32 | ciphertext 48 | tag 16.
	SuiteX25519 Suite = 0x10

	// SuiteXWing is the same with KEM X-Wing (draft-connolly-cfrg-xwing-kem), also
	// called MLKEM768-X25519: a header recorded today stays closed to a later quantum
	// computer. Header: enc 1120 | ciphertext 48 | tag 16.
	SuiteXWing Suite = 0x20
)

// ParseSuite returns the suite called name, "x25519", "xwing" or "rsa3072".
func ParseSuite(name string) (Suite, error) {
	for _, s := range []Suite{SuiteX25519, SuiteXWing, SuiteRSA3072} {
		if name == s.String() {
			return s, nil
		}
	}
	return 0, fmt.Errorf("core: unknown suite %q: use x25519, xwing or rsa3072", name)
}

// String returns the name ParseSuite takes, or the number of an unknown suite.
func (s Suite) String() string {
	switch s {
	case SuiteRSA3072:
		return "rsa3072"
	case SuiteX25519:
		return "x25519"
	case SuiteXWing:
		return "xwing"
	}
	return fmt.Sprintf("suite 0x%02x", uint8(s))
}

// HeaderLen returns the length of a header in bytes, 0 for an unknown suite.
func (s Suite) HeaderLen() int {
	switch s {
	case SuiteRSA3072:
		return rsaHeaderLen
	case SuiteX25519:
		return x25519HeaderLen
	case SuiteXWing:
		return xwingHeaderLen
	}
	return 0
}

// RecordLen returns the length of a record, BoundLen + HeaderLen bytes, and 0 for
// an unknown suite.
func (s Suite) RecordLen() int {
	n := s.HeaderLen()
	if n == 0 {
		return 0
	}
	return BoundLen + n
}
