package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// opKind is what a call does with its coins.
type opKind uint8

const (
	opInsert opKind = iota
	opRedeem
	opReturn
	opRefund
	opProbe // changes nothing; StatusOK for an unknown coin, StatusRedeemed for any other
)

// call is many coins of one caller under way through the shards. The shards write
// only to its results, each to the positions it was given; the caller reads them after
// done. Nothing of a call is used once its last coin was answered, so calls are used
// again.
type call struct {
	kind    opKind
	account AccountID

	coins []Redemption       // redeem, return
	fps   []core.Fingerprint // insert, refund, probe

	status   []core.Status // one per coin
	evidence []evidence    // one per coin of a refund

	order []int32       // the positions, shard by shard
	left  atomic.Int64  // coins not yet answered
	done  chan struct{} // gets one token when none is left
}

// newCall returns a call for the coins of an account; free gives it back.
func (l *Ledger) newCall(kind opKind, account AccountID) *call {
	c, ok := l.calls.Get().(*call)
	if !ok {
		c = new(call)
	}
	c.kind, c.account = kind, account
	return c
}

func (l *Ledger) free(c *call) {
	c.coins, c.fps, c.status, c.evidence = nil, nil, nil, nil
	l.calls.Put(c)
}

// evidence is who consumed a coin and when.
type evidence struct {
	at      int64 // unix ms
	account AccountID
}

func (c *call) len() int { return len(c.coins) + len(c.fps) }

func (c *call) fingerprint(pos int32) *core.Fingerprint {
	if c.coins != nil {
		return &c.coins[pos].Fingerprint
	}
	return &c.fps[pos]
}

// run does the call's operation on a coin and notes the outcome.
func (c *call) run(pos int32, on *life.Coin, now int64) life.Event {
	var e life.Event
	switch c.kind {
	case opInsert:
		c.status[pos], e = on.Insert()
	case opProbe:
		c.status[pos] = core.StatusOK
		if on.Phase != life.Unknown {
			c.status[pos] = core.StatusRedeemed
		}
	case opRedeem:
		c.status[pos], e = on.Redeem(c.account, c.coins[pos].Digest, now)
	case opReturn:
		c.status[pos], e = on.GiveBack(c.account, c.coins[pos].Digest)
	case opRefund:
		c.status[pos], e = on.Refund(c.account, now)
		if c.status[pos] == core.StatusRedeemed {
			c.evidence[pos] = evidence{on.At, on.Consumer()}
		}
	}
	return e
}

// fail notes that nothing happened to a coin.
func (c *call) fail(pos int32) { c.status[pos] = core.StatusTemporary }

// answered says that n more coins have their durable outcome.
func (c *call) answered(n int) {
	if c.left.Add(-int64(n)) == 0 {
		c.done <- struct{}{}
	}
}

// reserve takes room in the queue for n coins, or returns ErrOverload at once. The
// room is given back as the coins are answered, or by unreserve.
func (l *Ledger) reserve(n int) error {
	if l.queued.Add(int64(n)) > int64(l.o.MaxQueued) {
		l.queued.Add(-int64(n))
		l.events.overloads.Add(1)
		return ErrOverload
	}
	return nil
}

func (l *Ledger) unreserve(n int) { l.queued.Add(-int64(n)) }

// do hands a call whose coins are reserved to the shards and waits for all of them.
// It does not end early: once accepted, a coin has an outcome.
func (l *Ledger) do(c *call) {
	n := c.len()
	if c.done == nil {
		c.done = make(chan struct{}, 1)
	}
	if c.status == nil {
		c.status = make([]core.Status, n)
	}
	c.left.Store(int64(n))
	if n == 1 {
		c.order = append(c.order[:0], 0)
		l.shards[shardOf(c.fingerprint(0), len(l.shards))].enqueue(portion{call: c, order: c.order})
		<-c.done
		return
	}

	// Count the coins of each shard, then place their positions shard by shard.
	var end [maxShards]int32
	shards := len(l.shards)
	for pos := range n {
		end[shardOf(c.fingerprint(int32(pos)), shards)]++
	}
	for i := 1; i < shards; i++ {
		end[i] += end[i-1]
	}
	c.order = slices.Grow(c.order[:0], n)[:n]
	next := end
	for pos := n - 1; pos >= 0; pos-- {
		i := shardOf(c.fingerprint(int32(pos)), shards)
		next[i]--
		c.order[next[i]] = int32(pos)
	}
	for i, s := range l.shards {
		if part := c.order[next[i]:end[i]]; len(part) > 0 {
			s.enqueue(portion{call: c, order: part})
		}
	}
	<-c.done
}

