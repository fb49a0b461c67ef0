package core

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// These tests play a director, who sees and changes every message, and an analyst
// or collector who sends what no honest one would.

// mustNotOpen checks that msg opens neither as a request nor as a reply of sec:
// ErrFormat or ErrOpen from the one, ErrOpen itself from the other, no output.
func mustNotOpen(t *testing.T, what string, key *PublicKey, sec *Secrets, msg []byte) {
	t.Helper()
	var s Scratch
	dst, array := dstWithRoom(len(msg) + 16)
	if req, err := ParseRequest(msg); err != nil {
		if !errors.Is(err, ErrFormat) || errors.Is(err, ErrOpen) {
			t.Errorf("%s: ParseRequest says %v, want ErrFormat", what, err)
		}
		if req.msg != nil || req.Suite != 0 || req.KeyID != (KeyID{}) {
			t.Errorf("%s: ParseRequest gives a request with its error", what)
		}
	} else {
		got, err := req.Open(dst, &s, sec)
		if err != ErrOpen {
			t.Errorf("%s: Open says %v, want ErrOpen", what, err)
		}
		mustBeUntouched(t, what, got, array)
	}
	got, err := OpenReply(dst, &s, key, sec, msg)
	if err != ErrOpen {
		t.Errorf("%s: OpenReply says %v, want ErrOpen", what, err)
	}
	mustBeUntouched(t, what, got, array)
}

// bothMessages runs f on a request and on the reply to it, which both open.
func bothMessages(t *testing.T, f func(t *testing.T, key *PublicKey, sec *Secrets, msg []byte, fixed int)) {
	eachSuite(t, func(t *testing.T, private *PrivateKey) {
		key, sec := private.Public(), testSecrets(1)
		msg := mustRequest(t, key, sec, []byte("two blocks of reading"))
		req := mustParse(t, msg)
		if got, err := req.Open(nil, new(Scratch), sec); err != nil || string(got) != "two blocks of reading" {
			t.Fatal(err)
		}
		reply := mustReply(t, req, sec, []byte("two blocks of result"))
		if got, err := OpenReply(nil, new(Scratch), key, sec, reply); err != nil || string(got) != "two blocks of result" {
			t.Fatal(err)
		}
		t.Run("request", func(t *testing.T) { f(t, key, sec, msg, PrefixLen+key.suite.HeaderLen()+TagLen) })
		t.Run("reply", func(t *testing.T) { f(t, key, sec, reply, replyFixed) })
	})
}

func TestEveryBitFlipped(t *testing.T) {
	bothMessages(t, func(t *testing.T, key *PublicKey, sec *Secrets, msg []byte, _ int) {
		for i := range msg {
			for bit := i % stride(8); bit < 8; bit += stride(8) {
				bad := bytes.Clone(msg)
				bad[i] ^= 1 << bit
				mustNotOpen(t, "flipped", key, sec, bad)
			}
			if t.Failed() {
				t.Fatalf("at byte %d of %d", i, len(msg))
			}
		}
	})
}

func TestEveryLengthWrong(t *testing.T) {
	bothMessages(t, func(t *testing.T, key *PublicKey, sec *Secrets, msg []byte, fixed int) {
		for n := range msg {
			mustNotOpen(t, "truncated", key, sec, msg[:n])
			mustNotOpen(t, "beheaded", key, sec, msg[len(msg)-n:])
		}
		for n := 1; n <= 48; n++ {
			mustNotOpen(t, "extended", key, sec, append(bytes.Clone(msg), make([]byte, n)...))
		}
		// With the length in the prefix put right, framing passes and the MAC stands.
		for n := 0; n <= len(msg)+48; n += 16 {
			if fixed+n == len(msg) {
				continue
			}
			bad := make([]byte, fixed+n)
			copy(bad, msg)
			copy(bad[len(bad)-TagLen:], msg[len(msg)-TagLen:])
			binary.BigEndian.PutUint32(bad[12:], uint32(n))
			mustNotOpen(t, "relengthened", key, sec, bad)
		}
		for _, n := range []uint32{0, 1, 15, 17, 33, MaxCiphertext + 16, 1 << 31, 1<<32 - 16, 1<<32 - 1} {
			bad := bytes.Clone(msg)
			binary.BigEndian.PutUint32(bad[12:], n)
			mustNotOpen(t, "length lies", key, sec, bad)
		}
	})
}

func TestReorderedBlocks(t *testing.T) {
	bothMessages(t, func(t *testing.T, key *PublicKey, sec *Secrets, msg []byte, fixed int) {
		start := fixed - TagLen
		bad := bytes.Clone(msg)
		copy(bad[start:], msg[start+16:start+32])
		copy(bad[start+16:], msg[start:start+16])
		mustNotOpen(t, "ciphertext blocks exchanged", key, sec, bad)
		bad = bytes.Clone(msg)
		copy(bad[start+16:], msg[start:start+16])
		mustNotOpen(t, "ciphertext block doubled", key, sec, bad)
	})
}

