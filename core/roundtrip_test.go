package core

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestRoundTripEveryLength seals and opens every length around six block edges.
func TestRoundTripEveryLength(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		suite := key.Public().Suite()
		sec := testSecrets(9)
		record := mustRecord(t, key.Public(), sec)
		if len(record) != suite.RecordLen() || suite.RecordLen() != BoundLen+suite.HeaderLen() {
			t.Fatalf("record of %d bytes, want %d", len(record), suite.RecordLen())
		}
		var s Scratch
		for n := 0; n <= 100; n++ {
			plaintext := bytes.Repeat([]byte{byte(n)}, n)
			msg, err := AppendRequest([]byte("head"), &s, record, sec, plaintext)
			if err != nil {
				t.Fatal(err)
			}
			if want := 4 + PrefixLen + suite.HeaderLen() + (n/16+1)*16 + TagLen; len(msg) != want {
				t.Fatalf("%d bytes: request of %d, want %d", n, len(msg), want)
			}
			req := mustParse(t, msg[4:])
			if req.Suite != suite || req.KeyID != key.Public().ID() {
				t.Fatalf("parsed suite %v, key %v", req.Suite, req.KeyID)
			}
			got, err := req.Open([]byte("head"), &s, sec)
			if err != nil || string(got) != "head"+string(plaintext) {
				t.Fatalf("%d bytes: request does not come back: %v", n, err)
			}
			reply, err := req.AppendReply([]byte("head"), &s, sec, plaintext)
			if err != nil || string(reply[:4]) != "head" {
				t.Fatal(err)
			}
			if want := 4 + PrefixLen + 16 + (n/16+1)*16 + TagLen; len(reply) != want {
				t.Fatalf("%d bytes: reply of %d, want %d", n, len(reply), want)
			}
			got, err = OpenReply([]byte("head"), &s, key.Public(), sec, reply[4:])
			if err != nil || string(got) != "head"+string(plaintext) {
				t.Fatalf("%d bytes: reply does not come back: %v", n, err)
			}
		}
	})
}

// TestRoundTripProperty draws secrets, content and lengths near block edges.
func TestRoundTripProperty(t *testing.T) {
	key := testX25519()
	ring, err := NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch // shared by all draws: nothing may carry over
	rapid.Check(t, func(t *rapid.T) {
		var sec Secrets
		copy(sec.Coin[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "coin"))
		copy(sec.IV[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "iv"))
		n := 16*rapid.IntRange(0, 300).Draw(t, "blocks") + rapid.IntRange(0, 17).Draw(t, "over")
		plaintext := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "plaintext")

		record, err := key.Public().AppendHeader(nil, &s, &sec)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := AppendRequest(nil, &s, record, &sec, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		req, err := ParseRequest(msg)
		if err != nil {
			t.Fatal(err)
		}
		var opened Secrets
		if err := ring.OpenHeader(&s, req.AppendRecord(nil), &opened); err != nil || opened != sec {
			t.Fatalf("header does not come back: %v", err)
		}
		if got, err := req.Open(nil, &s, &opened); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("request does not come back: %v", err)
		}
		reply, err := req.AppendReply(nil, &s, &opened, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenReply(nil, &s, key.Public(), &sec, reply); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("reply does not come back: %v", err)
		}
	})
}

// TestMACAndPayloadTwin rebuilds a reply with crypto/hkdf and crypto/cipher from
// the text of the protocol.
func TestMACAndPayloadTwin(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		sec, plaintext := testSecrets(3), []byte("twenty bytes of reply")
		req := mustParse(t, mustRequest(t, key.Public(), sec, []byte("x")))
		reply := mustReply(t, req, sec, plaintext)

		info := "ecoin/v1 mac" + string([]byte{byte(key.Public().Suite()), 2}) + string(sec.IV[:])
		k, err := hkdf.Expand(sha256.New, sec.Coin[:], info, 32)
		if err != nil {
			t.Fatal(err)
		}
		h := hmac.New(sha256.New, k)
		h.Write(reply[:len(reply)-32])
		if !bytes.Equal(h.Sum(nil), reply[len(reply)-32:]) {
			t.Error("tag is not HMAC-SHA256 under HKDF-Expand")
		}
		block, err := aes.NewCipher(sec.Coin[:])
		if err != nil {
			t.Fatal(err)
		}
		body := bytes.Clone(reply[32 : len(reply)-32])
		cipher.NewCBCDecrypter(block, reply[16:32]).CryptBlocks(body, body)
		if want := append(bytes.Clone(plaintext), bytes.Repeat([]byte{11}, 11)...); !bytes.Equal(body, want) {
			t.Error("payload is not AES-256-CBC with PKCS#7 under coin and reply IV")
		}
	})
}

