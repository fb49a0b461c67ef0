package core

import (
	"crypto/subtle"
	"fmt"

	"ecoin/core/internal/cbc"
	"ecoin/core/internal/hmac256"
)

// payloadChunk is how many messages of a batch are under way together: enough to keep
// sixteen lanes busy to the end when messages differ in length.
const payloadChunk = 64

// A payloadBatch is what a batch of payloads works with.
type payloadBatch struct {
	hmac hmac256.ManyScratch
	aes  cbc.ManyScratch

	coins [payloadChunk][32]byte // then the MAC keys
	infos [payloadChunk]macKeyInfo
	tags  [payloadChunk][TagLen]byte
	msgs  [payloadChunk][]byte // what the HMACs are of
	jobs  [payloadChunk]cbc.Job
	index [payloadChunk]int // of each message among the caller's
}

// payloadBatch returns the memory for batches of payloads, which a Scratch has from the
// first batch on.
func (s *Scratch) payloadBatch() *payloadBatch {
	if s.payloads == nil {
		s.payloads = new(payloadBatch)
	}
	return s.payloads
}

// clear forgets n messages.
func (b *payloadBatch) clear(n int) {
	clear(b.coins[:n])
	clear(b.infos[:n])
	clear(b.tags[:n])
	clear(b.msgs[:n])
	clear(b.jobs[:n])
}

// key adds the MAC key of message n, which computeTags makes.
func (b *payloadBatch) key(n int, suite Suite, kind byte, sec *Secrets) {
	b.coins[n] = sec.Coin
	b.infos[n].set(suite, kind, &sec.IV)
}

// computeTags sets the first n of b.tags to the MACs of authenticated(i), for the keys
// added before. It is Scratch.computeTag for many.
func (b *payloadBatch) computeTags(n int, authenticated func(i int) []byte) {
	for i := range n {
		b.msgs[i] = b.infos[i][:]
	}
	hmac256.SumMany(&b.hmac, b.coins[:n], b.coins[:n], b.msgs[:n])
	for i := range n {
		b.msgs[i] = authenticated(i)
	}
	hmac256.SumMany(&b.hmac, b.tags[:n], b.coins[:n], b.msgs[:n])
}

// OpenRequests opens a batch of requests: for each i it appends to dst[i] what
// reqs[i].Open appends under secs[i], and sets ok[i]; where that is an error ok[i] is
// false and dst[i] as it was. A request that does not open changes nothing for the
// others. The four must have one length, else OpenRequests panics. No message may
// overlap the spare capacity of any dst[i], and those may not overlap each other; it is
// noticed, and a panic, only for a message and its own dst[i], and before any is opened.
func OpenRequests(dst [][]byte, s *Scratch, reqs []Request, secs []Secrets, ok []bool) {
	checkBatch("OpenRequests", len(reqs), len(dst), len(secs), len(ok))
	for i := range reqs {
		mustNotOverlap("the request", dst[i], reqs[i].msg)
	}
	openPayloads(s, len(reqs), func(i int) (payload, bool) {
		r := &reqs[i]
		if r.msg == nil {
			return payload{}, false
		}
		return payload{r.Suite, KindRequest, &secs[i], (*[16]byte)(&secs[i].IV), r.msg, r.ciphertext()}, true
	}, dst, ok)
}

// OpenReplies opens a batch of replies, msgs[i] under secs[i], all to requests with one
// key, as OpenReply opens one; dst and ok as in [OpenRequests].
func OpenReplies(dst [][]byte, s *Scratch, key *PublicKey, secs []Secrets, msgs [][]byte, ok []bool) {
	checkBatch("OpenReplies", len(msgs), len(dst), len(secs), len(ok))
	for i := range msgs {
		mustNotOverlap("msg", dst[i], msgs[i])
	}
	openPayloads(s, len(msgs), func(i int) (payload, bool) {
		if !key.framesReply(msgs[i]) {
			return payload{}, false
		}
		iv, ciphertext := cutReply(msgs[i])
		return payload{key.suite, KindReply, &secs[i], iv, msgs[i], ciphertext}, true
	}, dst, ok)
}

// A payload is a message to be opened: all of it, and where in it what is.
type payload struct {
	suite      Suite
	kind       byte
	sec        *Secrets
	iv         *[16]byte
	msg        []byte
	ciphertext []byte
}

