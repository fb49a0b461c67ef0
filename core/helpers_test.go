package core

import (
	"bytes"
	"encoding/pem"
	"os"
	"strings"
	"sync"
	"testing"

	"ecoin/core/internal/vectors"
)

// testRSA is the published key of testdata; making one takes too long.
var testRSA = sync.OnceValue(func() *PrivateKey {
	text, err := os.ReadFile("testdata/rsa3072.pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := ParsePrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key
})

var (
	testX25519 = sync.OnceValue(func() *PrivateKey { return generated(SuiteX25519) })
	testXWing  = sync.OnceValue(func() *PrivateKey { return generated(SuiteXWing) })
)

func generated(s Suite) *PrivateKey {
	key, err := GenerateKey(s)
	if err != nil {
		panic(err)
	}
	return key
}

// stride is the step through all cases: 1, or n where -short asks for less.
func stride(n int) int {
	if testing.Short() {
		return n
	}
	return 1
}

// testKeys returns one key of each suite.
func testKeys() []*PrivateKey { return []*PrivateKey{testX25519(), testXWing(), testRSA()} }

// eachSuite runs f with one key of each suite; with -short, which is for emulated
// processors, not of SuiteRSA3072: that is slow, and no assembly of ours.
func eachSuite(t *testing.T, f func(t *testing.T, key *PrivateKey)) {
	t.Helper()
	for _, key := range testKeys() {
		if testing.Short() && key == testRSA() {
			continue
		}
		t.Run("suite="+key.Public().Suite().String(), func(t *testing.T) { f(t, key) })
	}
}

// testSecrets returns secrets that differ for each n.
func testSecrets(n byte) *Secrets {
	sec := new(Secrets)
	for i := range sec.Coin {
		sec.Coin[i] = n ^ byte(i*7)
	}
	for i := range sec.IV {
		sec.IV[i] = n ^ byte(0x80+i)
	}
	return sec
}

func mustRecord(t testing.TB, key *PublicKey, sec *Secrets) []byte {
	t.Helper()
	record, err := key.AppendHeader(nil, new(Scratch), sec)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func mustRequest(t testing.TB, key *PublicKey, sec *Secrets, plaintext []byte) []byte {
	t.Helper()
	msg, err := AppendRequest(nil, new(Scratch), mustRecord(t, key, sec), sec, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func mustParse(t testing.TB, msg []byte) *Request {
	t.Helper()
	req, err := ParseRequest(msg)
	if err != nil {
		t.Fatal(err)
	}
	return &req
}

func mustReply(t testing.TB, req *Request, sec *Secrets, plaintext []byte) []byte {
	t.Helper()
	msg, err := req.AppendReply(nil, new(Scratch), sec, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// golden returns the values of testdata/golden.txt by name.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string][]byte)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		m[name] = vectors.Hex(t, value)
	}
	if len(m) != 16 {
		t.Fatalf("golden.txt has %d values, want 16", len(m))
	}
	return m
}

// dstWithRoom returns a dst of two known bytes with room for n more, all 0xee, and
// the whole array to look at afterwards.
func dstWithRoom(n int) (dst, array []byte) {
	array = bytes.Repeat([]byte{0xee}, 2+n)
	copy(array, "ab")
	return array[:2], array
}

// mustBeUntouched checks that a failed append left dst as dstWithRoom made it, and
// nothing in the spare room that was not there before or zero.
func mustBeUntouched(t *testing.T, what string, got, array []byte) {
	t.Helper()
	if len(got) != 2 || string(got) != "ab" || &got[0] != &array[0] {
		t.Errorf("%s: dst came back with length %d, want the 2 bytes given", what, len(got))
	}
	for i, b := range array[2:] {
		if b != 0xee && b != 0 {
			t.Errorf("%s: output byte %d was left behind", what, i)
			return
		}
	}
}

func mustPanic(t *testing.T, what, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got, _ := recover().(string); !strings.Contains(got, want) {
			t.Errorf("%s: panic %q, want one with %q", what, got, want)
		}
	}()
	f()
}
