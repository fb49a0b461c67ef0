package core

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ecoin/core/internal/race"
)

// payloadCase is one message of a batch, and the message that the calls for one make.
type payloadCase struct {
	sec       Secrets
	record    []byte
	plaintext []byte
	request   []byte
}

func payloadCases(t testing.TB, key *PublicKey, lengths []int) []payloadCase {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{1})
	cases := make([]payloadCase, len(lengths))
	for i := range cases {
		c := &cases[i]
		_, _ = rng.Read(c.sec.Coin[:])
		_, _ = rng.Read(c.sec.IV[:])
		c.plaintext = make([]byte, lengths[i])
		_, _ = rng.Read(c.plaintext)
		c.record = mustRecord(t, key, &c.sec)
		c.request = mustRequestFrom(t, c.record, &c.sec, c.plaintext)
	}
	return cases
}

// columns turns cases into what the batch calls take.
func columns(t testing.TB, cases []payloadCase) (reqs []Request, secs []Secrets, records, plaintexts [][]byte) {
	t.Helper()
	for i := range cases {
		reqs = append(reqs, *mustParse(t, cases[i].request))
		secs = append(secs, cases[i].sec)
		records = append(records, cases[i].record)
		plaintexts = append(plaintexts, cases[i].plaintext)
	}
	return reqs, secs, records, plaintexts
}

// payloadLengths are batches of one and of many, equal and mixed lengths.
func payloadLengths() [][]int {
	rng := rand.New(rand.NewPCG(1, 2))
	mixed := make([]int, 3*payloadChunk+1)
	for i := range mixed {
		mixed[i] = rng.IntN(200)
	}
	mixed[7], mixed[70] = 20000, 5000
	return [][]int{{}, {0}, {100}, {15, 16, 17}, slices.Repeat([]int{256}, 16), slices.Repeat([]int{4096}, 17), mixed}
}

