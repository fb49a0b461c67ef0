package pgledger

import (
	"slices"
	"sync"

	"ecoin/core"
	"ecoin/ledger"
	"ecoin/ledger/internal/life"
)

// op is what a call does with its coins.
type op uint8

const (
	opRedeem op = iota
	opReturn
	opRefund
	ops
)

// call is many coins of one caller. A worker writes status, coins' states and err; the
// caller reads them after done was closed.
type call struct {
	op      op
	account ledger.AccountID
	coins   []ledger.Redemption // of a refund: without digests

	status []core.Status
	states []life.Coin // of a refund: each coin as it was then; else nil
	err    error       // of the whole call
	done   chan struct{}
}

// queue holds calls until a worker takes them: as many of a kind as wait, up to a number
// of coins.
type queue struct {
	limit, batch int

	mu      sync.Mutex // guards what follows
	more    *sync.Cond
	calls   [ops][]*call
	queued  int // coins of calls that were not answered
	turn    op  // the kind that is taken next, so that none starves
	closing bool
}

func newQueue(o Options) *queue {
	q := &queue{limit: o.MaxQueued, batch: o.BatchCoins}
	q.more = sync.NewCond(&q.mu)
	return q
}

// put accepts a call, or returns ledger.ErrOverload.
func (q *queue) put(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queued+len(c.coins) > q.limit {
		return ledger.ErrOverload
	}
	q.queued += len(c.coins)
	q.calls[c.op] = append(q.calls[c.op], c)
	q.more.Signal()
	return nil
}

// take returns calls of one kind, at least one; nil once the queue is closed and empty.
func (q *queue) take() []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for range ops {
			kind := q.turn
			q.turn = (q.turn + 1) % ops
			waiting := q.calls[kind]
			if len(waiting) == 0 {
				continue
			}
			n, coins := 1, len(waiting[0].coins)
			for n < len(waiting) && coins+len(waiting[n].coins) <= q.batch {
				coins += len(waiting[n].coins)
				n++
			}
			taken := slices.Clone(waiting[:n])
			clear(waiting[:n]) // or their coins stay in memory until the array is left
			q.calls[kind] = waiting[n:]
			return taken
		}
		if q.closing {
			return nil
		}
		q.more.Wait()
	}
}

// answered ends calls that were taken.
func (q *queue) answered(calls []*call) {
	q.mu.Lock()
	for _, c := range calls {
		q.queued -= len(c.coins)
	}
	q.mu.Unlock()
	for _, c := range calls {
		close(c.done)
	}
}

func (q *queue) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(q.queued)
}

// close lets take return nil once everything is taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closing = true
	q.more.Broadcast()
}
