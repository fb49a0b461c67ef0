package core

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestNewKeyringRefuses(t *testing.T) {
	for name, keys := range map[string][]*PrivateKey{
		"none": nil, "nil": {testX25519(), nil}, "twice": {testX25519(), testRSA(), testX25519()},
	} {
		if ring, err := NewKeyring(keys...); ring != nil || err == nil {
			t.Errorf("%s: keyring made", name)
		}
	}
}

// batch is a keyring of four keys, one of each suite and a second x25519, and records
// for them in turn.
func batch(t *testing.T) (ring *Keyring, records [][]byte, want []Secrets) {
	t.Helper()
	second, err := GenerateKey(SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	ring, err = NewKeyring(testX25519(), testRSA(), second, testXWing())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		sec := testSecrets(byte(i))
		records = append(records, mustRecord(t, ring.Public()[i%4], sec))
		want = append(want, *sec)
	}
	return ring, records, want
}

// openBatch fills out and ok with rubbish first: every element must be set.
func openBatch(ring *Keyring, records [][]byte) ([]Secrets, []bool) {
	out, ok := make([]Secrets, len(records)), make([]bool, len(records))
	for i := range out {
		out[i], ok[i] = *testSecrets(0xff), i%2 == 0
	}
	ring.OpenHeaders(new(Scratch), records, out, ok)
	return out, ok
}

func TestOpenHeadersMixesKeysAndSuites(t *testing.T) {
	ring, records, want := batch(t)
	if pub := ring.Public(); len(pub) != 4 || pub[0] != testX25519().Public() || pub[1] != testRSA().Public() {
		t.Error("Public is not in the order given")
	}
	out, ok := openBatch(ring, records)
	for i := range want {
		if !ok[i] || out[i] != want[i] {
			t.Errorf("record %d: ok %v", i, ok[i])
		}
	}
	ring.OpenHeaders(new(Scratch), nil, nil, nil)
}

// TestOneBadHeader damages each record of a batch in each way: it alone fails.
func TestOneBadHeader(t *testing.T) {
	ring, records, want := batch(t)
	stranger, err := GenerateKey(SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	foreign := mustRecord(t, stranger.Public(), testSecrets(1))
	lowOrder := append(bytes.Clone(records[0][:BoundLen]), make([]byte, 96)...) // enc = 0: a shared secret of zero
	ways := map[string]func(r []byte) []byte{
		"nil":         func([]byte) []byte { return nil },
		"bound only":  func(r []byte) []byte { return r[:BoundLen] },
		"cut":         func(r []byte) []byte { return r[:len(r)-1] },
		"long":        func(r []byte) []byte { return append(bytes.Clone(r), 0) },
		"version":     func(r []byte) []byte { return flip(r, 0) },
		"suite":       func(r []byte) []byte { return flip(r, 1) },
		"kind":        func(r []byte) []byte { return flip(r, 2) },
		"zero byte":   func(r []byte) []byte { return flip(r, 3) },
		"key id":      func(r []byte) []byte { return flip(r, 4) },
		"first byte":  func(r []byte) []byte { return flip(r, BoundLen) },
		"middle":      func(r []byte) []byte { return flip(r, BoundLen+50) },
		"half":        func(r []byte) []byte { return flip(r, len(r)/2) },
		"last byte":   func(r []byte) []byte { return flip(r, len(r)-1) },
		"foreign key": func([]byte) []byte { return foreign },
		"low order":   func([]byte) []byte { return lowOrder },
		"zeros":       func(r []byte) []byte { return append(bytes.Clone(r[:BoundLen]), make([]byte, len(r)-BoundLen)...) },
		"ones": func(r []byte) []byte {
			return append(bytes.Clone(r[:BoundLen]), bytes.Repeat([]byte{0xff}, len(r)-BoundLen)...)
		},
		"other header": func(r []byte) []byte { return append(bytes.Clone(r[:BoundLen]), foreign[BoundLen:]...) },
	}
	for name, damage := range ways {
		for bad := range records {
			if bad > 3 && (bad%4 == 1 || testing.Short()) {
				continue // one slow RSA record of three is enough
			}
			damaged := append([][]byte(nil), records[:4]...)
			if bad >= 4 {
				damaged = append(damaged, records[bad])
			}
			i := min(bad, 4)
			damaged[i] = damage(damaged[i])
			out, ok := openBatch(ring, damaged)
			for j := range damaged {
				switch {
				case j == i && (ok[j] || out[j] != Secrets{}):
					t.Errorf("%s: record %d opens, or leaves something in out", name, j)
				case j != i && (!ok[j] || out[j] != want[j]):
					t.Errorf("%s: record %d suffers from record %d", name, j, i)
				}
			}
			got := *testSecrets(0xff)
			if err := ring.OpenHeader(new(Scratch), damaged[i], &got); err != ErrOpen || got != (Secrets{}) {
				t.Errorf("%s: OpenHeader says %v, want ErrOpen and zero secrets", name, err)
			}
		}
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// TestEveryHeaderByteFlipped: x25519 in full, of xwing every byte in one bit, of rsa3072
// the bound bytes and every sixteenth of the header.
func TestEveryHeaderByteFlipped(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		ring, err := NewKeyring(key)
		if err != nil {
			t.Fatal(err)
		}
		record := mustRecord(t, key.Public(), testSecrets(1))
		for i := range record {
			if key == testRSA() && i >= BoundLen && i%16 != 0 {
				continue
			}
			for bit := range 8 {
				bit = (bit + i) % 8 // where one bit stands for a byte, each time another
				if i%stride(8) != 0 {
					break
				}
				bad := bytes.Clone(record)
				bad[i] ^= 1 << bit
				if err := ring.OpenHeader(new(Scratch), bad, new(Secrets)); err != ErrOpen {
					t.Fatalf("byte %d, bit %d: %v", i, bit, err)
				}
				if key != testX25519() && i >= BoundLen {
					break
				}
			}
		}
	})
}

// TestHeaderIsBoundToItsPrefix forges, with the private key at hand, what no key
// lookup would refuse: a header sealed under another prefix.
func TestHeaderIsBoundToItsPrefix(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		record := mustRecord(t, key.Public(), testSecrets(1))
		for i := range BoundLen {
			var s Scratch
			if key.open.openHeader(&s, flip(record[:BoundLen], i), record[BoundLen:]) {
				t.Errorf("opens with byte %d of the prefix changed", i)
			}
		}
		if !key.open.openHeader(new(Scratch), record[:BoundLen], record[BoundLen:]) {
			t.Error("does not open with the prefix as it was")
		}
	})
}

