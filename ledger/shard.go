package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// maxInFlight limits the batches of one shard that wait for their sync. A sync takes
// all that was written before it, so a few are enough to keep the committer busy.
const maxInFlight = 16

// shard owns the coins whose fingerprints begin with its index. Its committer is the
// only goroutine that changes them, so a coin needs no lock.
//
// Batches go to disk in one of two ways. Without an index they are Pebble's, and the
// shard's answerer, a second goroutine, waits for their syncs in order and answers in
// that order. With an index they go to the disk's commit log, which answers; what they
// changed stays in a delta until the flusher gives it to Pebble. Either way an answer
// never tells of a change that a power loss could still undo, also when the answer's
// own batch had nothing to write.
type shard struct {
	index int
	l     *Ledger
	disk  *store

	mu       sync.Mutex // guards the queue; held for a moment only
	waiting  []portion  // in order of arrival; Ledger.reserve bounds its coins
	controls []func()   // to be run by the committer before it goes on
	closed   bool       // set once, by stop
	wake     chan struct{}

	flights chan flight // committer to answerer; closed by the committer; nil with a log

	commits, coins atomic.Int64 // batches and the coins in them
	damagedCoins   atomic.Int64 // answers that damage made temporary failures
	flushNow       atomic.Bool  // the log is long
	indexed        atomic.Int64 // coins in the index; -1 without one
	pending        atomic.Int64 // coins in the deltas

	books books

	// Owned by the committer.
	look    lookup
	damaged map[core.Fingerprint]time.Time // coins not to be looked up again before
	batch   *pebble.Batch
	items   []item
	key     []byte
	old     []byte
	value   []byte

	// Owned by the committer, with a log.
	live     *index        // nil: looked up in the deltas and Pebble
	missed   []change      // what an index being loaded does not know
	loading  bool          // an index is being loaded
	active   *delta        // changes since the last freeze; nil without a log
	frozen   *delta        // changes that the flusher is at work on; nil if it is not
	flushing chan struct{} // closed when it is done
	reserve  *delta        // an empty one
	touched  uint64        // written so that touch is not optimised away
}

// portion is the part of a call that belongs to one shard.
type portion struct {
	call  *call
	order []int32 // positions in the call's coins
}

// item is one coin of a batch.
type item struct {
	fp   core.Fingerprint
	call *call
	pos  int32 // position in the call
	seq  int32 // order of arrival in the batch
}

// flight is a batch on its way to the disk and the answers that wait for it.
type flight struct {
	shard    *shard
	batch    *pebble.Batch // nil when there was nothing to write, and with a log
	portions []portion
	settled  chan struct{} // closed as the answer; nil for a batch
}

// answer tells the callers. Everything they will read is durable.
func (f *flight) answer() {
	if f.settled != nil {
		close(f.settled)
		return
	}
	for _, p := range f.portions {
		f.shard.l.queued.Add(-int64(len(p.order)))
		p.call.answered(len(p.order))
	}
}

func newShard(l *Ledger, index int, disk *store) (*shard, error) {
	s := &shard{
		index:   index,
		l:       l,
		disk:    disk,
		wake:    make(chan struct{}, 1),
		look:    lookup{db: disk.db},
		damaged: make(map[core.Fingerprint]time.Time),
		books:   books{rows: make(map[AccountID]*tallyRow)},
	}
	s.indexed.Store(-1)
	if disk.redo == nil {
		s.flights = make(chan flight, maxInFlight)
	} else {
		s.active, s.reserve = newDelta(), newDelta()
	}
	c, _, err := get(disk.db, appendCountersKey(nil, index), decodeCounters)
	if err != nil {
		return nil, fmt.Errorf("ledger: read the counters of shard %d: %w", index, err)
	}
	s.books.current, s.books.counters = c, c
	return s, nil
}

// shardOf returns the index of the shard that owns fp: its first log2(shards) bits.
func shardOf(fp *core.Fingerprint, shards int) int {
	return int(binary.BigEndian.Uint16(fp[:])) >> (16 - shardBits(shards))
}

// shardBits returns how many leading bits of a fingerprint name its shard.
func shardBits(shards int) int { return bits.TrailingZeros(uint(shards)) }

