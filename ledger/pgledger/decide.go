package pgledger

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/ledger"
	"ecoin/ledger/internal/life"
)

// maxRounds limits how often the coins of a batch are looked at. One round or two decide
// all, unless others change the same coins at the same time.
const maxRounds = 10

// manyRounds is why work was given up after all of them.
const manyRounds = "others were in the way each time"

// work takes calls and answers them until the queue is closed. Only it uses its counter
// on this node.
func (l *Ledger) work(counter int16) {
	b := batch{l: l, counter: counter, states: make(map[core.Fingerprint]state)}
	for calls := l.queue.take(); calls != nil; calls = l.queue.take() {
		b.inDoubt = false
		err := b.decide(calls)
		for i, c := range calls {
			if c.err = err; isRefusal(err) && len(calls) > 1 { // one call's coins must not refuse the others'
				c.err = b.decide(calls[i : i+1])
			}
			l.events.coins.Add(int64(len(c.coins)))
		}
		l.events.batches.Add(1)
		l.queue.answered(calls)
	}
}

// isRefusal reports whether the database refused a statement for what is in it.
func isRefusal(err error) bool { return isServerError(err) && fateOf(err) == refused }

// item is one coin of one call.
type item struct {
	call *call
	pos  int
}

func (i item) fp() *core.Fingerprint { return &i.call.coins[i.pos].Fingerprint }

// apply does the call's operation on a coin.
func (i item) apply(c *life.Coin, now int64) (core.Status, life.Event) {
	switch i.call.op {
	case opRedeem:
		return c.Redeem(i.call.account, i.call.coins[i.pos].Digest, now)
	case opReturn:
		return c.GiveBack(i.call.account, i.call.coins[i.pos].Digest)
	default:
		return c.Refund(i.call.account, now)
	}
}

// batch decides coins of calls of one kind. Each round has the database do to each coin
// what its first item wants, and then look at the coins to which that was not done; what
// the items are told follows from the state that either showed, by the rules of package
// life. An item whose operation that state allows had come too early or too late, and
// takes part in the next round.
type batch struct {
	l       *Ledger
	counter int16

	// Of the batch under way, used again.
	items                  []item // in order of fingerprints, then of calls and positions
	states                 map[core.Fingerprint]state
	inDoubt                bool // something may have been done that no answer was heard of
	unseen                 bool // there is another window: coins without a state are not known
	fps, accounts, digests uuidArray
}

// state is a coin as a round showed it.
type state struct {
	life.Coin
	done bool // what the first item wants was done to it; this is the state before
}

// decide sets the statuses and states of all coins of calls, which are of one kind. An
// error means that nothing is set.
func (b *batch) decide(calls []*call) error {
	b.items = b.items[:0]
	for _, c := range calls {
		for pos := range c.coins {
			b.items = append(b.items, item{c, pos})
		}
	}
	slices.SortStableFunc(b.items, func(x, y item) int { return bytes.Compare(x.fp()[:], y.fp()[:]) })
	kind := calls[0].op
	for round := 0; round < maxRounds && len(b.items) > 0; round++ {
		ctx := context.Background() // what is done is done, even if its caller does not wait any more
		number, now := b.l.spent.newest(ctx), b.l.o.Now().UnixMilli()
		err := b.l.repeat(ctx, b.l.hot, "coins", &b.inDoubt, func(ctx context.Context, c *pgx.Conn) error {
			return b.round(ctx, c, kind, number, now)
		})
		if err != nil && round > 0 && (errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrOverload)) {
			break // nothing was done to these coins, but to others
		}
		if err != nil {
			return err
		}
		b.settle(now)
	}
	if b.inDoubt && len(b.items) > 0 {
		return unknown("coins", manyRounds)
	}
	for _, i := range b.items {
		i.call.status[i.pos] = core.StatusTemporary
	}
	return nil
}

// round has the database decide, and collects the states of the coins.
func (b *batch) round(ctx context.Context, c *pgx.Conn, kind op, number, now int64) error {
	clear(b.states)
	b.unseen = false
	n := 0
	for range b.coins {
		n++
	}
	b.encode(n)
	if err := b.act(ctx, c, kind, n, number, now); err != nil || len(b.states) == n {
		return err
	}
	b.fps.reset(n - len(b.states))
	for it := range b.coins {
		if _, done := b.states[*it.fp()]; !done {
			b.fps.add((*[16]byte)(it.fp()))
		}
	}
	newest, err := b.look(ctx, c, number)
	if err != nil {
		return doubtful{err} // what act did is done
	}
	if newest != number {
		b.l.spent.saw(newest, number)
		b.unseen = true
	}
	return nil
}

// coins visits the first item of each coin.
func (b *batch) coins(yield func(item) bool) {
	for i, it := range b.items {
		if (i == 0 || *b.items[i-1].fp() != *it.fp()) && !yield(it) {
			return
		}
	}
}