// submit runs a call for an account: all that can refuse it as a whole comes first.
func (l *Ledger) submit(ctx context.Context, c *call) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	n := c.len()
	if n == 0 {
		return nil
	}
	if n > MaxCall {
		return fmt.Errorf("ledger: %d coins in one call, at most %d are allowed", n, MaxCall)
	}
	if err := l.checkAccount(c.account); err != nil {
		return err
	}
	if err := l.reserve(n); err != nil {
		return err
	}
	l.do(c)
	return nil
}

// Redeem consumes coins for acc and sets one status each:
//
//	StatusOK             consumed now, one credit to acc
//	StatusRedeemedBefore consumed before by acc with the same digest, and not returned
//	StatusRedeemed       consumed before in another way, as long as that is remembered
//	StatusNotLive        never issued, or consumed longer ago than the window
//	StatusTemporary      could not be read: nothing happened, ask again
//
// A nil error means that every status, and everything it tells of, is on disk. An
// error refuses the call as a whole: nothing happened and out is unchanged. Errors:
// ErrNoAccount, ErrOverload, ErrClosed, ctx.Err(), more than 10,000 coins, or a store
// that cannot be read. ctx is looked at once, before the coins are accepted. The
// ledger does not check the account's role or whether it was removed.
//
// A coin that stands several times in coins is treated in order. out must be as long
// as coins; Redeem panics otherwise. Neither is kept.
func (l *Ledger) Redeem(ctx context.Context, acc AccountID, coins []Redemption, out []core.Status) error {
	checkOut("Redeem", len(coins), len(out))
	c := l.newCall(opRedeem, acc)
	defer l.free(c)
	c.coins, c.status = coins, out
	if err := l.submit(ctx, c); err != nil {
		return err
	}
	l.events.outcomes.Redeemed(out)
	return nil
}

// Return gives coins back that acc redeemed with these digests and sets one status each:
//
//	StatusOK        returned, now or before; one debit to acc in all
//	StatusRedeemed  consumed by somebody else, with another digest, or by a refund
//	StatusNotLive   nothing is kept about it
//	StatusTemporary could not be read: nothing happened, ask again
//
// A returned coin never becomes live again; it waits for its refund, for ever. The
// debit may take the balance of acc below zero. Errors, ctx and out are as for Redeem.
func (l *Ledger) Return(ctx context.Context, acc AccountID, coins []Redemption, out []core.Status) error {
	checkOut("Return", len(coins), len(out))
	c := l.newCall(opReturn, acc)
	defer l.free(c)
	c.coins, c.status = coins, out
	if err := l.submit(ctx, c); err != nil {
		return err
	}
	l.events.outcomes.Settled(out)
	return nil
}

// Refund consumes live or returned coins for acc and sets one outcome each:
//
//	StatusOK        refunded to acc, now or before; one credit in all
//	StatusRedeemed  consumed by somebody else: At and Redeemer say when and by whom
//	StatusNotLive   nothing is kept about it
//	StatusTemporary could not be read: nothing happened, ask again
//
// Errors, ctx and out are as for Redeem.
func (l *Ledger) Refund(ctx context.Context, acc AccountID, coins []core.Fingerprint, out []Refund) error {
	checkOut("Refund", len(coins), len(out))
	c := l.newCall(opRefund, acc)
	defer l.free(c)
	c.fps, c.status, c.evidence = coins, make([]core.Status, len(coins)), make([]evidence, len(coins))
	if err := l.submit(ctx, c); err != nil {
		return err
	}
	for i, status := range c.status {
		out[i] = Refund{Status: status}
		if status == core.StatusRedeemed {
			out[i].At, out[i].Redeemer = time.UnixMilli(c.evidence[i].at), c.evidence[i].account
		}
	}
	l.events.outcomes.Settled(c.status)
	return nil
}

func checkOut(method string, coins, out int) {
	if coins != out {
		panic(fmt.Sprintf("ledger: %s of %d coins with room for %d outcomes", method, coins, out))
	}
}

// errRead is wrapped when the store cannot be read; asking again may help.
var errRead = errors.New("ledger: the store cannot be read")