// TestRelabeled changes what the framing says, with lengths made right for it.
func TestRelabeled(t *testing.T) {
	key, sec := testX25519().Public(), testSecrets(1)
	msg := mustRequest(t, key, sec, []byte("reading"))
	req := mustParse(t, msg)
	reply := mustReply(t, req, sec, []byte("result"))

	mustNotOpen(t, "nothing", key, sec, nil)
	mustNotOpen(t, "zeros", key, sec, make([]byte, 400))

	// Reflection: the request comes back as the reply, as it is and dressed up.
	if _, err := OpenReply(nil, new(Scratch), key, sec, msg); err != ErrOpen {
		t.Errorf("reflected request: %v", err)
	}
	dressed := bytes.Clone(msg)
	dressed[2] = KindReply
	mustNotOpen(t, "reflected request of kind 2", key, sec, dressed)
	// prefix | request IV | ciphertext | tag: it would decrypt, but for the MAC.
	dressed = append(bytes.Clone(dressed[:PrefixLen]), sec.IV[:]...)
	dressed = append(dressed, msg[PrefixLen+96:]...)
	mustNotOpen(t, "reflected request in the shape of a reply", key, sec, dressed)
	// The reply as a request: header bytes in place of the reply IV.
	dressed = append(bytes.Clone(msg[:PrefixLen+96]), reply[PrefixLen+16:]...)
	mustNotOpen(t, "reply in the shape of a request", key, sec, dressed)

	// Another suite, with the right length for it.
	for _, kind := range []byte{KindRequest, KindReply} {
		for suite := range 256 {
			if Suite(suite) == key.suite {
				continue
			}
			n := Suite(suite).HeaderLen()
			if kind == KindReply {
				n = 16
			}
			bad := append(appendBound(nil, Suite(suite), kind, key.id), 0, 0, 0, 16)
			bad = append(bad, make([]byte, n)...)
			bad = append(bad, msg[len(msg)-48:]...)
			mustNotOpen(t, "other suite", key, sec, bad)
		}
	}
}

// TestSwapped exchanges the parts of operations, even with one coin in common.
func TestSwapped(t *testing.T) {
	eachSuite(t, func(t *testing.T, private *PrivateKey) {
		key := private.Public()
		h := PrefixLen + key.suite.HeaderLen()
		a, b := testSecrets(1), testSecrets(2)
		sameCoin := *a
		sameCoin.IV = b.IV
		for name, other := range map[string]*Secrets{"other coin": b, "same coin, other IV": &sameCoin} {
			msgA, msgB := mustRequest(t, key, a, []byte("reading A")), mustRequest(t, key, other, []byte("reading B"))
			reqA, reqB := mustParse(t, msgA), mustParse(t, msgB)

			headerOfB := append(append(bytes.Clone(msgA[:PrefixLen]), msgB[PrefixLen:h]...), msgA[h:]...)
			mustNotOpen(t, name+": header of B on payload of A", key, a, headerOfB)
			mustNotOpen(t, name+": header of B on payload of A", key, other, headerOfB)
			mustNotOpen(t, name+": B under the secrets of A", key, a, msgB)

			replyA, replyB := mustReply(t, reqA, a, []byte("result A")), mustReply(t, reqB, other, []byte("result B"))
			mustNotOpen(t, name+": reply to B for A", key, a, replyB)
			mustNotOpen(t, name+": reply to A for B", key, other, replyA)
		}
		// The header sealed twice around one pair: the tag covers the header's bytes.
		msg, second := mustRequest(t, key, a, []byte("reading")), mustRecord(t, key, a)
		mustNotOpen(t, "second header of the same secrets", key, a,
			append(append(bytes.Clone(msg[:PrefixLen]), second[BoundLen:]...), msg[h:]...))
	})
}

