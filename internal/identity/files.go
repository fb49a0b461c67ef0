package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ecoin/internal/keyfile"
)

// maxPEM bounds what is read of a certificate file, in bytes.
const maxPEM = 1 << 20

// Create makes an identity in dir: NAME.crt (0644, to be given away) and NAME.key
// (0600, to be kept). See [New] for name and hosts; the certificate is valid for
// 10 years.
//
// It never overwrites a key. Where NAME.key exists and NAME.crt does not, it makes a
// new certificate for that key: this finishes a Create that was interrupted, and it
// is how a certificate is renewed (move the old one away). Where NAME.crt exists it
// changes nothing and returns an error that satisfies errors.Is(err, fs.ErrExist).
func Create(dir, name string, hosts []string) (*Identity, error) {
	if !validName(name) { // before it becomes part of a path
		_, err := newCertificate(name, nil, certLifetime, nil)
		return nil, err
	}
	certFile, keyFile := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if _, err := os.Lstat(certFile); err == nil {
		return nil, fmt.Errorf("identity: %s exists already and is left as it is: use it, or move it away first: %w", certFile, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("identity: %w", err)
	}

	keyPEM, certPEM, err := keyAndCertificate(keyFile, name, hosts)
	if err != nil {
		return nil, err
	}
	defer clear(keyPEM)
	id, err := Parse(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	if err := writeCertificate(certFile, certPEM); err != nil {
		return nil, err
	}
	return id, nil
}

// keyAndCertificate returns a new certificate for the key in keyFile, which it
// creates unless it exists.
func keyAndCertificate(keyFile, name string, hosts []string) (keyPEM, certPEM []byte, err error) {
	if _, err := os.Lstat(keyFile); err == nil {
		return renew(keyFile, name, hosts)
	}
	if certPEM, keyPEM, err = New(name, hosts, certLifetime); err != nil {
		return nil, nil, err
	}
	if err := keyfile.Write(keyFile, keyPEM); err != nil {
		clear(keyPEM)
		return nil, nil, fmt.Errorf("identity: %w", err)
	}
	return keyPEM, certPEM, nil
}

// renew makes a certificate for the Ed25519 key in keyFile.
func renew(keyFile, name string, hosts []string) (keyPEM, certPEM []byte, err error) {
	if keyPEM, err = keyfile.Read(keyFile); err != nil {
		return nil, nil, fmt.Errorf("identity: %w", err)
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil || block.Type != typePrivateKey {
		clear(keyPEM)
		return nil, nil, fmt.Errorf("identity: %s holds no %q PEM block (PKCS#8)", keyFile, typePrivateKey)
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		clear(keyPEM)
		return nil, nil, fmt.Errorf("identity: %s holds a damaged key", keyFile) // the parser's words could quote it
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		clear(keyPEM)
		return nil, nil, fmt.Errorf("identity: %s holds a %T: certificates are made here for Ed25519 keys only", keyFile, parsed)
	}
	defer clear(key)
	if certPEM, err = newCertificate(name, hosts, certLifetime, key); err != nil {
		clear(keyPEM)
		return nil, nil, err
	}
	return keyPEM, certPEM, nil
}

// writeCertificate puts a certificate under its name, whole or not at all. One that a
// crash takes away again is made anew by the next Create.
func writeCertificate(path string, certPEM []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".crt-*")
	if err != nil {
		return fmt.Errorf("identity: create %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // after the link below, one of two names
	_, err = f.Write(certPEM)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Link(f.Name(), path) // fails where a rename would overwrite
	}
	if err != nil {
		return fmt.Errorf("identity: write %s: %w", path, err)
	}
	return nil
}

// Load reads an identity from a PEM certificate and a PEM PKCS#8 key. It refuses a
// key file with any permission for group or others (see keyfile.Read), a key that
// is not the certificate's, key types that peers refuse, and a certificate
// outside its dates.
func Load(certFile, keyFile string) (*Identity, error) {
	certPEM, err := readPEM(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := keyfile.Read(keyFile)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer clear(keyPEM)
	id, err := Parse(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%w (certificate %s, key %s)", err, certFile, keyFile)
	}
	if err := checkDates(id.Certificate.Leaf, time.Now()); err != nil {
		return nil, fmt.Errorf("identity: the certificate %s %w", certFile, err)
	}
	return id, nil
}

// ReadPin returns the pin of the first certificate or public key in a PEM file. It
// refuses key types that peers refuse.
func ReadPin(file string) ([sha256.Size]byte, error) {
	text, err := readPEM(file)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	defer clear(text) // somebody may have named a private key
	block, _ := pem.Decode(text)
	if block == nil {
		return [sha256.Size]byte{}, fmt.Errorf("identity: %s holds no PEM block, want a certificate or a public key", file)
	}
	var pub any
	var spki []byte
	switch block.Type {
	case typeCertificate:
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("identity: %s: %w", file, err)
		}
		pub, spki = cert.PublicKey, cert.RawSubjectPublicKeyInfo
	case typePublicKey:
		if pub, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("identity: %s: %w", file, err)
		}
		spki = block.Bytes
	default:
		clear(block.Bytes)
		return [sha256.Size]byte{}, fmt.Errorf("identity: %s holds a PEM block of type %q, want a certificate or a public key", file, block.Type)
	}
	if err := checkKey(pub); err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("%w (%s)", err, file)
	}
	return sha256.Sum256(spki), nil
}

// ReadRoots returns the certificates of a PEM file as the set of servers (or
// authorities) to trust.
func ReadRoots(file string) (*x509.CertPool, error) {
	text, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	defer clear(text) // somebody may have named a private key
	pool := x509.NewCertPool()
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != typeCertificate {
			clear(block.Bytes)
			return nil, fmt.Errorf("identity: %s holds a PEM block of type %q, want certificates alone", file, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("identity: %s: certificate %d: %w", file, n, err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("identity: %s holds no PEM certificate", file)
	}
	return pool, nil
}

// readPEM reads a file of certificates or public keys.
func readPEM(file string) ([]byte, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxPEM {
		return nil, fmt.Errorf("identity: %s is not a PEM file (%v, %d bytes)", file, fi.Mode(), fi.Size())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return bytes.TrimSpace(text), nil
}
