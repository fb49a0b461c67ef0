package identity

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCreateAndLoad(t *testing.T) {
	dir := t.TempDir()
	made, err := Create(dir, "bank", []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	crt, key := filepath.Join(dir, "bank.crt"), filepath.Join(dir, "bank.key")
	for path, mode := range map[string]fs.FileMode{crt: 0o644, key: 0o600} {
		if fi, err := os.Lstat(path); err != nil || fi.Mode() != mode {
			t.Errorf("%s: mode %v, %v", path, fi.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	id, err := Load(crt, key)
	if err != nil || id.Pin != made.Pin {
		t.Fatalf("another pin, %v", err)
	}
	if left := time.Until(id.Certificate.Leaf.NotAfter); left < certLifetime-time.Minute {
		t.Errorf("valid for %v", left)
	}
	pin, err := ReadPin(crt)
	if err != nil || pin != id.Pin {
		t.Errorf("the pin of the file: %x, %v", pin, err)
	}
	roots, err := ReadRoots(crt)
	if err != nil {
		t.Fatal(err)
	}
	if o := connect(t, ServerConfig(id, nil), ClientConfig(made, roots)); !o.ok() {
		t.Errorf("does not connect: %+v", o)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	made, err := Create(dir, "bank", nil)
	if err != nil {
		t.Fatal(err)
	}
	crt, key := filepath.Join(dir, "bank.crt"), filepath.Join(dir, "bank.key")
	before := read(t, key)
	if _, err := Create(dir, "bank", nil); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), crt) {
		t.Errorf("twice: %v", err)
	}
	// A certificate that is gone is made again for the same key.
	if err := os.Remove(crt); err != nil {
		t.Fatal(err)
	}
	again, err := Create(dir, "bank", []string{"localhost"})
	if err != nil || again.Pin != made.Pin {
		t.Errorf("renewed with another pin, %v", err)
	}
	if !bytes.Equal(before, read(t, key)) {
		t.Error("the key has changed")
	}
	if _, err := Load(crt, key); err != nil {
		t.Error(err)
	}
	// Without its key a certificate is still not replaced.
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir, "bank", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("certificate without key: %v", err)
	}
	if _, err := os.Lstat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a refused Create left a key")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRenewRefuses(t *testing.T) {
	good := func() []byte {
		_, keyPEM, err := New("x", nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return keyPEM
	}()
	ec, err := x509.MarshalPKCS8PrivateKey(ecKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		content []byte
		mode    fs.FileMode
		want    string
	}{
		"wide":      {good, 0o644, "chmod 600"},
		"other key": {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ec}), 0o600, "Ed25519"},
		"damaged":   {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}), 0o600, "damaged"},
		"text":      {[]byte("secret"), 0o600, "PEM"},
		"EC type":   {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ec}), 0o600, "PEM"},
	} {
		dir := t.TempDir()
		key := filepath.Join(dir, "a.key")
		if err := os.WriteFile(key, tt.content, tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(key, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Create(dir, "a", nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(read(t, key), tt.content) {
			t.Errorf("%s: the key file has changed", name)
		}
		if _, err := os.Lstat(filepath.Join(dir, "a.crt")); err == nil {
			t.Errorf("%s: a certificate was written", name)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b"} {
		if _, err := Create(dir, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, b []byte, mode fs.FileMode) string {
		if err := os.WriteFile(path(name), b, mode); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	oldCert, oldKey, err := New("old", nil, 1) // a nanosecond; certificates count seconds
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	future := foreign(t, edKey(t), time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	futureKey, err := x509.MarshalPKCS8PrivateKey(future.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	wide := write("wide.key", read(t, path("a.key")), 0o600)
	if err := os.Chmod(wide, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path("a.key"), path("link.key")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ crt, key, want string }{
		"another's key":    {path("a.crt"), path("b.key"), "a.crt"},
		"wide key":         {path("a.crt"), wide, "chmod 600 " + wide},
		"linked key":       {path("a.crt"), path("link.key"), "symbolic link"},
		"no key":           {path("a.crt"), path("none.key"), "none.key"},
		"no certificate":   {path("none.crt"), path("a.key"), "none.crt"},
		"folder":           {dir, path("a.key"), "not a PEM file"},
		"expired":          {write("old.crt", oldCert, 0o644), write("old.key", oldKey, 0o600), "expired at"},
		"not yet valid":    {write("new.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: future.Certificate.Certificate[0]}), 0o644), write("new.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: futureKey}), 0o600), "not valid before"},
		"key for the cert": {path("a.key"), path("a.key"), "a.key"},
		"huge certificate": {write("huge.crt", make([]byte, maxPEM+1), 0o644), path("a.key"), "huge.crt"},
	} {
		if _, err := Load(tt.crt, tt.key); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadPinAndRoots(t *testing.T) {
	dir := t.TempDir()
	id, err := Create(dir, "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	other := newIdentity(t)
	cert := func(id *Identity) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Certificate.Certificate[0]}))
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: id.Certificate.Leaf.RawSubjectPublicKeyInfo}))
	rsaID := foreign(t, rsaKey(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	key := string(read(t, filepath.Join(dir, "a.key")))
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	for name, tt := range map[string]struct {
		text       string
		pin, roots bool
	}{
		"certificate":       {cert(id), true, true},
		"public key":        {public, true, false},
		"two certificates":  {cert(id) + cert(other), true, true},
		"text before":       {"subject=a\n" + cert(id), true, true},
		"RSA certificate":   {cert(rsaID), false, true}, // an authority may have any key
		"private key":       {key, false, false},
		"certificate, key":  {cert(id) + key, true, false},
		"broken":            {broken, false, false},
		"broken public key": {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", false, false},
		"empty":             {"", false, false},
		"no PEM":            {"hello", false, false},
	} {
		path := filepath.Join(dir, "file.pem")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		pin, err := ReadPin(path)
		if (err == nil) != tt.pin || tt.pin && pin != id.Pin || !tt.pin && pin != [32]byte{} {
			t.Errorf("%s: pin %x, %v", name, pin, err)
		}
		roots, rootsErr := ReadRoots(path)
		if (rootsErr == nil) != tt.roots || (roots != nil) != tt.roots {
			t.Errorf("%s: roots: %v", name, rootsErr)
		}
		for _, err := range []error{err, rootsErr} {
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%s: the error does not name the file: %v", name, err)
			}
		}
	}
}

func FuzzReadPEM(f *testing.F) {
	certPEM, keyPEM, err := New("x", []string{"localhost"}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{certPEM, keyPEM, nil, []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), certPEM[:100]} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "a.pem")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if pin, err := ReadPin(path); err != nil && pin != [32]byte{} {
			t.Error("a pin with an error")
		}
		if roots, err := ReadRoots(path); (err == nil) != (roots != nil) {
			t.Error("roots with an error")
		}
		if id, err := Parse(text, keyPEM); (err == nil) != (id != nil) {
			t.Error("an identity with an error")
		}
	})
}
