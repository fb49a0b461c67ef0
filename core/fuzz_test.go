package core

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// The fuzz targets hold one rule for every parser: no panic, no output with an
// error, and what is accepted encodes to the same bytes again. The seeds run with
// every go test; seedCount sees to it that none gets lost.

func seedCount(f *testing.F, got, want int) {
	f.Helper()
	if got != want {
		f.Fatalf("%d seeds, want %d", got, want)
	}
}

// messageSeeds returns well-formed requests and replies of every suite under
// testSecrets(1), and what a hostile director would make of them.
func messageSeeds(f *testing.F) [][]byte {
	f.Helper()
	sec := testSecrets(1)
	var seeds [][]byte
	for _, key := range testKeys() {
		for _, plaintext := range []string{"", "0123456789abcdef", "\x07summarya,b\n1,2\n"} {
			msg := mustRequest(f, key.Public(), sec, []byte(plaintext))
			req := mustParse(f, msg)
			seeds = append(seeds, msg, mustReply(f, req, sec, []byte(plaintext)))
		}
	}
	for _, i := range []int{0, 1, 2, 3, 4, 12, 15, 16, 40, 150} {
		seeds = append(seeds, flip(seeds[2], i))
	}
	first := seeds[0]
	return append(seeds, nil, first[:1], first[:11], first[:12], first[:15], first[:16], first[:len(first)-1],
		append(bytes.Clone(first), 0), bytes.Repeat([]byte{0xff}, 200), make([]byte, 200))
}

func FuzzCutRecord(f *testing.F) {
	seeds := messageSeeds(f) // most are no records, all start like one
	for _, key := range testKeys() {
		record := mustRecord(f, key.Public(), testSecrets(1))
		seeds = append(seeds, record, record[:len(record)-1], append(bytes.Clone(record), record...))
	}
	seedCount(f, len(seeds), 47)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		record, rest, err := CutRecord(b)
		if err != nil {
			if record != nil || rest != nil || !errors.Is(err, ErrFormat) {
				t.Fatalf("output with an error, or another error: %v", err)
			}
			return
		}
		if !bytes.Equal(append(bytes.Clone(record), rest...), b) {
			t.Fatal("record and rest are not the input")
		}
		suite, id, err := checkRecord(record)
		if err != nil {
			t.Fatalf("the record is not one: %v", err)
		}
		if again := append(appendBound(nil, suite, KindRequest, id), record[BoundLen:]...); !bytes.Equal(again, record) {
			t.Fatal("the record encodes to other bytes")
		}
		ring, err := NewKeyring(testKeys()...)
		if err != nil {
			t.Fatal(err)
		}
		sec := *testSecrets(0xff)
		if err := ring.OpenHeader(new(Scratch), record, &sec); err != nil && (err != ErrOpen || sec != Secrets{}) {
			t.Fatalf("failed open: %v, or something in out", err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	seeds := messageSeeds(f)
	seedCount(f, len(seeds), 38)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		req, err := ParseRequest(msg)
		if err != nil {
			if req.msg != nil || req.Suite != 0 || req.KeyID != (KeyID{}) || !errors.Is(err, ErrFormat) {
				t.Fatalf("output with an error, or another error: %v", err)
			}
			return
		}
		record := req.AppendRecord(nil)
		suite, id, err := checkRecord(record)
		if err != nil || suite != req.Suite || id != req.KeyID {
			t.Fatalf("its record is of %v, key %v, %v", suite, id, err)
		}
		again := append(append(bytes.Clone(record[:BoundLen]), msg[12:16]...), record[BoundLen:]...)
		if !bytes.HasPrefix(msg, again) || (len(msg)-len(again)-TagLen)%16 != 0 {
			t.Fatal("prefix and header encode to other bytes")
		}
	})
}

// FuzzOpenRequest gives the attacker the coin when resign is set: the tag is then
// made right, so that what comes after the MAC is reached. A request that opens is
// the only one AppendRequest makes from its parts.
func FuzzOpenRequest(f *testing.F) {
	seeds := messageSeeds(f)
	seedCount(f, len(seeds), 38)
	for _, seed := range seeds {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, resign bool) {
		sec := testSecrets(1)
		req, err := ParseRequest(msg)
		if err != nil {
			return
		}
		var s Scratch
		if resign {
			msg = bytes.Clone(msg)
			msg = s.appendTag(msg[:len(msg)-TagLen], 0, req.Suite, KindRequest, sec)
			req = *mustParse(t, msg)
		}
		dst, array := dstWithRoom(len(msg))
		got, err := req.Open(dst, &s, sec)
		if err != nil {
			if err != ErrOpen {
				t.Fatalf("error %v, want ErrOpen", err)
			}
			mustBeUntouched(t, "Open", got, array)
			return
		}
		again, err := AppendRequest(nil, &s, req.AppendRecord(nil), sec, got[2:])
		if err != nil || !bytes.Equal(again, msg) {
			t.Fatalf("the request encodes to other bytes (%v)", err)
		}
	})
}

