package loadgen

import (
	"context"
	"crypto/rand"
	"time"

	"ecoin/core"
	"ecoin/loadgen/fleet"
)

// operations plays collectors that have a payload analysed: collector, director, analyst,
// bank, and back. The header was sealed beforehand, as a device may do while it
// sleeps; the payload is sealed on the way.
type operations struct {
	plan      *plan
	book      *book
	ivs       []core.IV // of the book's coins
	key       *core.PublicKey
	directors *fleet.Pool
	body      []byte
	buffers   []operationBuffer // by worker
}

type operationBuffer struct {
	scratch               core.Scratch
	plain, request, reply []byte
}

func newOperations(p *plan, b *book, ivs []core.IV, key *core.PublicKey, directors *fleet.Pool) *operations {
	o := &operations{plan: p, book: b, ivs: ivs, key: key, directors: directors, body: make([]byte, p.Payload), buffers: make([]operationBuffer, p.Conns)}
	for i := range o.body { // text, for analyses that read some
		o.body[i] = "1.5,2\n"[i%6]
	}
	return o
}

const messageHeader = "Content-Type: application/octet-stream\r\n"

// do performs one operation.
func (op *operations) do(ctx context.Context, worker int, _ int64, deadline time.Time) outcome {
	buf := &op.buffers[worker]
	coin, ok := op.book.take(1)
	if !ok {
		return outcome{verdict: failed, reason: usedUp, nothing: true}
	}
	sec := core.Secrets{Coin: op.book.coins[coin], IV: op.ivs[coin]}
	defer func() { sec = core.Secrets{} }()
	var err error
	buf.plain, err = core.AppendOperation(buf.plain[:0], op.plan.Analysis, op.body)
	if err == nil {
		buf.request, err = core.AppendRequest(buf.request[:0], &buf.scratch, op.book.record(coin), &sec, buf.plain)
	}
	if err != nil {
		return outcome{verdict: failed, reason: err.Error(), nothing: true}
	}
	op.book.state[coin] = operating
	reply, o := post(ctx, op.directors, uint32(worker), "/v1/operations/"+op.plan.Analysis, messageHeader, buf.request, deadline, buf.reply)
	buf.reply = reply
	if o.verdict != good {
		// Even an answer that says no comes from a director that nobody trusts: what
		// became of the coin, the bank knows.
		return o
	}
	plain, err := core.OpenReply(buf.plain[:0], &buf.scratch, op.key, &sec, reply)
	if err != nil {
		o.verdict, o.reason = failed, "the reply does not open"
		return o
	}
	buf.plain = plain
	if st, _, err := core.CutResult(plain); err != nil || st != core.ReplyOK {
		o.reason = "the analysis refused the input" // an answer, and paid
	}
	op.book.state[coin] = served
	o.coins = 1
	return o
}

// newIV returns a fresh IV.
func newIV() (iv core.IV) {
	_, _ = rand.Read(iv[:])
	return iv
}