// encode makes the parameters of n coins.
func (b *batch) encode(n int) {
	b.fps.reset(n)
	b.accounts.reset(n)
	b.digests.reset(n)
	for it := range b.coins {
		b.fps.add((*[16]byte)(it.fp()))
		b.accounts.add((*[16]byte)(&it.call.account))
		b.digests.add((*[16]byte)(&it.call.coins[it.pos].Digest))
	}
}

// act does what the n coins' first items want, and notes the state before of each coin that it
// changed.
func (b *batch) act(ctx context.Context, c *pgx.Conn, kind op, n int, number, now int64) error {
	window := number % tables
	params := [][]byte{b.fps.b, b.accounts.b, b.digests.b, bigint(now), smallint(b.counter), bigint(number)}
	switch kind {
	case opRedeem:
		live, gone := state{life.Coin{Phase: life.Live}, true}, int64(0)
		err := run(ctx, c, redeemText[window], params, func(row [][]byte) {
			if row[1] == nil {
				gone = toInt64(row[0])
			} else {
				b.states[toUUID(row[1])] = live
			}
		})
		if err == nil && gone == int64(n) {
			for it := range b.coins {
				b.states[*it.fp()] = live
			}
		}
		return err
	case opRefund:
		return run(ctx, c, refundText[window], params, func(row [][]byte) {
			coin := life.Coin{Phase: life.Live}
			if row[1] != nil {
				coin = life.Coin{Phase: life.Returned, Redeemer: toUUID(row[1]), Digest: toUUID(row[2]), At: toInt64(row[3])}
			}
			b.states[toUUID(row[0])] = state{coin, true}
		})
	}
	// A return is a debit: its accounts are locked first, in a statement of its own, so
	// that the next one sees what those did who had the locks before.
	ats := make(map[core.Fingerprint]int64)
	err := pgx.BeginFunc(ctx, c, func(pgx.Tx) error {
		if err := run(ctx, c, lockSQL, [][]byte{b.accounts.b}, func([][]byte) {}); err != nil {
			return err
		}
		return run(ctx, c, returnText[window], params, func(row [][]byte) { ats[toUUID(row[0])] = toInt64(row[1]) })
	})
	if err != nil {
		return err
	}
	for it := range b.coins {
		if at, ok := ats[*it.fp()]; ok {
			b.states[*it.fp()] = state{life.Coin{
				Phase: life.Redeemed, Redeemer: it.call.account, Digest: it.call.coins[it.pos].Digest, At: at,
			}, true}
		}
	}
	return nil
}

// look notes the states of the coins in b.fps as they are now, and returns the number of
// the newest window.
func (b *batch) look(ctx context.Context, c *pgx.Conn, number int64) (newest int64, err error) {
	err = run(ctx, c, lookText[number%tables], [][]byte{b.fps.b, smallint(b.counter)}, func(row [][]byte) {
		newest = toInt64(row[lookNumber])
		coin := life.Coin{
			Redeemer: toUUID(row[lookRedeemer]), Digest: toUUID(row[lookDigest]),
			Refunder: toUUID(row[lookRefunder]), At: toInt64(row[lookAt]),
		}
		switch toInt64(row[lookState]) {
		case isLive:
			coin = life.Coin{Phase: life.Live}
		case isReturned:
			coin.Phase = life.Returned
		case isSpent:
			coin.Phase = life.Redeemed
			if row[lookRefunder] != nil {
				coin.Phase, coin.WasReturned = life.Refunded, row[lookRedeemer] != nil
			}
		default:
			return // of none of them is anything known
		}
		b.states[toUUID(row[lookFP])] = state{coin, false}
	})
	return newest, err
}

// settle tells the items what follows from the states, and keeps those that another round
// must decide.
func (b *batch) settle(now int64) {
	rest := b.items[:0]
	var fp core.Fingerprint
	var coin state
	var known bool
	for i, it := range b.items {
		if i == 0 || fp != *it.fp() {
			fp = *it.fp()
			coin, known = b.states[fp]
		}
		next := coin.Coin
		status, event := it.apply(&next, now)
		if !known && b.unseen || event != life.Nothing && !coin.done {
			rest = append(rest, it)
			continue
		}
		coin = state{next, false}
		it.call.status[it.pos] = status
		if it.call.states != nil {
			it.call.states[it.pos] = next
		}
	}
	b.items = rest
}

// run runs a prepared statement with parameters in binary and calls row for each row of
// its result, in binary too; a row's slices are valid during the call.
func run(ctx context.Context, c *pgx.Conn, text string, params [][]byte, row func([][]byte)) error {
	sd, err := c.Prepare(ctx, text, text)
	if err != nil {
		return err
	}
	r := c.PgConn().ExecPrepared(ctx, sd.Name, params, binaryFormat, binaryFormat)
	for r.NextRow() {
		row(r.Values())
	}
	_, err = r.Close()
	return err
}

var binaryFormat = []int16{1}
