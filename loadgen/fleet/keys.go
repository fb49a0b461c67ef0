// Package fleet plays very many clients of a bank in one process: their identities are
// derived from a seed when they are needed, and only so many of them are connected at a
// time. Start with [Seed.Identity] and [NewPool].
package fleet

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strconv"
	"time"

	"ecoin/internal/identity"
)

// A Seed is what the keys of a whole fleet are derived from. It is secret: it prints as
// "redacted".
type Seed [32]byte

// NewSeed returns a random seed.
func NewSeed() (s Seed) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// ParseSeed parses 64 hexadecimal digits.
func ParseSeed(text string) (s Seed, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(s) {
		return s, errors.New("fleet: a seed is 64 hexadecimal digits")
	}
	return Seed(b), nil
}

// Reveal returns the seed as [ParseSeed] reads it, to hand it to another process.
func (s Seed) Reveal() string { return hex.EncodeToString(s[:]) }

// Format implements fmt.Formatter.
func (Seed) Format(f fmt.State, _ rune) { io.WriteString(f, "redacted") }

// LogValue implements slog.LogValuer.
func (Seed) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText returns an error: a seed is secret.
func (Seed) MarshalText() ([]byte, error) {
	return nil, errors.New("fleet: refusing to marshal a seed")
}

// key derives the Ed25519 key number i of a role (RFC 5869).
func (s *Seed) key(role string, i uint32) ed25519.PrivateKey {
	info := binary.BigEndian.AppendUint32([]byte("ecoin loadgen "+role+" "), i)
	seed, err := hkdf.Expand(sha256.New, s[:], string(info), ed25519.SeedSize)
	if err != nil {
		panic("fleet: " + err.Error()) // 32 bytes are always to be had
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed)
}

// spkiPrefix is what comes before an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410
// section 4).
var spkiPrefix = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}

// Pin returns the pin of identity number i of a role without making its certificate.
func (s *Seed) Pin(role string, i uint32) [sha256.Size]byte {
	public := s.key(role, i).Public().(ed25519.PublicKey)
	return sha256.Sum256(append(append(make([]byte, 0, 44), spkiPrefix...), public...))
}

// Identity makes the key and a certificate of identity number i of a role. It takes
// about a tenth of a millisecond: make it on connect, and let it go.
func (s *Seed) Identity(role string, i uint32) (*identity.Identity, error) {
	key := s.key(role, i)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(i) + 1),
		Subject:      pkix.Name{CommonName: s.Name(role, i)},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(48 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("fleet: make a certificate: %w", err)
	}
	return &identity.Identity{
		Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		Pin:         s.Pin(role, i),
	}, nil
}

// Name is the name of an account of the fleet: fleets of other seeds have other names.
func (s *Seed) Name(role string, i uint32) string {
	return s.Prefix(role) + strconv.FormatUint(uint64(i), 10)
}

// Prefix is what the names of all accounts of a role begin with.
func (s *Seed) Prefix(role string) string {
	tag := sha256.Sum256(append([]byte("ecoin loadgen name "), s[:]...))
	return fmt.Sprintf("load-%x-%s-", tag[:4], role)
}