// TestPayloadBatches compares batches with the calls for one: the same bytes, except
// for the IV of replies.
func TestPayloadBatches(t *testing.T) {
	eachSuite(t, func(t *testing.T, key *PrivateKey) {
		s := new(Scratch)
		for _, lengths := range payloadLengths() {
			if key.Public().Suite() != SuiteX25519 && len(lengths) > 20 {
				continue
			}
			cases := payloadCases(t, key.Public(), lengths)
			n := len(cases)
			reqs, secs, records, plaintexts := columns(t, cases)

			dst := make([][]byte, n)
			for i := range dst {
				dst[i] = []byte("ab")
			}
			if err := AppendRequests(dst, s, records, secs, plaintexts); err != nil {
				t.Fatal(err)
			}
			for i := range dst {
				if !bytes.Equal(dst[i], append([]byte("ab"), cases[i].request...)) {
					t.Fatalf("request %d of %d, %d bytes: differs", i, n, lengths[i])
				}
				dst[i] = dst[i][:2]
			}
			ok := make([]bool, n)
			OpenRequests(dst, s, reqs, secs, ok)
			for i := range dst {
				if !ok[i] || !bytes.Equal(dst[i], append([]byte("ab"), plaintexts[i]...)) {
					t.Fatalf("request %d of %d, %d bytes: does not open", i, n, lengths[i])
				}
			}

			replies := make([][]byte, n)
			if err := AppendReplies(replies, s, reqs, secs, plaintexts); err != nil {
				t.Fatal(err)
			}
			ivs := map[string]bool{}
			for i := range replies {
				got, err := OpenReply(nil, s, key.Public(), &secs[i], replies[i])
				if err != nil || !bytes.Equal(got, plaintexts[i]) {
					t.Fatalf("reply %d of %d does not open: %v", i, n, err)
				}
				ivs[string(replies[i][PrefixLen:PrefixLen+16])] = true
				if dst[i] = dst[i][:2]; i%3 == 0 { // one sealed alone
					if replies[i], err = reqs[i].AppendReply(nil, s, &secs[i], plaintexts[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			if len(ivs) != n {
				t.Errorf("%d replies have %d IVs", n, len(ivs))
			}
			OpenReplies(dst, s, key.Public(), secs, replies, ok)
			for i := range dst {
				if !ok[i] || !bytes.Equal(dst[i], append([]byte("ab"), plaintexts[i]...)) {
					t.Fatalf("reply %d of %d: does not open", i, n)
				}
			}
			mustBeClear(t, s)
		}
	})
}

// mustBeClear looks at what batches leave in the scratch.
func mustBeClear(t *testing.T, s *Scratch) {
	t.Helper()
	b := s.payloads
	for i := range b.coins {
		if b.coins[i] != [32]byte{} || b.tags[i] != [TagLen]byte{} || b.infos[i] != (macKeyInfo{}) || b.msgs[i] != nil || b.jobs[i].Key != nil {
			t.Fatalf("message %d of a batch is still in the scratch", i)
		}
	}
}

// TestPayloadBatchBadLane spoils one message of a batch in each way.
func TestPayloadBatchBadLane(t *testing.T) {
	key := testX25519()
	cases := payloadCases(t, key.Public(), slices.Repeat([]int{100}, 18))
	s := new(Scratch)
	for _, bad := range []int{0, 9, 17} {
		reqs, secs, _, plaintexts := columns(t, cases)
		replies := make([][]byte, len(cases))
		if err := AppendReplies(replies, s, reqs, secs, plaintexts); err != nil {
			t.Fatal(err)
		}
		other := secs[bad]
		other.Coin[31] ^= 1
		for name, spoil := range map[string]func(msg []byte) ([]byte, *Secrets){
			"tag":        func(msg []byte) ([]byte, *Secrets) { return flip(msg, len(msg)-1), &secs[bad] },
			"ciphertext": func(msg []byte) ([]byte, *Secrets) { return flip(msg, len(msg)-40), &secs[bad] },
			"prefix":     func(msg []byte) ([]byte, *Secrets) { return flip(msg, 5), &secs[bad] },
			"coin":       func(msg []byte) ([]byte, *Secrets) { return msg, &other },
			"padding":    func(msg []byte) ([]byte, *Secrets) { return badPadding(s, msg, &secs[bad]), &secs[bad] },
			"nothing":    func([]byte) ([]byte, *Secrets) { return nil, &secs[bad] },
		} {
			spoilt, spoiltReplies, with := slices.Clone(reqs), slices.Clone(replies), slices.Clone(secs)
			msg, sec := spoil(cases[bad].request)
			if spoilt[bad] = (Request{}); msg != nil {
				spoilt[bad] = *mustParse(t, msg)
			}
			spoiltReplies[bad], _ = spoil(replies[bad])
			with[bad] = *sec
			check := func(kind string, dst [][]byte, ok []bool, arrays [][]byte) {
				t.Helper()
				for i := range dst {
					if i == bad {
						if ok[i] {
							t.Errorf("%s, %s of message %d spoiled: it opens", kind, name, bad)
						}
						mustBeUntouched(t, kind+", "+name, dst[i], arrays[i])
					} else if !ok[i] || !bytes.Equal(dst[i][2:], plaintexts[i]) {
						t.Errorf("%s, %s of message %d spoiled: message %d does not open", kind, name, bad, i)
					}
				}
			}
			room := func() (dst, arrays [][]byte) {
				for range cases {
					d, a := dstWithRoom(200)
					dst, arrays = append(dst, d), append(arrays, a)
				}
				return dst, arrays
			}
			ok := slices.Repeat([]bool{true}, len(cases)) // what was there does not count
			dst, arrays := room()
			OpenRequests(dst, s, spoilt, with, ok)
			check("request", dst, ok, arrays)
			dst, arrays = room()
			ok = slices.Repeat([]bool{true}, len(cases))
			OpenReplies(dst, s, key.Public(), with, spoiltReplies, ok)
			check("reply", dst, ok, arrays)
			mustBeClear(t, s)
		}
	}
}

// badPadding returns msg with a plaintext that has no valid padding, under a good tag.
func badPadding(s *Scratch, msg []byte, sec *Secrets) []byte {
	msg = bytes.Clone(msg)
	kind, iv, ciphertext := msg[2], (*[16]byte)(&sec.IV), msg[PrefixLen+SuiteX25519.HeaderLen():len(msg)-TagLen]
	if kind == KindReply {
		iv, ciphertext = cutReply(msg)
	}
	s.aes.Expand((*[32]byte)(&sec.Coin))
	s.aes.Encrypt(ciphertext, make([]byte, len(ciphertext)), iv)
	s.aes.Wipe()
	return s.appendTag(msg[:len(msg)-TagLen], 0, SuiteX25519, kind, sec)
}

// TestPayloadBatchRefuses: one bad input, and nothing is appended to any.
func TestPayloadBatchRefuses(t *testing.T) {
	key := testX25519()
	cases := payloadCases(t, key.Public(), []int{10, 20, 30})
	reqs, secs, records, plaintexts := columns(t, cases)
	s := new(Scratch)
	long := make([]byte, MaxPlaintext+1)
	for name, f := range map[string]func(dst [][]byte) (error, error){
		"record": func(dst [][]byte) (error, error) {
			bad := slices.Clone(records)
			bad[2] = bad[2][:20]
			return AppendRequests(dst, s, bad, secs, plaintexts), ErrFormat
		},
		"long request": func(dst [][]byte) (error, error) {
			return AppendRequests(dst, s, records, secs, [][]byte{plaintexts[0], plaintexts[1], long}), ErrTooLong
		},
		"long reply": func(dst [][]byte) (error, error) {
			return AppendReplies(dst, s, reqs, secs, [][]byte{plaintexts[0], plaintexts[1], long}), ErrTooLong
		},
		"zero request": func(dst [][]byte) (error, error) {
			return AppendReplies(dst, s, []Request{reqs[0], reqs[1], {}}, secs, plaintexts), ErrFormat
		},
	} {
		var dst, arrays [][]byte
		for range cases {
			d, a := dstWithRoom(300)
			dst, arrays = append(dst, d), append(arrays, a)
		}
		if err, want := f(dst); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		for i := range dst {
			mustBeUntouched(t, name, dst[i], arrays[i])
		}
	}
	for name, f := range map[string]func(){
		"OpenRequests":   func() { OpenRequests(make([][]byte, 2), s, reqs, secs, make([]bool, 3)) },
		"OpenReplies":    func() { OpenReplies(make([][]byte, 3), s, key.Public(), secs, records, make([]bool, 2)) },
		"AppendRequests": func() { _ = AppendRequests(make([][]byte, 3), s, records, secs[:2], plaintexts) },
		"AppendReplies":  func() { _ = AppendReplies(make([][]byte, 3), s, reqs, secs, plaintexts[:2]) },
	} {
		mustPanic(t, name, "core: "+name, f)
	}
	array := make([]byte, 500)
	copy(array[100:], cases[1].request)
	s.payloadBatch()
	mustPanic(t, "overlap", "overlaps the spare capacity", func() {
		reqs[1] = *mustParse(t, array[100:100+len(cases[1].request)])
		OpenRequests([][]byte{nil, array[:0], nil}, s, reqs, secs, make([]bool, 3))
	})
	mustBeClear(t, s) // it was seen before any coin was taken
	mustPanic(t, "overlap of replies", "overlaps the spare capacity", func() {
		OpenReplies([][]byte{array[:0]}, s, key.Public(), secs[:1], [][]byte{array[100:200]}, make([]bool, 1))
	})
}

// TestReplyOfOddLength: who holds the coin can put a good tag on anything, also on a
// ciphertext that is not full blocks or not as long as the prefix says.
func TestReplyOfOddLength(t *testing.T) {
	key, sec, s := testX25519().Public(), testSecrets(1), new(Scratch)
	honest := mustReply(t, mustParse(t, mustRequest(t, key, sec, []byte("reading"))), sec, make([]byte, 40))
	for name, change := range map[string]func(msg []byte) []byte{
		"a byte less":    func(msg []byte) []byte { return msg[:len(msg)-1] },
		"a byte more":    func(msg []byte) []byte { return append(msg, 0) },
		"a block less":   func(msg []byte) []byte { return msg[:len(msg)-16] },
		"nothing":        func(msg []byte) []byte { return msg[:PrefixLen+16] },
		"another length": func(msg []byte) []byte { msg[PrefixLen-1] ^= 0x10; return msg },
		"odd length":     func(msg []byte) []byte { msg[PrefixLen-1]--; return msg[:len(msg)-1] },
		"zero length":    func(msg []byte) []byte { clear(msg[BoundLen:PrefixLen]); return msg[:PrefixLen+16] },
	} {
		msg := change(bytes.Clone(honest[:len(honest)-TagLen]))
		msg = s.appendTag(msg, 0, key.suite, KindReply, sec)
		if _, err := OpenReply(nil, s, key, sec, msg); err != ErrOpen {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
		ok := []bool{true, true}
		OpenReplies(make([][]byte, 2), s, key, []Secrets{*sec, *sec}, [][]byte{msg, honest}, ok)
		if ok[0] || !ok[1] {
			t.Errorf("%s, in a batch: opens %v, its neighbour %v", name, ok[0], ok[1])
		}
	}
}

// TestPaddingLen compares with a plain reading of RFC 5652 section 6.3.
func TestPaddingLen(t *testing.T) {
	plain := func(b []byte) int {
		n := int(b[len(b)-1])
		if n < 1 || n > 16 {
			return 0
		}
		for _, x := range b[len(b)-n:] {
			if int(x) != n {
				return 0
			}
		}
		return n
	}
	for n := range 256 {
		b := bytes.Repeat([]byte{byte(n)}, 32)
		if got, want := paddingLen(b), plain(b); got != want {
			t.Errorf("all bytes %d: %d, want %d", n, got, want)
		}
		for at := range 32 {
			for _, x := range []byte{1, 0x80} {
				c := bytes.Clone(b)
				c[at] ^= x
				if got, want := paddingLen(c), plain(c); got != want {
					t.Errorf("bytes %d, byte %d changed: %d, want %d", n, at, got, want)
				}
			}
		}
	}
}

func TestPayloadAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	key := testX25519()
	for _, size := range []int{0, 64, 256, 4096, 16384} {
		cases := payloadCases(t, key.Public(), slices.Repeat([]int{size}, 16))
		reqs, secs, records, plaintexts := columns(t, cases)
		s := new(Scratch)
		replies := make([][]byte, len(cases))
		if err := AppendReplies(replies, s, reqs, secs, plaintexts); err != nil {
			t.Fatal(err)
		}
		forged := slices.Clone(reqs)
		for i := range forged {
			forged[i] = *mustParse(t, flip(cases[i].request, len(cases[i].request)-1-i))
		}
		dst, one, ok := make([][]byte, len(cases)), make([]byte, 0, size+1000), make([]bool, len(cases))
		for i := range dst {
			dst[i] = make([]byte, 0, size+1000)
		}
		again := func() {
			for i := range dst {
				dst[i] = dst[i][:0]
			}
		}
		var err error
		for name, f := range map[string]func(){
			"Open":              func() { _, err = reqs[0].Open(one, s, &secs[0]) },
			"Open, forged":      func() { _, err = forged[0].Open(one, s, &secs[0]) },
			"AppendRequest":     func() { _, err = AppendRequest(one, s, records[0], &secs[0], plaintexts[0]) },
			"AppendReply":       func() { _, err = reqs[0].AppendReply(one, s, &secs[0], plaintexts[0]) },
			"OpenReply":         func() { _, err = OpenReply(one, s, key.Public(), &secs[0], replies[0]) },
			"OpenReply, forged": func() { _, err = OpenReply(one, s, key.Public(), &secs[1], replies[0]) },
			"OpenReply, cut":    func() { _, err = OpenReply(one, s, key.Public(), &secs[1], replies[0][:40]) },
			"OpenRequests":      func() { again(); OpenRequests(dst, s, reqs, secs, ok) },
			"OpenRequests, bad": func() { again(); OpenRequests(dst, s, forged, secs, ok) },
			"OpenReplies":       func() { again(); OpenReplies(dst, s, key.Public(), secs, replies, ok) },
			"AppendRequests":    func() { again(); err = AppendRequests(dst, s, records, secs, plaintexts) },
			"AppendReplies":     func() { again(); err = AppendReplies(dst, s, reqs, secs, plaintexts) },
		} {
			mustNotAllocate(t, fmt.Sprintf("%s, %d bytes", name, size), f)
		}
		_ = err
	}
}
