package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// newIdentity returns a fresh identity that is also a server on loopback.
func newIdentity(t testing.TB) *Identity {
	t.Helper()
	certPEM, keyPEM, err := New("test", []string{"127.0.0.1", "localhost"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// foreign returns an identity made without this package: any key, any dates.
func foreign(t testing.TB, key crypto.Signer, from, to time.Time) *Identity {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "foreign"},
		NotBefore: from, NotAfter: to, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Identity{Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, Pin: PinOf(leaf)}
}

func edKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is made once: it takes its time.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func TestNew(t *testing.T) {
	certPEM, keyPEM, err := New("bank-1.example", []string{"bank.example", "192.0.2.7", "2001:db8::7", "localhost"}, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	c := id.Certificate.Leaf
	if c.Subject.CommonName != "bank-1.example" || c.IsCA || !c.BasicConstraintsValid || c.PublicKeyAlgorithm != x509.Ed25519 {
		t.Errorf("subject %v, CA %v, key %v", c.Subject, c.IsCA, c.PublicKeyAlgorithm)
	}
	if len(c.DNSNames) != 2 || len(c.IPAddresses) != 2 {
		t.Errorf("hosts: %v %v", c.DNSNames, c.IPAddresses)
	}
	if now := time.Now(); now.Sub(c.NotBefore) < 59*time.Minute || c.NotAfter.Sub(now) < 23*time.Hour || c.NotAfter.Sub(now) > 24*time.Hour {
		t.Errorf("valid from %v to %v", c.NotBefore, c.NotAfter)
	}
	if c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 127 {
		t.Errorf("serial of %d bits, sign %d", c.SerialNumber.BitLen(), c.SerialNumber.Sign())
	}
	if id.Pin != sha256.Sum256(c.RawSubjectPublicKeyInfo) {
		t.Error("the pin is not the hash of the SubjectPublicKeyInfo")
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	for _, host := range []string{"bank.example", "192.0.2.7", "[2001:db8::7]", "localhost"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := c.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("%s, usage %v: %v", host, usage, err)
			}
		}
	}
	other, _, err := New("bank-1.example", nil, time.Hour)
	if err != nil || bytes.Equal(other, certPEM) {
		t.Errorf("two identities are equal, %v", err)
	}
}

// A root that could sign for others would let its owner stand in for any host.
func TestIdentityCannotSignForOthers(t *testing.T) {
	bank := newIdentity(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	key := edKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, bank.Certificate.Leaf, key.Public(), bank.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: pool(bank)}); err == nil {
		t.Error("a certificate signed by an identity is trusted")
	}
}

func pool(ids ...*Identity) *x509.CertPool {
	p := x509.NewCertPool()
	for _, id := range ids {
		p.AddCert(id.Certificate.Leaf)
	}
	return p
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"", ".", "..", ".hidden", "-x", "_x", "a/b", "a b", "a\x00", "ключ", strings.Repeat("a", 65), "../../etc/passwd"} {
		if _, _, err := New(name, nil, time.Hour); err == nil {
			t.Errorf("name %q is accepted", name)
		}
		if _, err := Create(t.TempDir(), name, nil); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("Create with name %q: %v", name, err)
		}
	}
	if _, _, err := New(strings.Repeat("a", 64), nil, time.Hour); err != nil {
		t.Errorf("a name of 64: %v", err)
	}
	for _, host := range []string{"", "localhost:8443", "127.0.0.1:1", "[::1]", "*.example", "https://x", "a..b", "-a.b", "a b", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"} {
		if _, _, err := New("x", []string{host}, time.Hour); err == nil {
			t.Errorf("host %q is accepted", host)
		}
	}
	for _, d := range []time.Duration{0, -time.Hour} {
		if _, _, err := New("x", nil, d); err == nil {
			t.Errorf("lifetime %v is accepted", d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	now := time.Now()
	encode := func(id *Identity) (certPEM, keyPEM []byte) {
		der, err := x509.MarshalPKCS8PrivateKey(id.Certificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Certificate.Certificate[0]}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	for name, tt := range map[string]struct {
		key crypto.Signer
		ok  bool
	}{
		"Ed25519": {edKey(t), true}, "P-256": {ecKey(t, elliptic.P256()), true},
		"P-384": {ecKey(t, elliptic.P384()), false}, "P-521": {ecKey(t, elliptic.P521()), false}, "RSA": {rsaKey(), false},
	} {
		c, k := encode(foreign(t, tt.key, now.Add(-time.Hour), now.Add(time.Hour)))
		_, err := Parse(c, k)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if !tt.ok && !strings.Contains(fmt.Sprint(err), "use Ed25519 or ECDSA P-256") {
			t.Errorf("%s: the message does not say which keys to use: %v", name, err)
		}
	}
	a, ak := encode(newIdentity(t))
	b, _ := encode(newIdentity(t))
	for name, err := range map[string]error{
		"another's key": second(Parse(b, ak)), "no key": second(Parse(a, nil)), "no certificate": second(Parse(nil, ak)), "swapped": second(Parse(ak, a)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestCheckPeer(t *testing.T) {
	now := time.Now()
	hour := time.Hour
	state := func(ids ...*Identity) tls.ConnectionState {
		var cs tls.ConnectionState
		for _, id := range ids {
			cs.PeerCertificates = append(cs.PeerCertificates, id.Certificate.Leaf)
		}
		return cs
	}
	good := newIdentity(t)
	for name, tt := range map[string]struct {
		cs   tls.ConnectionState
		want string // in the error; "" for none
	}{
		"good":           {state(good), ""},
		"P-256":          {state(foreign(t, ecKey(t, elliptic.P256()), now.Add(-hour), now.Add(hour))), ""},
		"none":           {state(), "no certificate"},
		"expired":        {state(foreign(t, edKey(t), now.Add(-2*hour), now.Add(-hour))), "expired"},
		"not yet valid":  {state(foreign(t, edKey(t), now.Add(hour), now.Add(2*hour))), "not valid before"},
		"RSA":            {state(foreign(t, rsaKey(), now.Add(-hour), now.Add(hour))), "Ed25519 or ECDSA P-256"},
		"P-384":          {state(foreign(t, ecKey(t, elliptic.P384()), now.Add(-hour), now.Add(hour))), "P-384"},
		"RSA, good next": {state(foreign(t, rsaKey(), now.Add(-hour), now.Add(hour)), good), "Ed25519"},
	} {
		cert, pin, err := CheckPeer(tt.cs, now)
		if tt.want == "" {
			if err != nil || cert != tt.cs.PeerCertificates[0] || pin != PinOf(cert) {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) || cert != nil || pin != [32]byte{} {
			t.Errorf("%s: %v", name, err)
		}
	}
	leaf := good.Certificate.Leaf
	for at, ok := range map[time.Time]bool{
		leaf.NotBefore: true, leaf.NotBefore.Add(-1): false, leaf.NotAfter: true, leaf.NotAfter.Add(1): false,
	} {
		if _, _, err := CheckPeer(state(good), at); (err == nil) != ok {
			t.Errorf("at %v of [%v, %v]: %v", at, leaf.NotBefore, leaf.NotAfter, err)
		}
	}
}

func TestIdentityPrintsRedacted(t *testing.T) {
	id := newIdentity(t)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "id", id, "value", *id)
	_, jsonErr := json.Marshal(id)
	if jsonErr == nil {
		t.Error("an identity marshals to JSON")
	}
	seed := id.Certificate.PrivateKey.(ed25519.PrivateKey).Seed()
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %x", id, *id, id, id, *id), log.String(), jsonErr.Error()} {
		if strings.Contains(s, fmt.Sprintf("%x", seed)) || strings.Contains(s, fmt.Sprint(seed)[1:20]) || strings.Contains(s, "PrivateKey") {
			t.Errorf("prints the key: %s", s)
		}
	}
	if s := fmt.Sprint(id); s != "redacted" {
		t.Errorf("prints %q", s)
	}
}
