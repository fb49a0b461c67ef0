// Package clients knows the clients of the banks that ours is compared with: by their keys,
// from the list that "ecoin loadgen accounts" prints.
package clients

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

// Account is one client's.
type Account struct {
	Number int16 // from 0
	Name   string
	Role   string
}

// ID is what the API calls the account: 32 hexadecimal digits.
func (a *Account) ID() string { return fmt.Sprintf("%032x", a.Number+1) }

// Truststore has the accounts by the SHA-256 of their keys. It does not change.
type Truststore map[[sha256.Size]byte]*Account

// Read reads a CSV file with the columns name, role, pin and credit.
func Read(file string) (Truststore, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	t := Truststore{}
	for i, row := range rows {
		if i == 0 {
			continue
		}
		if len(row) != 4 {
			return nil, fmt.Errorf("clients: line %d of %s has %d columns, want name, role, pin, credit", i+1, file, len(row))
		}
		pin, err := hex.DecodeString(row[2])
		if err != nil || len(pin) != sha256.Size {
			return nil, fmt.Errorf("clients: line %d of %s: the pin is not 64 hexadecimal digits", i+1, file)
		}
		t[[sha256.Size]byte(pin)] = &Account{Number: int16(i - 1), Name: row[0], Role: row[1]}
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("clients: %s has no accounts", file)
	}
	return t, nil
}

var errStranger = errors.New("clients: the key has no account")

// Config is that of a server for these clients alone: TLS 1.3, a certificate from each.
func (t Truststore) Config(id *identity.Identity) *tls.Config {
	return identity.ServerConfig(id, func(pin [sha256.Size]byte) error {
		if t[pin] == nil {
			return errStranger
		}
		return nil
	})
}

// Of returns whose connection it is.
func (t Truststore) Of(cs *tls.ConnectionState) *Account {
	return t[sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo)]
}

// Keys is the answer to GET /v1/keys of a bank with one key, at url.
func Keys(key *core.PublicKey, url string) wire.Keys {
	return wire.Keys{Keys: []wire.Key{{Suite: key.Suite().String(), KeyID: key.ID().String(), PublicKey: base64.StdEncoding.EncodeToString(key.Bytes()), URL: url}}}
}