// enqueue hands p to the committer. The coins were reserved and the shard is not
// closed, because Close waits for every call under way.
func (s *shard) enqueue(p portion) {
	s.mu.Lock()
	if s.closed {
		panic("ledger: coins for a stopped shard")
	}
	s.waiting = append(s.waiting, p)
	first := len(s.waiting) == 1
	s.mu.Unlock()
	if first {
		s.signal()
	}
}

// control lets the committer run f between two batches.
func (s *shard) control(f func()) {
	s.mu.Lock()
	if s.closed {
		panic("ledger: work for a stopped shard")
	}
	s.controls = append(s.controls, f)
	s.mu.Unlock()
	s.signal()
}

func (s *shard) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// stop lets the committer end when nothing waits any more.
func (s *shard) stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
}

// take waits for work and returns all that waits, up to maxCommit coins, or what is to
// be run first. It returns nothing when the shard was stopped and nothing is left.
func (s *shard) take() (work []portion, controls []func()) {
	for {
		s.mu.Lock()
		switch {
		case len(s.controls) > 0:
			controls, s.controls = s.controls, nil
			s.mu.Unlock()
			return nil, controls
		case len(s.waiting) > 0:
			work = s.cutLocked()
			s.mu.Unlock()
			return work, nil
		case s.closed:
			s.mu.Unlock()
			return nil, nil
		}
		s.mu.Unlock()
		<-s.wake
		// Who can run and may have coins for this shard comes first.
		runtime.Gosched()
	}
}

func (s *shard) cutLocked() []portion {
	n := 0
	for i, p := range s.waiting {
		room := maxCommit - n
		if len(p.order) <= room {
			n += len(p.order)
			continue
		}
		// The portion does not fit: take its beginning, leave the rest.
		out := slices.Clone(s.waiting[:i])
		if room > 0 {
			out = append(out, portion{p.call, p.order[:room]})
			s.waiting[i].order = p.order[room:]
		}
		s.waiting = slices.Delete(s.waiting, 0, i)
		return out
	}
	out := s.waiting
	s.waiting = nil
	return out
}

// commitLoop is the committer. A panic in it, which is how Pebble reports a failed
// write to its log, stops the process like any other failed commit.
func (s *shard) commitLoop() {
	if s.flights != nil {
		defer close(s.flights)
	}
	defer s.l.log.dieOnPanic(fmt.Sprintf("commit in shard %d", s.index))
	for {
		portions, controls := s.take()
		for _, f := range controls {
			f()
		}
		switch {
		case portions != nil:
			s.commit(portions)
		case controls == nil:
			s.end()
			return
		}
	}
}

// answerLoop is the answerer of a shard without a log.
func (s *shard) answerLoop() {
	for f := range s.flights {
		if f.batch != nil {
			if err := f.batch.SyncWait(); err != nil {
				s.fatal(fmt.Errorf("sync: %w", err))
			}
			s.l.unsynced.Add(-1)
			if err := f.batch.Close(); err != nil {
				s.fatal(err)
			}
		}
		f.answer()
	}
}

// fatal stops the process: what became of a batch is in doubt.
func (s *shard) fatal(err error) {
	s.l.log.die(fmt.Errorf("ledger: commit in shard %d: %w", s.index, err))
}

// commit decides every coin of portions and writes the changes as one batch, with
// the shard's counters and the accounts' tallies. The batch is visible to reads
// afterwards, and durable once it is answered.
func (s *shard) commit(portions []portion) {
	s.pollFlush()
	now := s.l.now()
	spent := s.l.spent.acquire(now)
	s.batch = s.disk.db.NewBatch()
	if s.live != nil {
		s.decideInOrder(portions, spent, now.UnixMilli())
	} else {
		s.decideSorted(portions, spent, now.UnixMilli())
	}
	s.look.end()
	for _, p := range portions {
		if p.call.kind != opProbe {
			s.coins.Add(int64(len(p.order)))
		}
	}
	s.write(flight{shard: s, portions: portions})
	// Before maybeFreeze, which may wait for the flusher. That needs the windows too, and
	// would not get them behind somebody who waits to begin one.
	s.l.spent.release()
	s.maybeFreeze()
}

