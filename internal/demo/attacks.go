package demo

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"

	"ecoin/core"
)

// attack is one thing a hostile director tries, and what may come of it: how
// many operations the collector sends into it, how many replies it may accept
// (replies that are honestly its own), and how many credits analysts may keep
// (for work they did). Anything more is a success of the attack.
type attack struct {
	name       string
	tries      string // for people: what the director does
	operations int
	parallel   bool // the operations are under way at once
	accepted   int
	credits    int64
	act        func(*hostile, *operation) answer
}

var attacks = []attack{
	{"replay", "sends each operation four times, then eight times at once", 1, false, 1, 1, replay},
	{"swap headers", "puts each of two operations under the other's header", 2, true, 0, 0, swapHeaders},
	{"swap replies", "gives each of two collectors the other's reply", 2, true, 0, 2, swapReplies},
	{"flip header bits", "flips a bit in every part of prefix and header", 1, false, 0, 0, flipHeader},
	{"flip payload bits", "flips bits in ciphertext and tag", 1, false, 0, 0, flipPayload},
	{"flip reply bits", "flips a bit in the reply's IV", 1, false, 0, 1, flipReply},
	{"truncate requests", "cuts requests at many lengths, and lengthens one", 1, false, 0, 0, truncateRequest},
	{"truncate replies", "cuts the reply", 1, false, 0, 1, truncateReply},
	{"reflect", "returns the request as its own reply, as it is and relabelled", 2, false, 0, 0, reflect},
	{"forge headers", "seals made-up coins with the bank's public key", 1, false, 0, 0, forgeHeaders},
	{"forge reply", "makes up a reply", 1, false, 0, 0, forgeReply},
	{"reroute", "sends the operation to an analysis it was not made for", 1, false, 0, 0, reroute},
	{"drop replies", "lets the analyst work and drops the reply", 1, false, 0, 1, dropReply},
	{"replay old replies", "answers the second operation with the first one's reply", 2, false, 1, 2, oldReply},
	{"redeem itself", "offers the captured header to the bank, with its own key and with none", 1, false, 0, 0, redeemItself},
	{"take over an analyst", "registers itself under an honest analyst's id", 1, false, 1, 1, takeOver},
}

// lost is the answer a collector gets when the director has nothing better.
var lost = answer{status: http.StatusBadGateway}

func (a answer) served() bool { return a.status == http.StatusOK }

// refused forwards a message that no analyst may serve.
func (h *hostile) refused(op *operation, what, analysis string, request []byte) {
	if h.forward(op, analysis, request).served() {
		h.gain("%s was served", what)
	}
}

func replay(h *hostile, op *operation) answer {
	honest := h.forward(op, op.analysis, op.request)
	for range 3 {
		h.refused(op, "a replayed operation", op.analysis, op.request)
	}
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() { h.refused(op, "a replayed operation", op.analysis, op.request) })
	}
	together.Wait()
	return honest
}

// headerLen is where the ciphertext of a request begins.
func headerLen(request []byte) int {
	return core.PrefixLen + core.Suite(request[1]).HeaderLen()
}

// under returns payload's message with its prefix and header replaced by those
// of header's message, ciphertext length kept.
func under(header, payload []byte) []byte {
	mixed := bytes.Clone(payload)
	copy(mixed[:core.BoundLen], header)
	copy(mixed[core.PrefixLen:headerLen(payload)], header[core.PrefixLen:headerLen(header)])
	return mixed
}

func swapHeaders(h *hostile, op *operation) answer {
	p, a := h.meet(op)
	if p == nil {
		return a
	}
	h.refused(op, "a payload under another's header", p.first.analysis, under(p.first.request, p.second.request))
	h.refused(op, "a payload under another's header", p.second.analysis, under(p.second.request, p.first.request))
	p.toFirst <- lost
	return lost
}

func swapReplies(h *hostile, op *operation) answer {
	p, a := h.meet(op)
	if p == nil {
		return a
	}
	first := h.forward(p.first, p.first.analysis, p.first.request)
	second := h.forward(p.second, p.second.analysis, p.second.request)
	p.toFirst <- second
	return first
}

// flipped returns b with one bit of byte i inverted.
func flipped(b []byte, i int) []byte {
	c := bytes.Clone(b)
	c[i] ^= 0x10
	return c
}

func flipHeader(h *hostile, op *operation) answer {
	end := headerLen(op.request)
	for _, i := range []int{0, 1, 2, 3, 4, 11, 12, 15, core.PrefixLen, core.PrefixLen + 31, core.PrefixLen + 32, end - 65, end - 17, end - 1} {
		h.refused(op, "an operation with a flipped header bit", op.analysis, flipped(op.request, i))
	}
	return lost
}