// TestReplyForAnotherKey: a reply names the key of its request.
func TestReplyForAnotherKey(t *testing.T) {
	sec := testSecrets(1)
	other, err := GenerateKey(SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	keys := []*PublicKey{testX25519().Public(), other.Public(), testRSA().Public()}
	for i, k := range keys {
		reply := mustReply(t, &Request{Suite: k.suite, KeyID: k.id}, sec, []byte("result"))
		for j, asked := range keys {
			_, err := OpenReply(nil, new(Scratch), asked, sec, reply)
			if want := map[bool]error{true: nil, false: ErrOpen}[i == j]; err != want {
				t.Errorf("reply of key %d opened with key %d: %v, want %v", i, j, err, want)
			}
		}
	}
	// The right key id under another suite, from somebody who can make the tag.
	x := testX25519().Public()
	reply := mustReply(t, &Request{Suite: SuiteRSA3072, KeyID: x.id}, sec, []byte("result"))
	if _, err := OpenReply(nil, new(Scratch), x, sec, reply); err != ErrOpen {
		t.Errorf("reply of another suite: %v", err)
	}
}

// TestBadPaddingUnderGoodMAC is the work of a hostile collector or analyst, who
// can make any tag: the same error, and nothing of the plaintext left in dst.
func TestBadPaddingUnderGoodMAC(t *testing.T) {
	key, sec := testX25519().Public(), testSecrets(1)
	record := mustRecord(t, key, sec)
	var s Scratch
	forge := func(lastBlock []byte) (request, reply []byte) {
		// A last block of our choice: XOR it into the last ciphertext-to-be by hand.
		body := append(bytes.Repeat([]byte{0x5a}, 16), lastBlock...)
		ct := s.appendCBC(nil, &sec.Coin, (*[16]byte)(&sec.IV), body)[:len(body)] // drop the honest padding
		request = binary.BigEndian.AppendUint32(bytes.Clone(record[:BoundLen]), uint32(len(ct)))
		request = append(append(request, record[BoundLen:]...), ct...)
		request = s.appendTag(request, 0, key.suite, KindRequest, sec)
		reply = binary.BigEndian.AppendUint32(appendBound(nil, key.suite, KindReply, key.id), uint32(len(ct)))
		reply = append(append(reply, sec.IV[:]...), ct...)
		reply = s.appendTag(reply, 0, key.suite, KindReply, sec)
		return request, reply
	}
	bad := 0
	for n := range 256 {
		for wrong := 0; wrong <= 16; wrong++ { // 0: as PKCS#7 wants it; else the byte made wrong
			block := bytes.Repeat([]byte{byte(n)}, 16)
			if wrong > 0 {
				block[wrong-1] ^= 0x40
			}
			last := int(block[15])
			valid := last >= 1 && last <= 16 && bytes.Count(block[16-min(last, 16):], block[15:]) == last
			request, reply := forge(block)
			if !valid {
				bad++
				mustNotOpen(t, "bad padding", key, sec, request)
				mustNotOpen(t, "bad padding", key, sec, reply)
				continue
			}
			if got, err := mustParse(t, request).Open(nil, &s, sec); err != nil || len(got) != 32-last {
				t.Errorf("padding %d, byte %d: %d bytes, %v", n, wrong, len(got), err)
			}
			if got, err := OpenReply(nil, &s, key, sec, reply); err != nil || len(got) != 32-last {
				t.Errorf("padding %d, byte %d: %d bytes, %v", n, wrong, len(got), err)
			}
		}
	}
	// 256*17 blocks; less the 16 valid ones; less those whose wrong byte lies before
	// the padding, 15+14+..+0; less n = 0x41 with its last byte turned into 0x01.
	if want := 256*17 - 16 - 15*16/2 - 1; bad != want {
		t.Errorf("%d bad paddings tried, want %d", bad, want)
	}
}

// TestZeroRequest: a Request nobody parsed opens nothing and seals nothing.
func TestZeroRequest(t *testing.T) {
	var req Request
	var s Scratch
	dst, array := dstWithRoom(64)
	if got, err := req.Open(dst, &s, testSecrets(1)); err != ErrOpen {
		t.Errorf("Open: %v", err)
	} else {
		mustBeUntouched(t, "Open", got, array)
	}
	mustBeUntouched(t, "AppendRecord", req.AppendRecord(dst), array)
	if got, err := req.AppendReply(dst, &s, testSecrets(1), []byte("x")); !errors.Is(err, ErrFormat) {
		t.Errorf("AppendReply: %v", err)
	} else {
		mustBeUntouched(t, "AppendReply", got, array)
	}
}

// TestMessageChangedAfterParsing: the MAC is over what is decrypted.
func TestMessageChangedAfterParsing(t *testing.T) {
	key, sec := testX25519().Public(), testSecrets(1)
	msg := mustRequest(t, key, sec, []byte("reading"))
	req := mustParse(t, msg)
	for i := range msg {
		msg[i] ^= 1
		if _, err := req.Open(nil, new(Scratch), sec); err != ErrOpen {
			t.Fatalf("byte %d changed after ParseRequest: %v", i, err)
		}
		msg[i] ^= 1
	}
}

// TestMalformedRecordSeals: AppendRequest takes one whole record and nothing else.
func TestMalformedRecordSeals(t *testing.T) {
	key, sec := testX25519().Public(), testSecrets(1)
	record := mustRecord(t, key, sec)
	reply := bytes.Clone(record)
	reply[2] = KindReply
	for name, bad := range map[string][]byte{
		"empty": nil, "short": record[:len(record)-1], "long": append(bytes.Clone(record), 0), "kind 2": reply,
		"bound only": record[:BoundLen], "two": append(bytes.Clone(record), record...),
	} {
		dst, array := dstWithRoom(512)
		got, err := AppendRequest(dst, new(Scratch), bad, sec, []byte("reading"))
		if !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
		mustBeUntouched(t, name, got, array)
	}
}