// TestHeaderOfWrongLength: OAEP carries any short message, ours is 48 bytes.
func TestHeaderOfWrongLength(t *testing.T) {
	key := testRSA()
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 47, 49, 200} {
		bound := appendBound(nil, SuiteRSA3072, KindRequest, key.Public().ID())
		record := append(bound, oaep(t, bound, bytes.Repeat([]byte{1}, n))...)
		var got Secrets
		if err := ring.OpenHeader(new(Scratch), record, &got); err != ErrOpen || got != (Secrets{}) {
			t.Errorf("header content of %d bytes: %v, or something in out", n, err)
		}
	}
	bound := appendBound(nil, SuiteRSA3072, KindRequest, key.Public().ID())
	if err := ring.OpenHeader(new(Scratch), append(bound, oaep(t, bound, make([]byte, 48))...), new(Secrets)); err != nil {
		t.Errorf("header content of 48 bytes: %v", err)
	}
}

// oaep encrypts content with crypto/rsa alone.
func oaep(t *testing.T, bound, content []byte) []byte {
	t.Helper()
	label := append([]byte("ecoin/v1 header"), bound...)
	key := &testRSA().open.(rsaOpener).key.PublicKey
	ct, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, content, label)
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

func TestOpenHeadersLengthMismatchPanics(t *testing.T) {
	ring, records, _ := batch(t)
	for _, n := range [][2]int{{11, 12}, {12, 11}, {13, 13}} {
		mustPanic(t, fmt.Sprint(n), "core: OpenHeaders", func() {
			ring.OpenHeaders(new(Scratch), records, make([]Secrets, n[0]), make([]bool, n[1]))
		})
	}
}

func TestAppendHeadersIsRecordsBackToBack(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		ring, err := NewKeyring(key)
		if err != nil {
			t.Fatal(err)
		}
		secs := []Secrets{*testSecrets(1), *testSecrets(2), *testSecrets(3)}
		b, err := key.Public().AppendHeaders([]byte("head"), new(Scratch), secs)
		if err != nil || string(b[:4]) != "head" {
			t.Fatal(err)
		}
		b = b[4:]
		for i := range secs {
			var record []byte
			if record, b, err = CutRecord(b); err != nil {
				t.Fatal(err)
			}
			var got Secrets
			if err := ring.OpenHeader(new(Scratch), record, &got); err != nil || got != secs[i] {
				t.Errorf("record %d: %v", i, err)
			}
		}
		if len(b) != 0 {
			t.Errorf("%d bytes after the last record", len(b))
		}
	})
}