func flipPayload(h *hostile, op *operation) answer {
	// The second block: without the MAC the name would be intact, and some of the
	// readings changed to the director's liking.
	h.refused(op, "an operation with a flipped ciphertext bit", op.analysis, flipped(op.request, headerLen(op.request)+16+3))
	h.refused(op, "an operation with a flipped tag bit", op.analysis, flipped(op.request, len(op.request)-1))
	h.refused(op, "an operation the analyst gave up", op.analysis, op.request)
	return lost
}

func flipReply(h *hostile, op *operation) answer {
	a := h.forward(op, op.analysis, op.request)
	if a.served() {
		// A bit of the IV: without the MAC this very bit of the result would be
		// flipped, and nothing else.
		a.body = flipped(a.body, core.PrefixLen+5)
	}
	return a
}

func truncateRequest(h *hostile, op *operation) answer {
	n, header := len(op.request), headerLen(op.request)
	for _, cut := range []int{0, 1, core.BoundLen, core.PrefixLen, header - 1, header, header + 16, n - core.TagLen, n - 16, n - 1} {
		h.refused(op, "a truncated operation", op.analysis, op.request[:cut])
	}
	h.refused(op, "a lengthened operation", op.analysis, append(bytes.Clone(op.request), 0))
	return lost
}

func truncateReply(h *hostile, op *operation) answer {
	a := h.forward(op, op.analysis, op.request)
	if a.served() {
		a.body = a.body[:len(a.body)-16]
		binary.BigEndian.PutUint32(a.body[core.BoundLen:], binary.BigEndian.Uint32(a.body[core.BoundLen:])-16)
	}
	return a
}

func reflect(h *hostile, op *operation) answer {
	reply := bytes.Clone(op.request)
	if _, first := h.first(answer{}); first {
		return answer{http.StatusOK, reply}
	}
	reply[2] = core.KindReply
	return answer{http.StatusOK, reply}
}

// randomBytes returns n random bytes.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func forgeHeaders(h *hostile, op *operation) answer {
	var s core.Scratch
	for range 4 {
		secrets := core.Secrets{Coin: core.Coin(randomBytes(len(core.Coin{}))), IV: core.IV(randomBytes(len(core.IV{})))}
		record, err := h.bankKey.AppendHeader(nil, &s, &secrets)
		if err != nil {
			return lost
		}
		plaintext, err := core.AppendOperation(nil, op.analysis, []byte("a,b\n1,2\n"))
		if err != nil {
			return lost
		}
		forged, err := core.AppendRequest(nil, &s, record, &secrets, plaintext)
		if err != nil {
			return lost
		}
		h.refused(op, "an operation under a made-up coin", op.analysis, forged)
		h.refused(op, "the collector's payload under a forged header", op.analysis, under(forged, op.request))
	}
	return lost
}

func forgeReply(h *hostile, op *operation) answer {
	const blocks = 4
	reply := append(bytes.Clone(op.request[:core.BoundLen]), 0, 0, 0, 16*blocks)
	reply[2] = core.KindReply
	return answer{http.StatusOK, append(reply, randomBytes(16+16*blocks+core.TagLen)...)}
}

func reroute(h *hostile, op *operation) answer {
	other := "summary"
	if op.analysis == other {
		other = "trend"
	}
	h.refused(op, "a rerouted operation", other, op.request)
	return lost
}

func dropReply(h *hostile, op *operation) answer {
	h.forward(op, op.analysis, op.request)
	return lost
}

func oldReply(h *hostile, op *operation) answer {
	old, _ := h.first(h.forward(op, op.analysis, op.request))
	return old
}

func redeemItself(h *hostile, op *operation) answer {
	request, err := core.ParseRequest(op.request)
	if err != nil {
		return lost
	}
	said, err := h.redeemAsStranger(request.AppendRecord(nil))
	switch {
	case err != nil:
		h.gain("%v", err)
	case said != "":
		h.gain("the bank answered a stranger: %q", said)
	}
	return lost
}

func takeOver(h *hostile, op *operation) answer {
	req, err := http.NewRequestWithContext(op.ctx, http.MethodPut, h.director+"/v1/analysts/"+h.honest,
		strings.NewReader(`{"url":"`+h.url+`","analyses":["`+op.analysis+`"],"capacity":1000}`))
	if err != nil {
		return lost
	}
	req.Header.Set("Content-Type", "application/json")
	if a := h.do(h.client, req); a.status < 400 {
		h.gain("the director gave an honest analyst's lease to another key (status %d)", a.status)
	}
	return h.forward(op, op.analysis, op.request)
}