// openPayloads opens the messages that at returns, which are well framed where at says
// so. The tags of a chunk are made together, of the messages as they came; then each
// message whose tag is right is decrypted.
func openPayloads(s *Scratch, n int, at func(i int) (payload, bool), dst [][]byte, ok []bool) {
	b := s.payloadBatch()
	clear(ok)
	for next := 0; next < n; {
		count := 0
		for ; next < n && count < payloadChunk; next++ {
			if p, framed := at(next); framed {
				b.key(count, p.suite, p.kind, p.sec)
				b.index[count] = next
				count++
			}
		}
		b.computeTags(count, func(i int) []byte {
			p, _ := at(b.index[i])
			return p.msg[:len(p.msg)-TagLen]
		})
		for i := range count {
			p, _ := at(b.index[i])
			if subtle.ConstantTimeCompare(b.tags[i][:], p.msg[len(p.msg)-TagLen:]) == 1 {
				var err error
				at := b.index[i]
				dst[at], err = appendOpenCBC(dst[at], &s.aes, &p.sec.Coin, p.iv, p.ciphertext)
				ok[at] = err == nil
			}
		}
		b.clear(count)
	}
}

// AppendRequests appends a batch of requests: for each i it appends to dst[i] what
// AppendRequest makes of records[i], secs[i] and plaintexts[i]. The first that is
// refused ends it with that error, and all of dst are as they were. The four must have
// one length, else AppendRequests panics. What may not overlap, and what of it is
// noticed, is as with [OpenRequests].
func AppendRequests(dst [][]byte, s *Scratch, records [][]byte, secs []Secrets, plaintexts [][]byte) error {
	checkBatch("AppendRequests", len(records), len(dst), len(secs), len(plaintexts))
	for i := range records {
		if _, err := checkRequest(dst[i], records[i], plaintexts[i]); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	sealPayloads(s, KindRequest, dst, secs, plaintexts, func(i int) ([]byte, *[16]byte, Suite) {
		suite := Suite(records[i][1])
		return startRequest(dst[i], suite, records[i], len(plaintexts[i])), (*[16]byte)(&secs[i].IV), suite
	})
	return nil
}

// AppendReplies appends a batch of replies, to reqs[i] under secs[i], as
// [Request.AppendReply] appends one; otherwise as [AppendRequests].
func AppendReplies(dst [][]byte, s *Scratch, reqs []Request, secs []Secrets, plaintexts [][]byte) error {
	checkBatch("AppendReplies", len(reqs), len(dst), len(secs), len(plaintexts))
	for i := range reqs {
		if err := reqs[i].checkReply(dst[i], plaintexts[i]); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	sealPayloads(s, KindReply, dst, secs, plaintexts, func(i int) ([]byte, *[16]byte, Suite) {
		out, iv := reqs[i].startReply(dst[i], len(plaintexts[i]))
		return out, iv, reqs[i].Suite
	})
	return nil
}

// sealPayloads appends to each dst[i] the message around plaintexts[i], which begins
// with what start appends.
func sealPayloads(s *Scratch, kind byte, dst [][]byte, secs []Secrets, plaintexts [][]byte,
	start func(i int) (out []byte, iv *[16]byte, suite Suite),
) {
	b := s.payloadBatch()
	for first := 0; first < len(dst); first += payloadChunk {
		n := min(payloadChunk, len(dst)-first)
		for i := range n {
			at := first + i
			out, iv, suite := start(at)
			b.index[i] = len(dst[at])
			out, body := appendPadded(out, plaintexts[at])
			dst[at] = out
			b.jobs[i] = cbc.Job{Key: (*[32]byte)(&secs[at].Coin), IV: iv, Dst: body, Src: body}
			b.key(i, suite, kind, &secs[at])
		}
		cbc.EncryptMany(&b.aes, b.jobs[:n])
		b.computeTags(n, func(i int) []byte { return dst[first+i][b.index[i]:] })
		for i := range n {
			dst[first+i] = append(dst[first+i], b.tags[i][:]...)
		}
		b.clear(n)
	}
}

func checkBatch(name string, n, a, b, c int) {
	if a != n || b != n || c != n {
		panic(fmt.Sprintf("core: %s: %d messages, and slices of %d, %d and %d", name, n, a, b, c))
	}
}
