package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
)

// redeems plays analysts that redeem headers which a fleet sealed beforehand. Some headers of a
// request may be tricks whose answer is known: a coin that another analyst redeemed, one
// that this analyst redeemed, a header that does not open.
type redeems struct {
	plan     *plan
	book     *book
	analysts *fleet.Pool
	spent    spentRing
	tricks   tricks
	buffers  []redeemBuffer // by worker
}

type redeemBuffer struct {
	body   []byte
	reply  []byte
	expect []trick
	_      [64]byte
}

// trick is a header that is there to be refused, or answered as before.
type trick uint8

const (
	doubleSpend trick = iota
	retry
	badHeader
	trickKinds
)

// tricks counts them.
type tricks struct {
	mu          sync.Mutex
	tried, held [trickKinds]int64
	problems    []string
}

func (t *tricks) count(k trick, held bool, problem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tried[k]++
	if held {
		t.held[k]++
	} else if len(t.problems) < 10 {
		t.problems = append(t.problems, problem)
	}
}

// spentRing has some coins that were redeemed lately, and by whom.
type spentRing struct {
	mu   sync.Mutex
	ring [1024]struct {
		coin int
		by   uint8
	}
	n int // coins ever put in
}

func (s *spentRing) put(coin int, by uint8) {
	s.mu.Lock()
	r := &s.ring[s.n%len(s.ring)]
	r.coin, r.by = coin, by
	s.n++
	s.mu.Unlock()
}

// pick returns a coin that by redeemed, or one that another did.
func (s *spentRing) pick(by uint8, same bool) (coin int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := min(s.n, len(s.ring))
	if have == 0 {
		return 0, false
	}
	from := rand.IntN(have)
	for i := range min(have, 64) {
		if r := s.ring[(from+i)%have]; (r.by == by) == same {
			return r.coin, true
		}
	}
	return 0, false
}

func newRedeems(p *plan, b *book, analysts *fleet.Pool) *redeems {
	return &redeems{plan: p, book: b, analysts: analysts, buffers: make([]redeemBuffer, p.Conns)}
}

// do redeems one request's coins.
func (r *redeems) do(ctx context.Context, worker int, _ int64, deadline time.Time) outcome {
	by := uint8(worker % len(r.plan.Analysts))
	buf := &r.buffers[worker]
	buf.expect = r.choose(buf.expect[:0])
	fresh := r.plan.Batch - len(buf.expect)
	first, ok := r.book.take(fresh)
	if !ok {
		return outcome{verdict: failed, reason: usedUp}
	}
	body := r.book.records[first*r.book.size : (first+fresh)*r.book.size]
	if len(buf.expect) > 0 {
		buf.body = append(buf.body[:0], body...)
		buf.expect, buf.body = r.appendTricks(buf.expect, buf.body, by)
		body = buf.body
	}

	r.book.set(first, fresh, asked)
	for i := first; i < first+fresh; i++ {
		r.book.by[i] = by
	}
	reply, o := post(ctx, r.analysts, r.plan.Analysts[by].Index, wire.PathRedeem, "", body, deadline, buf.reply)
	buf.reply = reply
	switch {
	case o.nothing:
		r.book.set(first, fresh, live)
		return o
	case o.verdict != good:
		return o
	case len(reply) != (fresh+len(buf.expect))*wire.RedeemRecordLen:
		o.verdict, o.reason = failed, "an answer of the wrong length"
		return o
	}
	return r.read(o, reply, first, fresh, by, buf.expect)
}

// choose draws how many headers are tricks, and which. At least one header stays a coin.
func (r *redeems) choose(out []trick) []trick {
	j := &r.plan.Job
	if j.DoubleSpend+j.Retry+j.Bad == 0 {
		return out
	}
	for range j.Batch {
		switch f := rand.Float64(); {
		case f < j.DoubleSpend:
			out = append(out, doubleSpend)
		case f < j.DoubleSpend+j.Retry:
			out = append(out, retry)
		case f < j.DoubleSpend+j.Retry+j.Bad:
			out = append(out, badHeader)
		}
	}
	if len(out) == j.Batch && j.Batch > 1 {
		out = out[1:]
	}
	return out
}

// appendTricks appends their records. One that needs a spent coin where there is none yet
// becomes a bad header.
func (r *redeems) appendTricks(expect []trick, body []byte, by uint8) ([]trick, []byte) {
	for i, k := range expect {
		coin, ok := 0, false
		if k != badHeader {
			coin, ok = r.spent.pick(by, k == retry)
		}
		if ok {
			body = append(body, r.book.record(coin)...)
			continue
		}
		expect[i] = badHeader
		body = append(body, r.book.record(0)...)
		body[len(body)-1-rand.IntN(16)] ^= 1 << rand.IntN(8) // in the tag, which every suite ends in
	}
	return expect, body
}

// read checks every answer of a request.
func (r *redeems) read(o outcome, reply []byte, first, fresh int, by uint8, expect []trick) outcome {
	var sec core.Secrets
	defer func() { sec = core.Secrets{} }()
	status := func(i int) (core.Status, bool) {
		st, err := wire.ParseRedeemRecord(reply[i*wire.RedeemRecordLen:(i+1)*wire.RedeemRecordLen], &sec)
		return st, err == nil
	}
	for i := range fresh {
		st, ok := status(i)
		switch coin := first + i; {
		case !ok:
			o.verdict, o.reason = failed, "an answer that is none"
		case st == core.StatusOK && sec.Coin == r.book.coins[coin]:
			r.book.state[coin] = redeemed
			o.coins++
		case st == core.StatusTemporary:
			r.book.state[coin] = live
			o.verdict, o.reason = failed, "a coin was answered: temporary failure"
		default:
			r.book.state[coin] = broken
			o.verdict, o.reason = failed, fmt.Sprintf("a live coin was answered: %v", st)
		}
	}
	for i, k := range expect {
		st, ok := status(fresh + i)
		want := [...]core.Status{doubleSpend: core.StatusRedeemed, retry: core.StatusRedeemedBefore, badHeader: core.StatusNotOpen}[k]
		held := ok && st == want
		if st == core.StatusTemporary {
			continue // it says nothing
		}
		r.tricks.count(k, held, fmt.Sprintf("a header that should be answered %v was answered %v", want, st))
		if !held {
			o.verdict, o.reason = failed, "a wrong answer to "+[...]string{"a double spend", "a retry", "a bad header"}[k]
		}
	}
	if fresh > 0 && r.book.state[first] == redeemed {
		r.spent.put(first, by)
	}
	return o
}