// decideInOrder decides coins as they came: the index needs no order.
func (s *shard) decideInOrder(portions []portion, spent []uint32, now int64) {
	newest := spent[len(spent)-1]
	s.touch(portions)
	for _, p := range portions {
		row := s.row(p.call)
		for _, pos := range p.order {
			fp := p.call.fingerprint(pos)
			c, window, err := s.find(fp, spent, true)
			if err == nil && row != nil {
				err = row.err
			}
			if err != nil {
				s.readFailed(err, 1)
				p.call.fail(pos)
				continue
			}
			before := c
			s.books.count(p.call.run(pos, &c, now), row)
			s.change(fp, &before, window, &c, newest)
		}
	}
}

// touch reads what the searches for all coins of a batch read first. None of these
// reads waits for another, so the processor fetches many of them from memory at once,
// where the searches would wait for one after the other.
func (s *shard) touch(portions []portion) {
	sum := uint64(0)
	for _, p := range portions {
		for _, pos := range p.order {
			fp := p.call.fingerprint(pos)
			sum += s.live.touch(fp) + s.active.touch(fp)
		}
	}
	s.touched = sum
}

// decideSorted decides coins in order of fingerprint, because neighbours share blocks
// when they are looked up. Operations on the same coin stay in order of arrival.
func (s *shard) decideSorted(portions []portion, spent []uint32, now int64) {
	s.sort(portions)
	for rest := s.items; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].fp == rest[0].fp {
			n++
		}
		s.decide(rest[:n], spent, now)
		rest = rest[n:]
	}
	clear(s.items) // no call is kept
}

// row returns the tally that a call's coins go to, nil for an insert.
func (s *shard) row(c *call) *tallyRow {
	if c.kind == opInsert {
		return nil
	}
	return s.books.row(s.disk.db, c.account, s.index)
}

// write sends the batch to the disk.
func (s *shard) write(f flight) {
	s.commits.Add(1)
	b := &s.books
	changed := b.current != b.counters
	if changed {
		// Every change of a coin is counted, so otherwise there is nothing to write.
		b.current.commits++
		if err := b.appendTo(s.batch, s.index, s.key, s.value); err != nil {
			s.fatal(err)
		}
	}
	if s.active == nil {
		s.apply(changed, f)
		return
	}
	var rows []byte
	if changed {
		rows = s.batch.Repr()
	}
	// Under the lock, because the answer may come at once, and who reads the books
	// after it must find what it told.
	b.mu.Lock()
	s.disk.redo.append(uint8(s.index), uint64(b.current.commits), rows, f)
	b.publishLocked()
	b.mu.Unlock()
	b.keepUnsaved()
	if err := s.batch.Close(); err != nil {
		s.fatal(err)
	}
}

// apply sends the batch to the disk through Pebble.
func (s *shard) apply(changed bool, f flight) {
	if changed {
		s.l.unsynced.Add(1)
		if err := s.disk.db.ApplyNoSyncWait(s.batch, pebble.Sync); err != nil {
			s.fatal(err)
		}
		f.batch = s.batch
	} else if err := s.batch.Close(); err != nil {
		s.fatal(err)
	}
	b := &s.books
	b.mu.Lock()
	b.publishLocked()
	b.mu.Unlock()
	b.touched = b.touched[:0]
	s.flights <- f
}

// sort fills items with the coins of portions, ordered by fingerprint: neighbours
// share blocks when they are looked up, and equal fingerprints stand together, in
// order of arrival.
func (s *shard) sort(portions []portion) {
	s.items = s.items[:0]
	for _, p := range portions {
		for _, pos := range p.order {
			s.items = append(s.items, item{fp: *p.call.fingerprint(pos), call: p.call, pos: pos, seq: int32(len(s.items))})
		}
	}
	slices.SortFunc(s.items, func(a, b item) int {
		if c := cmp.Compare(binary.BigEndian.Uint64(a.fp[:]), binary.BigEndian.Uint64(b.fp[:])); c != 0 {
			return c
		}
		if c := cmp.Compare(binary.BigEndian.Uint64(a.fp[8:]), binary.BigEndian.Uint64(b.fp[8:])); c != 0 {
			return c
		}
		return cmp.Compare(a.seq, b.seq)
	})
}

