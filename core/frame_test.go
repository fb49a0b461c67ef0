package core

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCutRecord(t *testing.T) {
	x, r := mustRecord(t, testX25519().Public(), testSecrets(1)), mustRecord(t, testRSA().Public(), testSecrets(2))
	b := append(append(append(bytes.Clone(x), r...), x...), "tail"...)
	for i, want := range [][]byte{x, r, x} {
		record, rest, err := CutRecord(b)
		if err != nil || !bytes.Equal(record, want) || len(rest) != len(b)-len(want) {
			t.Fatalf("record %d: %d bytes, rest %d, %v", i, len(record), len(rest), err)
		}
		if cap(record) != len(record) {
			t.Errorf("record %d: an append to it would write over the rest", i)
		}
		b = rest
	}
	if _, _, err := CutRecord(b); !errors.Is(err, ErrFormat) {
		t.Errorf("tail: %v", err)
	}
}

// TestFramingErrors: each says what is wrong, and wraps ErrFormat.
func TestFramingErrors(t *testing.T) {
	key, sec := testX25519().Public(), testSecrets(1)
	record, msg := mustRecord(t, key, sec), mustRequest(t, key, sec, []byte("reading"))
	change := func(b []byte, i int, v byte) []byte {
		b = bytes.Clone(b)
		b[i] = v
		return b
	}
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"empty", "0 bytes, too short for a prefix", nil},
		{"11 bytes", "11 bytes, too short for a prefix", record[:11]},
		{"version 0", "version 0", change(record, 0, 0)},
		{"version 2", "version 2, this program speaks version 1", change(record, 0, 2)},
		{"suite 0", "unknown suite 0x00", change(record, 1, 0)},
		{"suite 0x21", "unknown suite 0x21", change(record, 1, 0x21)},
		{"kind 2", "kind 2, want 1", change(record, 2, 2)},
		{"zero byte", "byte 3 is 9, want 0", change(record, 3, 9)},
		{"short", "107 bytes, a record of suite x25519 has 108", record[:107]},
		{"short for its suite", "108 bytes, a record of suite rsa3072 has 396", change(record, 1, 1)},
	} {
		got, rest, err := CutRecord(c.b)
		if got != nil || rest != nil || !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("CutRecord, %s: %v, want ErrFormat with %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"13 bytes", "13 bytes, too short", msg[:13]},
		{"suite 0x21", "unknown suite 0x21", change(msg, 1, 0x21)},
		{"ciphertext 0", "ciphertext of 0 bytes", change(msg, 15, 0)},
		{"ciphertext 17", "ciphertext of 17 bytes, want a multiple of 16 from 16 to 16777216", change(msg, 15, 17)},
		{"ciphertext too long", "ciphertext of 16777232 bytes", change(change(msg, 12, 1), 15, 16)},
		{"one byte more", "message of 161 bytes, its prefix says 160", append(bytes.Clone(msg), 0)},
		{"ciphertext 32", "message of 160 bytes, its prefix says 176", change(msg, 15, 32)},
	} {
		_, err := ParseRequest(c.b)
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseRequest, %s: %v, want ErrFormat with %q", c.name, err, c.want)
		}
	}
}

func TestSuites(t *testing.T) {
	for _, c := range []struct {
		suite  Suite
		code   byte
		name   string
		header int
	}{{SuiteRSA3072, 0x01, "rsa3072", 384}, {SuiteX25519, 0x10, "x25519", 96}, {SuiteXWing, 0x20, "xwing", 1184}} {
		got, err := ParseSuite(c.name)
		if err != nil || got != c.suite || byte(got) != c.code || got.String() != c.name || got.HeaderLen() != c.header || got.RecordLen() != 12+c.header {
			t.Errorf("%s: suite %v, header %d, record %d, %v", c.name, got, got.HeaderLen(), got.RecordLen(), err)
		}
	}
	for _, name := range []string{"", "X25519", "x25519 ", "x-wing", "suite 0x20"} {
		if s, err := ParseSuite(name); err == nil || s != 0 || !strings.Contains(err.Error(), "x25519, xwing or rsa3072") {
			t.Errorf("ParseSuite(%q): %v, %v", name, s, err)
		}
	}
	known := 0
	for n := range 256 {
		if s := Suite(n); s.HeaderLen() != 0 {
			known++
		} else if s.RecordLen() != 0 || !strings.HasPrefix(s.String(), "suite 0x") {
			t.Errorf("unknown suite %v: record of %d bytes", s, s.RecordLen())
		}
	}
	if known != 3 {
		t.Errorf("%d suites have a header, want 3", known)
	}
}

func TestIDsPrintHex(t *testing.T) {
	if got := (Fingerprint{0xab, 15: 1}).String(); got != "ab000000000000000000000000000001" {
		t.Error(got)
	}
	if got := (Digest{0xcd, 15: 2}).String(); got != "cd000000000000000000000000000002" {
		t.Error(got)
	}
	if got := (KeyID{0xef, 7: 3}).String(); got != "ef00000000000003" {
		t.Error(got)
	}
}

func TestStatusesPrint(t *testing.T) {
	seen := make(map[string]Status)
	for st := StatusOK; st <= StatusTemporary; st++ {
		if was, twice := seen[st.String()]; twice || strings.HasPrefix(st.String(), "status ") {
			t.Errorf("status %d prints %q, as status %d", byte(st), st, byte(was))
		}
		seen[st.String()] = st
	}
	if StatusTemporary != 5 || Status(6).String() != "status 6" {
		t.Error("statuses are not 0 to 5")
	}
}
