package bank

import (
	"runtime"
	"sync"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

const (
	// openBatch is how many records a worker opens at once: 8 fill the lanes of the
	// codec, and 64 share one inversion.
	openBatch = 64
	// openTurn is how many records an account gets into a batch before it is the
	// next account's turn.
	openTurn = 8
)

// opener opens the headers of all calls together. Calls queue their records by
// account. A worker takes what waits, at most openBatch records, openTurn of an account
// in turn, opens them in one go, and never waits for more. So lone records of many
// connections cost what those of one large body cost, and an account with many records
// delays the others by its turns alone. The bank's room bounds what waits.
type opener struct {
	bank *Bank

	mu          sync.Mutex // guards what follows; nothing blocks under it
	work        sync.Cond  // records wait, or closed
	queues      map[ledger.AccountID]*accountQueue
	first, last *accountQueue // those with records, in order of their turns
	waiting     int           // records in all queues
	closed      bool

	workers sync.WaitGroup
}

// accountQueue holds the records of one account that no worker has taken yet.
type accountQueue struct {
	account     ledger.AccountID
	first, last *batch // in order of arrival
	next        *accountQueue
}

// piece is a part of a call's records, opened by one worker.
type piece struct {
	w        *batch
	from, to int
}

func newOpener(b *Bank) *opener {
	o := &opener{bank: b, queues: map[ledger.AccountID]*accountQueue{}}
	o.work.L = &o.mu
	for range runtime.GOMAXPROCS(0) {
		o.workers.Go(o.run)
	}
	return o
}

// close ends the workers once nothing waits. No call may follow.
func (o *opener) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.work.Broadcast()
	o.workers.Wait()
}

// open has the records of w opened for an account, and returns when all are.
func (o *opener) open(account ledger.AccountID, w *batch) {
	w.next, w.queued, w.behind = 0, time.Now(), nil
	w.left.Store(int32(len(w.records)))

	o.mu.Lock()
	if o.closed {
		panic("bank: a call after Close")
	}
	q := o.queues[account]
	if q == nil {
		q = &accountQueue{account: account}
		o.queues[account] = q
		o.push(q)
	}
	if q.first == nil {
		q.first = w
	} else {
		q.last.behind = w
	}
	q.last = w
	o.waiting += len(w.records)
	o.mu.Unlock()
	o.work.Signal()
	<-w.opened
}

// queued returns how many records wait.
func (o *opener) queued() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

// push gives q the last turn.
func (o *opener) push(q *accountQueue) {
	q.next = nil
	if o.first == nil {
		o.first = q
	} else {
		o.last.next = q
	}
	o.last = q
}

// take waits for records and appends up to openBatch of them to pieces; none means
// that the opener is closed.
func (o *opener) take(pieces []piece) []piece {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.waiting == 0 {
		if o.closed {
			return pieces
		}
		o.work.Wait()
		// Handlers that can run queue their records first: the scheduler puts whom the
		// first of them woke before the others, and he would open that one's alone.
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
	room := openBatch
	for room > 0 && o.first != nil {
		q := o.first
		o.first = q.next
		for turn := min(openTurn, room); turn > 0 && q.first != nil; {
			w := q.first
			n := min(turn, len(w.records)-w.next)
			pieces = append(pieces, piece{w, w.next, w.next + n})
			if w.next += n; w.next == len(w.records) {
				q.first = w.behind
			}
			turn -= n
			room -= n
		}
		if q.first != nil {
			o.push(q)
		} else {
			delete(o.queues, q.account)
		}
	}
	o.waiting -= openBatch - room
	if o.waiting > 0 {
		o.work.Signal() // a signal for each call, but a call may be several batches
	}
	return pieces
}

// run is one worker.
func (o *opener) run() {
	b := new(openBatchMemory)
	for {
		runtime.Gosched() // as in take
		b.pieces = o.take(b.pieces[:0])
		if len(b.pieces) == 0 {
			return
		}
		start := time.Now()
		b.open(o.bank.keys.Load(), o.bank.mint)
		stages := &o.bank.stages
		stages.open.Observe(time.Since(start))
		stages.batches.Add(1)
		stages.records.Add(int64(len(b.records)))
		for _, p := range b.pieces {
			stages.queue.Observe(start.Sub(p.w.queued))
			if p.w.left.Add(int32(p.from-p.to)) == 0 {
				p.w.opened <- struct{}{} // has room: nothing of w is used from here on
			}
		}
		clear(b.pieces)
	}
}

// openBatchMemory is what a worker works with.
type openBatchMemory struct {
	scratch core.Scratch
	pieces  []piece
	records [][]byte // alias the requests
	secrets [openBatch]core.Secrets
	ok      [openBatch]bool
}

// open opens the records of b.pieces and gives each call its part: secrets, and for
// those that opened fingerprint and digest. No secret stays in b: the codec clears
// what it puts into its scratch.
func (b *openBatchMemory) open(keys *core.Keyring, mint *core.Mint) {
	b.records = b.records[:0]
	for _, p := range b.pieces {
		b.records = append(b.records, p.w.records[p.from:p.to]...)
	}
	n := len(b.records)
	keys.OpenHeaders(&b.scratch, b.records, b.secrets[:n], b.ok[:n])
	i := 0
	for _, p := range b.pieces {
		for j := p.from; j < p.to; j++ {
			p.w.ok[j], p.w.secrets[j] = b.ok[i], b.secrets[i]
			if b.ok[i] {
				p.w.coins[j] = ledger.Redemption{
					Fingerprint: mint.Fingerprint(&b.secrets[i].Coin),
					Digest:      core.RecordDigest(b.records[i]),
				}
			}
			i++
		}
	}
	clear(b.secrets[:n])
	clear(b.records) // and their number stays for the statistics
}