// decide runs all operations of a batch on one coin in order of arrival and adds the
// difference to the batch. What cannot be read is a temporary failure, never a
// verdict.
func (s *shard) decide(items []item, spent []uint32, now int64) {
	c, window, err := s.find(&items[0].fp, spent, items[0].call.kind != opInsert)
	if err != nil {
		s.readFailed(err, len(items))
		for i := range items {
			items[i].call.fail(items[i].pos)
		}
		return
	}
	before := c
	for i := range items {
		it := &items[i]
		row := s.row(it.call)
		if row != nil && row.err != nil {
			s.readFailed(row.err, 1)
			it.call.fail(it.pos)
			continue
		}
		s.books.count(it.call.run(it.pos, &c, now), row)
	}
	s.change(&items[0].fp, &before, window, &c, spent[len(spent)-1])
}

// errDamaged is the answer for a coin in a damaged block that was read not long ago.
var errDamaged = errors.New("ledger: the coin is in a damaged block")

// A coin in a damaged block is looked up again after damagedPause. Each such read
// costs Pebble tens of milliseconds, and many clients that ask again at once would
// otherwise keep the shard from its other coins. maxDamaged bounds the memory for it.
const (
	damagedPause = time.Minute
	maxDamaged   = 1 << 16
)

// find looks a coin up, unless that failed for damage a moment ago. likely says that it
// is probably live.
func (s *shard) find(fp *core.Fingerprint, spent []uint32, likely bool) (life.Coin, uint32, error) {
	if s.live != nil && s.live.has(fp) {
		return life.Coin{Phase: life.Live}, 0, nil
	}
	for _, d := range [...]*delta{s.active, s.frozen} {
		if c := d.get(fp); c != nil {
			if c.coin.Phase.Spent() && !slices.Contains(spent, c.window) {
				return life.Coin{}, 0, nil // its window was dropped
			}
			return c.coin, c.window, nil
		}
	}
	if len(s.damaged) > 0 {
		if again, ok := s.damaged[*fp]; ok {
			if time.Now().Before(again) {
				return life.Coin{}, 0, errDamaged
			}
			delete(s.damaged, *fp)
		}
	}
	var c life.Coin
	var window uint32
	var err error
	if s.live != nil {
		c, window, err = s.look.dead(fp, spent)
	} else {
		c, window, err = s.look.coin(fp, spent, likely)
	}
	if pebble.IsCorruptionError(err) {
		if len(s.damaged) >= maxDamaged {
			clear(s.damaged)
		}
		s.damaged[*fp] = time.Now().Add(damagedPause)
	}
	return c, window, err
}

// change adds to the batch what turns the coin's record before, in window if it is a
// spent one, into after, in window newest. What is in memory follows.
//
// Delete and not SingleDelete: the latter is cheaper, but a fingerprint that was
// ever set twice would come back to life with it, and a coin that comes back to life
// is the one thing that must not happen.
func (s *shard) change(fp *core.Fingerprint, before *life.Coin, window uint32, after *life.Coin, newest uint32) {
	if *before == *after {
		return
	}
	s.old = appendCoinKey(s.old[:0], fp, before.Phase, window)
	s.key = appendCoinKey(s.key[:0], fp, after.Phase, newest)
	s.value = appendCoinValue(s.value[:0], after)
	var err error
	if len(s.old) > 0 && !bytes.Equal(s.old, s.key) {
		err = s.batch.Delete(s.old, nil)
	}
	if err == nil {
		err = s.batch.Set(s.key, s.value, nil)
	}
	if err != nil {
		s.fatal(err)
	}
	if s.active != nil {
		s.active.note(fp, before.Phase, window, after, newest)
		s.follow(fp, before.Phase == life.Live, after.Phase == life.Live)
	}
}

// appendCoinKey returns the key of a coin's record; none for an unknown coin.
func appendCoinKey(dst []byte, fp *core.Fingerprint, p life.Phase, window uint32) []byte {
	switch p {
	case life.Live:
		return appendLiveKey(dst, fp)
	case life.Returned:
		return appendReturnedKey(dst, fp)
	case life.Redeemed, life.Refunded:
		return appendSpentKey(dst, window, fp)
	}
	return dst
}

func appendCoinValue(dst []byte, c *life.Coin) []byte {
	switch c.Phase {
	case life.Returned:
		return appendReturned(dst, c)
	case life.Redeemed, life.Refunded:
		return appendSpent(dst, c)
	}
	return dst // a live coin is its key
}