func TestReplyIVIsFresh(t *testing.T) {
	sec := testSecrets(3)
	req := mustParse(t, mustRequest(t, testX25519().Public(), sec, []byte("x")))
	seen := make(map[string]bool)
	for range 100 {
		iv := string(mustReply(t, req, sec, []byte("same"))[16:32])
		if seen[iv] || iv == string(sec.IV[:]) {
			t.Fatal("a reply IV came twice")
		}
		seen[iv] = true
	}
}

func TestHeadersAreFresh(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		sec := testSecrets(3)
		if a, b := mustRecord(t, key.Public(), sec), mustRecord(t, key.Public(), sec); bytes.Equal(a, b) || RecordDigest(a) == RecordDigest(b) {
			t.Error("two headers around one coin are equal")
		}
	})
}

func TestLongestMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("many times 16 MiB")
	}
	key, sec := testX25519().Public(), testSecrets(4)
	var s Scratch
	record := mustRecord(t, key, sec)
	big := make([]byte, MaxPlaintext+1)
	msg, err := AppendRequest(nil, &s, record, sec, big[:MaxPlaintext])
	if err != nil {
		t.Fatal(err)
	}
	if want := PrefixLen + 96 + MaxCiphertext + TagLen; len(msg) != want {
		t.Fatalf("longest request has %d bytes, want %d", len(msg), want)
	}
	req := mustParse(t, msg)
	if got, err := req.Open(nil, &s, sec); err != nil || len(got) != MaxPlaintext {
		t.Errorf("longest request: %d bytes, %v", len(got), err)
	}
	reply, err := req.AppendReply(msg[:0:0], &s, sec, big[:MaxPlaintext])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenReply(nil, &s, key, sec, reply); err != nil || len(got) != MaxPlaintext {
		t.Errorf("longest reply: %d bytes, %v", len(got), err)
	}

	dst, array := dstWithRoom(64)
	if got, err := AppendRequest(dst, &s, record, sec, big); !errors.Is(err, ErrTooLong) {
		t.Errorf("request one byte too long: %v", err)
	} else {
		mustBeUntouched(t, "request one byte too long", got, array)
	}
	if got, err := req.AppendReply(dst, &s, sec, big); !errors.Is(err, ErrTooLong) {
		t.Errorf("reply one byte too long: %v", err)
	} else {
		mustBeUntouched(t, "reply one byte too long", got, array)
	}
	if got, err := AppendOperation(dst, "trend", big[:MaxPlaintext-5]); !errors.Is(err, ErrTooLong) {
		t.Errorf("operation one byte too long: %v", err)
	} else {
		mustBeUntouched(t, "operation one byte too long", got, array)
	}
	if got, err := AppendOperation(nil, "trend", big[:MaxPlaintext-6]); err != nil || len(got) != MaxPlaintext {
		t.Errorf("longest operation: %d bytes, %v", len(got), err)
	}
}

// TestAppendInPlace: with enough room nothing is reallocated and nothing past the
// promised length is written.
func TestAppendInPlace(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		suite, sec := key.Public().Suite(), testSecrets(5)
		record, plaintext := mustRecord(t, key.Public(), sec), []byte("0123456789")
		msg := mustRequest(t, key.Public(), sec, plaintext)
		req := mustParse(t, msg)
		reply := mustReply(t, req, sec, plaintext)
		var s Scratch
		for _, c := range []struct {
			name string
			room int // bytes that may be written
			f    func(dst []byte) ([]byte, error)
		}{
			{"AppendHeader", suite.RecordLen(), func(dst []byte) ([]byte, error) { return key.Public().AppendHeader(dst, &s, sec) }},
			{"AppendHeaders", 2 * suite.RecordLen(), func(dst []byte) ([]byte, error) {
				return key.Public().AppendHeaders(dst, &s, []Secrets{*sec, *sec})
			}},
			{"AppendRecord", suite.RecordLen(), func(dst []byte) ([]byte, error) { return req.AppendRecord(dst), nil }},
			{"AppendRequest", 16 + suite.HeaderLen() + 16 + 32, func(dst []byte) ([]byte, error) {
				return AppendRequest(dst, &s, record, sec, plaintext)
			}},
			{"Open", 16, func(dst []byte) ([]byte, error) { return req.Open(dst, &s, sec) }},
			{"AppendReply", 16 + 16 + 16 + 32, func(dst []byte) ([]byte, error) { return req.AppendReply(dst, &s, sec, plaintext) }},
			{"OpenReply", 16, func(dst []byte) ([]byte, error) { return OpenReply(dst, &s, key.Public(), sec, reply) }},
			{"AppendOperation", 1 + 5 + 10, func(dst []byte) ([]byte, error) { return AppendOperation(dst, "trend", plaintext) }},
			{"AppendResult", 1 + 10, func(dst []byte) ([]byte, error) { return AppendResult(dst, ReplyOK, plaintext), nil }},
		} {
			dst, array := dstWithRoom(c.room + 8)
			got, err := c.f(dst)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if &got[0] != &array[0] || string(array[:2]) != "ab" {
				t.Errorf("%s: reallocated, or touched what was there", c.name)
			}
			if !bytes.Equal(array[2+c.room:], bytes.Repeat([]byte{0xee}, 8)) {
				t.Errorf("%s: wrote past the end of its output", c.name)
			}
			if (c.name == "Open" || c.name == "OpenReply") && !bytes.Equal(array[2+10:2+16], make([]byte, 6)) {
				t.Errorf("%s: left the padding behind", c.name)
			}
			// Without room the result is the same length, in new memory.
			if moved, err := c.f(dst[:2:2]); err != nil || len(moved) != len(got) || string(moved[:2]) != "ab" {
				t.Errorf("%s without room: %d bytes, want %d (%v)", c.name, len(moved), len(got), err)
			}
		}
	})
}

