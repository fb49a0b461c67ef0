package server

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ecoin/internal/problem"
)

// FuzzWithdrawArguments parses queries and idempotency keys: what is accepted is
// spelled in one way, and what is not is a problem that does not quote it.
func FuzzWithdrawArguments(f *testing.F) {
	for _, seed := range []struct{ query, key string }{
		{"n=1", key(1)}, {"n=10000", strings.ToUpper(key(0xabcdef))}, {"n=10001", ""}, {"", key(1)[1:]}, {"n=", key(1) + "0"},
		{"n=0", "g" + key(1)[1:]}, {"n=01", " " + key(1)}, {"n=-1", key(1)[:31] + "\xff"}, {"n=1&n=2", "\x00"}, {"N=1", key(2)},
		{"n=1;", key(2)}, {"n=%31", key(2)}, {"n=1e3", key(2)}, {"n=+1", key(2)}, {"m=1", key(2)}, {"n=１", key(2)},
	} {
		f.Add([]byte(seed.query), []byte(seed.key))
	}
	f.Fuzz(func(t *testing.T, query, idKey []byte) {
		var p *problem.Problem
		n, err := parseCount(query)
		switch {
		case err == nil && (n < 1 || n > 10000 || string(query) != fmt.Sprintf("n=%d", n)):
			t.Errorf("query %q was taken for %d", query, n)
		case err != nil && (!errors.As(err, &p) || p.Status != 400 || n != 0):
			t.Errorf("query %q: %d, %v", query, n, err)
		}
		id, err := parseKey([][]byte{idKey})
		switch {
		case err == nil && !strings.EqualFold(string(idKey), hex.EncodeToString(id[:])):
			t.Errorf("key %q was taken for %x", idKey, id)
		case err != nil && (!errors.As(err, &p) || p.Status != 400 || id != [16]byte{}):
			t.Errorf("key %q: %x, %v", idKey, id, err)
		}
		for _, values := range [][][]byte{nil, {}, {idKey, idKey}} {
			if _, err := parseKey(values); err == nil {
				t.Errorf("%d keys were accepted", len(values))
			}
		}
	})
}

// FuzzTarget splits request targets: the path is a part of the target as it stands.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/v1/keys", "/v1/withdraw?n=1", "https://bank/v1/keys?x", "https://bank", "*", "", "?", "/?", "://", "bank:443", "/a?b?c", "http:///v1/keys"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		path, query := splitTarget(target)
		if len(path) > 0 && path[0] != '/' {
			t.Errorf("%q has the path %q", target, path)
		}
		if bytes.IndexByte(path, '?') >= 0 {
			t.Errorf("%q has a query in the path %q", target, path)
		}
		joined := bytes.Clone(path)
		if len(query) > 0 {
			joined = append(append(joined, '?'), query...)
		}
		if !bytes.HasSuffix(bytes.TrimSuffix(target, []byte("?")), bytes.TrimSuffix(joined, []byte("?"))) {
			t.Errorf("%q was split into %q and %q", target, path, query)
		}
	})
}
