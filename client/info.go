package client

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"ecoin/core"
	"ecoin/internal/wire"
)

// maxJSON bounds the JSON answers of a bank, in bytes.
const maxJSON = 1 << 20

// Key is one public key of a bank.
type Key struct {
	Public *core.PublicKey
	URL    string // of the bank that opens what is sealed for this key
}

// Account returns the account of this client's key, as it is now.
func (c *Client) Account(ctx context.Context) (wire.Account, error) {
	const call = "account"
	var a wire.Account
	if err := c.caller.getJSON(ctx, call, wire.PathAccount, maxJSON, &a); err != nil {
		return wire.Account{}, err
	}
	if id, err := hex.DecodeString(a.ID); err != nil || len(id) != 16 {
		return wire.Account{}, malformed(call, errors.New("the account's id is not 32 hexadecimal digits"))
	}
	return a, nil
}

// Keys returns the bank's active keys, at least one, in the bank's order. Keys of
// suites this program does not know are left out; a key whose id is not that of its
// bytes is an error.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	const call = "keys"
	var answer wire.Keys
	if err := c.caller.getJSON(ctx, call, wire.PathKeys, maxJSON, &answer); err != nil {
		return nil, err
	}
	var out []Key
	for i, k := range answer.Keys {
		suite, err := core.ParseSuite(k.Suite)
		if err != nil {
			continue // a newer bank
		}
		pub, err := parseKey(suite, k)
		if err != nil {
			return nil, malformed(call, fmt.Errorf("key %d: %w", i, err))
		}
		out = append(out, Key{Public: pub, URL: k.URL})
	}
	if len(out) == 0 {
		return nil, malformed(call, fmt.Errorf("none of %d keys is of a suite this program knows", len(answer.Keys)))
	}
	return out, nil
}

func parseKey(suite core.Suite, k wire.Key) (*core.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(k.PublicKey)
	if err != nil {
		return nil, errors.New("not base64")
	}
	pub, err := core.ParsePublicKey(suite, raw)
	if err != nil {
		return nil, err
	}
	if pub.ID().String() != k.KeyID {
		return nil, errors.New("the key id is another key's")
	}
	return pub, nil
}

// getJSON fetches path into out.
func (c *caller) getJSON(ctx context.Context, call, path string, limit int, out any) error {
	b, err := c.do(ctx, request{call: call, method: http.MethodGet, path: path, jsonLimit: limit})
	if err != nil {
		return err
	}
	return decode(call, b, out)
}

// decode parses the one JSON value in b. Fields out does not have are ignored, so
// that a newer bank may say more.
func decode(call string, b []byte, out any) error {
	if err := json.Unmarshal(b, out); err != nil { // its text would quote the answer
		return malformed(call, errors.New("not the JSON of this call"))
	}
	return nil
}