// TestAliasing holds the one rule: inputs may lie in dst[:len(dst)], and panic if
// they reach into dst's spare capacity.
func TestAliasing(t *testing.T) {
	key, sec := testX25519(), testSecrets(6)
	var s Scratch
	record, plaintext := mustRecord(t, key.Public(), sec), []byte("a plaintext of more than one block")
	want := mustRequestFrom(t, record, sec, plaintext)

	// record and plaintext in front of the output, in one array.
	dst := append(append(make([]byte, 0, 1024), record...), plaintext...)
	got, err := AppendRequest(dst, &s, dst[:len(record)], sec, dst[len(record):])
	if err != nil || !bytes.Equal(got[len(dst):], want) {
		t.Errorf("AppendRequest of what lies in dst: %v", err)
	}
	// The plaintext behind the message that it came from.
	msg := append(make([]byte, 0, 1024), want...)
	req := mustParse(t, msg)
	if got, err := req.Open(msg, &s, sec); err != nil || !bytes.Equal(got[len(msg):], plaintext) {
		t.Errorf("Open behind its own message: %v", err)
	}
	reply := append(make([]byte, 0, 1024), mustReply(t, req, sec, plaintext)...)
	if got, err := OpenReply(reply, &s, key.Public(), sec, reply); err != nil || !bytes.Equal(got[len(reply):], plaintext) {
		t.Errorf("OpenReply behind its own message: %v", err)
	}

	const rule = "overlaps the spare capacity of dst"
	room := make([]byte, 1024)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"AppendRequest, plaintext", func() { _, _ = AppendRequest(room[:0], &s, record, sec, room[500:510]) }},
		{"AppendRequest, last byte of plaintext", func() { _, _ = AppendRequest(room[10:10], &s, record, sec, room[5:11]) }},
		{"AppendRequest, record", func() { _, _ = AppendRequest(room[:0], &s, room[100:208], sec, plaintext) }},
		{"Open", func() { _, _ = req.Open(msg[:0], &s, sec) }},
		{"AppendRecord", func() { req.AppendRecord(msg[:4]) }},
		{"AppendReply", func() { _, _ = req.AppendReply(room[:0], &s, sec, room[1023:]) }},
		{"OpenReply", func() { _, _ = OpenReply(reply[:32], &s, key.Public(), sec, reply) }},
		{"AppendOperation", func() { _, _ = AppendOperation(room[:0], "trend", room[:1]) }},
		{"AppendResult", func() { AppendResult(room[:0], ReplyOK, room[:1]) }},
	} {
		mustPanic(t, c.name, rule, c.f)
	}
}

func mustRequestFrom(t testing.TB, record []byte, sec *Secrets, plaintext []byte) []byte {
	t.Helper()
	msg, err := AppendRequest(nil, new(Scratch), record, sec, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// TestConcurrentUse shares keys, keyring, mint and request between goroutines; the
// race detector watches.
func TestConcurrentUse(t *testing.T) {
	ring, err := NewKeyring(testX25519(), testRSA())
	if err != nil {
		t.Fatal(err)
	}
	mint := NewMint(new([32]byte), new([32]byte))
	want := mint.AppendFingerprints(nil, new(Salt), 5)
	common := testSecrets(7)
	req := mustParse(t, mustRequest(t, testX25519().Public(), common, []byte("common")))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var s Scratch
			for i := range 5 {
				sec := testSecrets(byte(16*g + i))
				for _, key := range ring.Public() {
					record, err := key.AppendHeader(nil, &s, sec)
					if err != nil {
						t.Error(err)
						return
					}
					var got Secrets
					if err := ring.OpenHeader(&s, record, &got); err != nil || got != *sec {
						t.Errorf("header mixed up between goroutines: %v", err)
					}
				}
				if got, err := req.Open(nil, &s, common); err != nil || string(got) != "common" {
					t.Errorf("request: %q, %v", got, err)
				}
				if got := mint.AppendFingerprints(nil, new(Salt), 5); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Error("fingerprints differ between goroutines")
				}
			}
		})
	}
	wg.Wait()
}
