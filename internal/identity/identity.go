// Package identity gives every role its TLS identity and checks its peers by pin.
//
// An identity is an Ed25519 key and a self-signed certificate, usable as client and
// as server. Its pin, the SHA-256 of the key's SubjectPublicKeyInfo, is what the
// other side knows it by: no authority stands behind it, and a renewed certificate
// of the same key has the same pin.
//
// Start with [Create] (or [Load]), then [ServerConfig], [ClientConfig] or
// [PinnedClientConfig]. All three speak TLS 1.3 alone, and check the peer in
// tls.Config.VerifyConnection, which runs on every handshake: VerifyPeerCertificate
// would be skipped when a session is resumed, and a removed key would stay in.
package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"time"
)

// certLifetime is how long a certificate made by [Create] is valid. It is long because
// the pin is what counts: a key is turned away by removing its pin, at once,
// and not by waiting for a date.
const certLifetime = 10 * 365 * 24 * time.Hour

// skew is how far a peer's clock may run behind the clock of the machine that made
// the certificate.
const skew = time.Hour

// PEM types of certificates and of the two kinds of key.
const (
	typeCertificate = "CERTIFICATE"
	typePrivateKey  = "PRIVATE KEY"
	typePublicKey   = "PUBLIC KEY"
)

// Identity is a certificate with its private key. It is not changed after it was
// made and is safe for concurrent use.
type Identity struct {
	Certificate tls.Certificate
	Pin         [sha256.Size]byte // SHA-256 of the key's SubjectPublicKeyInfo
}

// Format implements fmt.Formatter: an identity holds a private key and prints as
// "redacted".
func (Identity) Format(f fmt.State, _ rune) { io.WriteString(f, "redacted") }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Identity) LogValue() slog.Value { return slog.StringValue("redacted") }

// MarshalText returns an error: an identity is secret.
func (Identity) MarshalText() ([]byte, error) {
	return nil, errors.New("identity: refusing to marshal a private key")
}

// New makes an Ed25519 key and a self-signed certificate for it, in PEM; the key is
// PKCS#8. The certificate names the identity and, for servers, the hosts it is
// reached by (DNS names or IP addresses). It is valid from an hour ago until
// lifetime from now.
//
// name is 1 to 64 of the characters a-z A-Z 0-9 . _ -, the first one a letter or
// digit. The caller wipes keyPEM.
func New(name string, hosts []string, lifetime time.Duration) (certPEM, keyPEM []byte, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: generate a key: %w", err)
	}
	defer clear(key)
	if certPEM, err = newCertificate(name, hosts, lifetime, key); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: encode the key: %w", err)
	}
	defer clear(der)
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: typePrivateKey, Bytes: der}), nil
}

// newCertificate signs a certificate for key with key, in PEM.
func newCertificate(name string, hosts []string, lifetime time.Duration, key ed25519.PrivateKey) ([]byte, error) {
	if !validName(name) {
		return nil, fmt.Errorf("identity: name %q: want 1 to 64 of a-z A-Z 0-9 . _ -, starting with a letter or digit", name)
	}
	if lifetime <= 0 {
		return nil, fmt.Errorf("identity: lifetime %v: want a positive one", lifetime)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, // and IsCA false: this key signs for nobody else
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if validDNS(h) {
			template.DNSNames = append(template.DNSNames, h)
		} else {
			return nil, fmt.Errorf("identity: host %q: want a DNS name or an IP address, without port", h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("identity: make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: der}), nil
}

// newSerial returns a positive random number of at most 127 bits.
func newSerial() *big.Int {
	var b [16]byte
	rand.Read(b[:])
	b[0] = b[0]&0x7f | 0x40 // 16 bytes, never negative, never zero (RFC 5280 section 4.1.2.2)
	return new(big.Int).SetBytes(b[:])
}

// Parse returns the identity in a certificate and a PKCS#8 key, both PEM. The key
// must be one that peers accept (see [CheckPeer]) and belong to the certificate.
// Dates are not looked at.
func Parse(certPEM, keyPEM []byte) (*Identity, error) {
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if err := checkKey(cert.Leaf.PublicKey); err != nil {
		return nil, err
	}
	return &Identity{Certificate: cert, Pin: PinOf(cert.Leaf)}, nil
}

// PinOf returns the SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469
// section 2.4).
func PinOf(cert *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// CheckPeer is what every connection's peer must pass: it presented a certificate
// that is valid at the given time and whose key is Ed25519 or ECDSA on P-256
// (others, RSA among them, cost a server several times as much per handshake).
// It returns the certificate and its pin.
//
// Who signed the certificate does not matter here: the handshake proved that the
// peer has the key, and the caller decides by the pin.
func CheckPeer(cs tls.ConnectionState, now time.Time) (*x509.Certificate, [sha256.Size]byte, error) {
	if len(cs.PeerCertificates) == 0 {
		return nil, [sha256.Size]byte{}, errors.New("identity: the peer sent no certificate")
	}
	leaf := cs.PeerCertificates[0]
	if err := checkDates(leaf, now); err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("identity: the peer's certificate %w", err)
	}
	if err := checkKey(leaf.PublicKey); err != nil {
		return nil, [sha256.Size]byte{}, err
	}
	return leaf, PinOf(leaf), nil
}

// checkDates says why cert is not valid at now.
func checkDates(cert *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Errorf("is not valid before %s: check both clocks", cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return fmt.Errorf("expired at %s: renew it for the same key, the pin stays", cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkKey accepts the key types of this system's certificates.
func checkKey(pub any) error {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return nil
		}
		return fmt.Errorf("identity: the certificate's key is ECDSA on %s: use Ed25519 or ECDSA P-256", k.Curve.Params().Name)
	}
	return fmt.Errorf("identity: the certificate's key is a %T: use Ed25519 or ECDSA P-256", pub)
}

// validName limits names to what is safe in a subject, in a file name and in a log.
func validName(s string) bool {
	if len(s) < 1 || len(s) > 64 || strings.ContainsRune("._-", rune(s[0])) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return true
}

// validDNS accepts host names of letters, digits, hyphens and dots (RFC 1123
// section 2.1). A wildcard is not one.
func validDNS(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) < 1 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isAlnum(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
