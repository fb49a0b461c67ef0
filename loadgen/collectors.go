package loadgen

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
)

// who returns the collector of send number k. In turn, each collector wakes, sends the
// requests of one connection, and sleeps until all others have had their turn.
func (p *plan) who(k int64) uint32 {
	n := int64(p.Fleet)
	if p.Random {
		return p.First + uint32(mathrand.Int64N(n))
	}
	return p.First + uint32(k/int64(max(p.Wake, 1))%n)
}

// withdraws plays collectors that withdraw coins.
type withdraws struct {
	plan       *plan
	collectors *fleet.Pool
	bought     []purchases // by worker
}

// purchases are the withdrawals of one worker.
type purchases struct {
	all   []purchase
	reply []byte
	_     [64]byte
}

// purchase is one withdrawal. coins is nil as long as it was not answered.
type purchase struct {
	owner uint32
	id    [16]byte
	n     int
	coins []core.Coin
}

func newWithdraws(p *plan, collectors *fleet.Pool) *withdraws {
	return &withdraws{plan: p, collectors: collectors, bought: make([]purchases, p.Conns)}
}

// do withdraws one request's coins.
func (w *withdraws) do(ctx context.Context, worker int, k int64, deadline time.Time) outcome {
	b := &w.bought[worker]
	p := purchase{owner: w.plan.who(k), n: w.plan.Batch}
	_, _ = rand.Read(p.id[:])
	o := w.ask(ctx, &p, deadline, &b.reply)
	if !o.nothing {
		b.all = append(b.all, p)
	}
	return o
}

// ask asks for a purchase's coins, for the first time or again.
func (w *withdraws) ask(ctx context.Context, p *purchase, deadline time.Time, buf *[]byte) outcome {
	path := wire.PathWithdraw + "?" + wire.ParamCount + "=" + strconv.Itoa(p.n)
	header := wire.HeaderIdempotencyKey + ": " + wire.FormatIdempotencyKey(p.id) + "\r\n"
	reply, o := post(ctx, w.collectors, p.owner, path, header, nil, deadline, *buf)
	*buf = reply
	if o.verdict != good {
		return o
	}
	coins, err := wire.ParseWithdrawn(make([]core.Coin, 0, p.n), reply, p.n)
	if err != nil {
		o.verdict, o.reason = failed, "an answer that is none"
		return o
	}
	p.coins, o.coins = coins, p.n
	return o
}

// refunds plays collectors that give coins back.
type refunds struct {
	plan       *plan
	book       *book
	collectors *fleet.Pool
	buffers    []refundBuffer // by worker
}

type refundBuffer struct {
	body, reply []byte
	_           [64]byte
}

func newRefunds(p *plan, b *book, collectors *fleet.Pool) *refunds {
	return &refunds{plan: p, book: b, collectors: collectors, buffers: make([]refundBuffer, p.Conns)}
}

// do refunds one request's coins, which have one owner.
func (r *refunds) do(ctx context.Context, worker int, _ int64, deadline time.Time) outcome {
	buf := &r.buffers[worker]
	n := r.plan.Batch
	first, ok := r.book.take(n)
	if !ok {
		return outcome{verdict: failed, reason: usedUp, nothing: true}
	}
	buf.body = wire.AppendCoins(buf.body[:0], r.book.coins[first:first+n])
	r.book.set(first, n, refunding)
	reply, o := post(ctx, r.collectors, r.book.owner(first), wire.PathRefund, "", buf.body, deadline, buf.reply)
	buf.reply = reply
	switch {
	case o.nothing:
		r.book.set(first, n, live)
		return o
	case o.verdict != good:
		return o
	case len(reply) != n*wire.RefundRecordLen:
		o.verdict, o.reason = failed, "an answer of the wrong length"
		return o
	}
	for i := range n {
		st, _, _, err := wire.ParseRefundRecord(reply[i*wire.RefundRecordLen : (i+1)*wire.RefundRecordLen])
		switch {
		case err == nil && st == core.StatusOK:
			r.book.state[first+i] = refunded
			o.coins++
		case err == nil && st == core.StatusTemporary:
			r.book.state[first+i] = live
			o.verdict, o.reason = failed, "a coin was answered: temporary failure"
		default:
			r.book.state[first+i] = broken
			o.verdict, o.reason = failed, fmt.Sprintf("the refund of a live coin was answered: %v", st)
		}
	}
	return o
}