// FuzzOpenReply is FuzzOpenRequest for replies.
func FuzzOpenReply(f *testing.F) {
	seeds := messageSeeds(f)
	seedCount(f, len(seeds), 38)
	for _, seed := range seeds {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, resign bool) {
		sec := testSecrets(1)
		var s Scratch
		if resign && len(msg) > TagLen {
			msg = bytes.Clone(msg)
			msg = s.appendTag(msg[:len(msg)-TagLen], 0, Suite(msg[1]), KindReply, sec)
		}
		for _, private := range testKeys() {
			key := private.Public()
			dst, array := dstWithRoom(len(msg))
			got, err := OpenReply(dst, &s, key, sec, msg)
			if err != nil {
				if err != ErrOpen {
					t.Fatalf("error %v, want ErrOpen", err)
				}
				mustBeUntouched(t, "OpenReply", got, array)
				continue
			}
			again := append(appendBound(nil, key.suite, KindReply, key.id), msg[12:32]...)
			again = s.appendCBC(again, &sec.Coin, (*[16]byte)(msg[16:32]), got[2:])
			if again = s.appendTag(again, 0, key.suite, KindReply, sec); !bytes.Equal(again, msg) {
				t.Fatal("the reply encodes to other bytes")
			}
		}
	})
}

func FuzzCutOperation(f *testing.F) {
	seeds := []string{"", "\x00", "\x01a", "\x07summary", "\x07summarya,b\n1,2\n", "\x08summary", "\x02A.x", "\x03.ab", "\xff", "\x40" + string(make([]byte, 64))}
	seedCount(f, len(seeds), 10)
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, body, err := CutOperation(b)
		if err != nil {
			if name != nil || body != nil || !errors.Is(err, ErrFormat) {
				t.Fatalf("output with an error, or another error: %v", err)
			}
			return
		}
		if again, err := AppendOperation(nil, string(name), body); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("the operation encodes to other bytes (%v)", err)
		}
	})
}

func FuzzCutResult(f *testing.F) {
	seeds := []string{"", "\x00", "\x01", "\x00mean 20", "\x01no numeric column", "\x02", "\xff\x00"}
	seedCount(f, len(seeds), 7)
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, body, err := CutResult(b)
		if err != nil {
			if st != 0 || body != nil || !errors.Is(err, ErrFormat) {
				t.Fatalf("output with an error, or another error: %v", err)
			}
			return
		}
		if again := AppendResult(nil, st, body); !bytes.Equal(again, b) {
			t.Fatal("the result encodes to other bytes")
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	x, r, w := testX25519().Public().Bytes(), testRSA().Public().Bytes(), testXWing().Public().Bytes()
	for _, b := range [][]byte{x, r, w, w[:len(w)-1], flip(w, 5), append(bytes.Repeat([]byte{0xff}, 1184), x...), append(bytes.Clone(w[:1184]), make([]byte, 32)...),
		x[:31], r[:len(r)-1], append(bytes.Clone(r), 0), make([]byte, 32), fieldPrime(0), fieldPrime(0xff), nil, flip(r, 5), flip(r, 60), flip(r, len(r)-1)} {
		f.Add(byte(SuiteX25519), b)
		f.Add(byte(SuiteXWing), b)
		f.Add(byte(SuiteRSA3072), b)
	}
	f.Add(byte(0x21), x)
	f.Fuzz(func(t *testing.T, suite byte, b []byte) {
		key, err := ParsePublicKey(Suite(suite), b)
		if err != nil {
			if key != nil {
				t.Fatal("a key with an error")
			}
			return
		}
		if !bytes.Equal(key.Bytes(), b) || key.Suite() != Suite(suite) {
			t.Fatal("the key encodes to other bytes")
		}
		sum := sha256.Sum256(append([]byte{suite}, b...))
		if key.ID() != KeyID(sum[:8]) {
			t.Fatal("the key id is not the hash of suite and key")
		}
		record, err := key.AppendHeader(nil, new(Scratch), testSecrets(1))
		if err != nil || len(record) != key.Suite().RecordLen() {
			t.Fatalf("an accepted key does not seal: %v", err)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	seeds := [][]byte{nil, {0x30, 0}}
	for _, key := range testKeys() {
		der, err := key.MarshalPKCS8()
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, der, der[:len(der)-1], append(bytes.Clone(der), 0), flip(der, 4), flip(der, 10), flip(der, len(der)-1))
	}
	seedCount(f, len(seeds), 20)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := ParsePrivateKey(der)
		if err != nil {
			if key != nil {
				t.Fatal("a key with an error")
			}
			return
		}
		// PKCS#8 allows attributes, which are not kept: compare from the second time on.
		once, err := key.MarshalPKCS8()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePrivateKey(once)
		if err != nil || again.Public().ID() != key.Public().ID() {
			t.Fatalf("the key comes back as another (%v)", err)
		}
		if twice, err := again.MarshalPKCS8(); err != nil || !bytes.Equal(twice, once) {
			t.Fatalf("the key encodes to other bytes (%v)", err)
		}
	})
}
