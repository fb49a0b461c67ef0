package keyfile

import (
	"bytes"
	"encoding/pem"
	"fmt"
)

// PEM types of the files that hold secrets.
const (
	TypeIssueKey       = "ECOIN ISSUE KEY"       // 32 bytes: makes coins from salts
	TypeFingerprintKey = "ECOIN FINGERPRINT KEY" // 32 bytes: makes ledger keys from coins
	typePrivateKey     = "PRIVATE KEY"           // PKCS#8 DER (RFC 5958, RFC 7468 section 10)
)

// WriteSecret creates path (see [Write]) with key as one PEM block of type typ,
// which is [TypeIssueKey] or [TypeFingerprintKey].
func WriteSecret(path, typ string, key *[32]byte) error {
	return writePEM(path, typ, key[:])
}

// ReadSecret returns the 32-byte key in a file made by [WriteSecret]; the file's
// type must be typ. The caller wipes the key.
func ReadSecret(path, typ string) (key [32]byte, err error) {
	b, err := readPEM(path, typ)
	if err != nil {
		return key, err
	}
	defer clear(b)
	if len(b) != len(key) {
		return key, fmt.Errorf("keyfile: %s holds %d bytes, want %d", path, len(b), len(key))
	}
	copy(key[:], b)
	return key, nil
}

// WritePrivateKey creates path (see [Write]) with a PKCS#8 key as one PEM block.
func WritePrivateKey(path string, pkcs8 []byte) error {
	return writePEM(path, typePrivateKey, pkcs8)
}

// ReadPrivateKey returns the PKCS#8 bytes in a file made by [WritePrivateKey] or
// by any tool that writes unencrypted PKCS#8. The caller wipes them.
func ReadPrivateKey(path string) ([]byte, error) {
	return readPEM(path, typePrivateKey)
}

func writePEM(path, typ string, b []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b})
	defer clear(text)
	return Write(path, text)
}

// readPEM returns the content of the one PEM block in path, which has type typ.
func readPEM(path, typ string) ([]byte, error) {
	text, err := Read(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("keyfile: %s holds no PEM block, want one of type %q", path, typ)
	case block.Type != typ:
		clear(block.Bytes)
		return nil, fmt.Errorf("keyfile: %s holds a PEM block of type %q, want %q", path, block.Type, typ)
	case len(block.Headers) != 0:
		clear(block.Bytes)
		return nil, fmt.Errorf("keyfile: %s holds a PEM block with headers (encrypted?), want a plain one", path)
	case len(bytes.TrimSpace(rest)) != 0:
		clear(block.Bytes)
		return nil, fmt.Errorf("keyfile: %s holds more than one PEM block: keep the %q block alone", path, typ)
	}
	return block.Bytes, nil
}
