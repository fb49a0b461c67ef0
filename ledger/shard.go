package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/core"
)

// maxInFlight limits the batches of one shard that wait for their sync. A sync takes
// all that was written before it, so a few are enough to keep the committer busy.
const maxInFlight = 16

// shard owns the coins whose fingerprints begin with its index. Its committer is the
// only goroutine that changes them, so a coin needs no lock. The answerer is a second
// goroutine: it waits for the batches' syncs in the order they were committed and
// answers in that order. An answer therefore never tells of a change that a power
// loss could still undo, also when the answer's own batch had nothing to write.
type shard struct {
	index int
	l     *Ledger

	mu      sync.Mutex // guards waiting and closed; held for a moment only
	waiting []portion  // in order of arrival; Ledger.reserve bounds its coins
	closed  bool       // set once, by stop
	wake    chan struct{}

	flights chan flight // committer to answerer; closed by the committer

	commits, coins atomic.Int64 // batches and the coins in them
	damagedCoins   atomic.Int64 // answers that damage made temporary failures

	booksMu sync.Mutex
	books   counters // as last committed, for Stats

	// Owned by the committer.
	look    lookup
	damaged map[core.Fingerprint]time.Time // coins not to be looked up again before
	current counters
	items   []item
	tallies map[AccountID]*tallyRow
	key     []byte
	old     []byte
	value   []byte
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

// tallyRow is an account's tally while a batch is made.
type tallyRow struct {
	tally  tally
	change tally
	err    error // the row could not be read: nothing may change it
}

// flight is a batch on its way to the disk and the answers that wait for it.
type flight struct {
	batch    *pebble.Batch // nil when there was nothing to write
	portions []portion
}

func newShard(l *Ledger, index int) (*shard, error) {
	s := &shard{
		index:   index,
		l:       l,
		wake:    make(chan struct{}, 1),
		flights: make(chan flight, maxInFlight),
		look:    lookup{db: l.db},
		damaged: make(map[core.Fingerprint]time.Time),
		tallies: make(map[AccountID]*tallyRow),
	}
	var err error
	if s.current, _, err = get(l.db, appendCountersKey(nil, index), decodeCounters); err != nil {
		return nil, fmt.Errorf("ledger: read the counters of shard %d: %w", index, err)
	}
	s.books = s.current
	return s, nil
}

// shardOf returns the index of the shard that owns fp: its first log2(shards) bits.
func shardOf(fp *core.Fingerprint, shards int) int {
	return int(binary.BigEndian.Uint16(fp[:])) >> (16 - bits.TrailingZeros(uint(shards)))
}

// enqueue hands p to the committer. The coins were reserved and the shard is not
// closed, because Close waits for every call under way.
func (s *shard) enqueue(p portion) {
	s.mu.Lock()
	if s.closed {
		panic("ledger: coins for a stopped shard")
	}
	s.waiting = append(s.waiting, p)
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

// take waits for work and returns all that waits, up to maxCommit coins. It returns
// nil when the shard was stopped and nothing is left.
func (s *shard) take() []portion {
	for {
		s.mu.Lock()
		if len(s.waiting) > 0 {
			p := s.cutLocked()
			s.mu.Unlock()
			return p
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return nil
		}
		<-s.wake
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
	defer close(s.flights)
	defer s.l.log.dieOnPanic(fmt.Sprintf("commit in shard %d", s.index))
	for {
		portions := s.take()
		if portions == nil {
			return
		}
		s.flights <- s.commit(portions)
	}
}

// answerLoop is the answerer.
func (s *shard) answerLoop() {
	for f := range s.flights {
		if f.batch != nil {
			if err := f.batch.SyncWait(); err != nil {
				s.l.log.die(fmt.Errorf("ledger: sync in shard %d: %w", s.index, err))
			}
			s.l.unsynced.Add(-1)
			if err := f.batch.Close(); err != nil {
				s.l.log.die(fmt.Errorf("ledger: commit in shard %d: %w", s.index, err))
			}
		}
		for _, p := range f.portions {
			s.l.queued.Add(-int64(len(p.order)))
			p.call.answered(len(p.order))
		}
	}
}

// commit decides every coin of portions and writes the changes as one batch, with
// the shard's counters and the accounts' tallies. The batch is visible to reads
// afterwards, and durable once its sync was waited for.
func (s *shard) commit(portions []portion) flight {
	s.sort(portions)
	defer s.look.end()
	s.readTallies()

	now := s.l.now()
	spent := s.l.spent.acquire(now)
	defer s.l.spent.release()
	batch := s.l.db.NewBatch()
	before := s.current
	for rest := s.items; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].fp == rest[0].fp {
			n++
		}
		s.decide(batch, rest[:n], spent, now.UnixMilli())
		rest = rest[n:]
	}
	s.commits.Add(1)
	s.coins.Add(int64(len(s.items)))

	if s.current == before {
		// Every change of a coin is counted, so there is nothing to write.
		if err := batch.Close(); err != nil {
			s.l.log.die(fmt.Errorf("ledger: commit in shard %d: %w", s.index, err))
		}
		return flight{portions: portions}
	}
	s.writeBooks(batch)
	s.l.unsynced.Add(1)
	if err := s.l.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		s.l.log.die(fmt.Errorf("ledger: commit in shard %d: %w", s.index, err))
	}
	s.booksMu.Lock()
	s.books = s.current
	s.booksMu.Unlock()
	return flight{batch: batch, portions: portions}
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

// readTallies reads the rows of every account that the batch may credit or debit.
func (s *shard) readTallies() {
	clear(s.tallies)
	for i := range s.items {
		c := s.items[i].call
		if c.kind == opInsert || s.tallies[c.account] != nil {
			continue
		}
		row := new(tallyRow)
		s.key = appendTallyKey(s.key[:0], &c.account, s.index)
		row.tally, _, row.err = get(s.l.db, s.key, decodeTally)
		s.tallies[c.account] = row
	}
}

// decide runs all operations of a batch on one coin in order of arrival and adds the
// difference to the batch. What cannot be read is a temporary failure, never a
// verdict.
func (s *shard) decide(batch *pebble.Batch, items []item, spent []uint32, now int64) {
	c, window, err := s.find(&items[0].fp, spent, items[0].call.kind != opInsert)
	if err != nil {
		s.l.readFailed(s.index, err)
		if isDamage(err) {
			s.damagedCoins.Add(int64(len(items)))
		}
		for i := range items {
			items[i].call.fail(items[i].pos)
		}
		return
	}
	before := c
	for i := range items {
		it := &items[i]
		row := s.tallies[it.call.account]
		if it.call.kind != opInsert && row.err != nil {
			s.l.readFailed(s.index, row.err)
			it.call.fail(it.pos)
			continue
		}
		var change *tally
		if row != nil {
			change = &row.change
		}
		it.call.run(it.pos, &c, now).count(&s.current, change)
	}
	s.write(batch, &items[0].fp, &before, window, &c, spent[len(spent)-1])
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

// find looks a coin up, unless that failed for damage a moment ago.
func (s *shard) find(fp *core.Fingerprint, spent []uint32, likely bool) (coin, uint32, error) {
	if len(s.damaged) > 0 {
		if again, ok := s.damaged[*fp]; ok {
			if time.Now().Before(again) {
				return coin{}, 0, errDamaged
			}
			delete(s.damaged, *fp)
		}
	}
	c, window, err := s.look.coin(fp, spent, likely)
	if pebble.IsCorruptionError(err) {
		if len(s.damaged) >= maxDamaged {
			clear(s.damaged)
		}
		s.damaged[*fp] = time.Now().Add(damagedPause)
	}
	return c, window, err
}

// write adds to the batch what turns the coin's record before, in window if it is a
// spent one, into after, in window newest.
//
// Delete and not SingleDelete: the latter is cheaper, but a fingerprint that was
// ever set twice would come back to life with it, and a coin that comes back to life
// is the one thing that must not happen.
func (s *shard) write(batch *pebble.Batch, fp *core.Fingerprint, before *coin, window uint32, after *coin, newest uint32) {
	if *before == *after {
		return
	}
	s.old = appendCoinKey(s.old[:0], fp, before.phase, window)
	s.key = appendCoinKey(s.key[:0], fp, after.phase, newest)
	s.value = appendCoinValue(s.value[:0], after)
	var err error
	if len(s.old) > 0 && !bytes.Equal(s.old, s.key) {
		err = batch.Delete(s.old, nil)
	}
	if err == nil {
		err = batch.Set(s.key, s.value, nil)
	}
	if err != nil {
		s.l.log.die(fmt.Errorf("ledger: commit in shard %d: %w", s.index, err))
	}
}

// appendCoinKey returns the key of a coin's record; none for an unknown coin.
func appendCoinKey(dst []byte, fp *core.Fingerprint, p phase, window uint32) []byte {
	switch p {
	case live:
		return appendLiveKey(dst, fp)
	case returned:
		return appendReturnedKey(dst, fp)
	case redeemed, refunded:
		return appendSpentKey(dst, window, fp)
	}
	return dst
}

func appendCoinValue(dst []byte, c *coin) []byte {
	switch c.phase {
	case returned:
		return appendReturned(dst, c)
	case redeemed, refunded:
		return appendSpent(dst, c)
	}
	return dst // a live coin is its key
}

// writeBooks adds the shard's counters and the tallies that changed.
func (s *shard) writeBooks(batch *pebble.Batch) {
	s.key = appendCountersKey(s.key[:0], s.index)
	s.value = s.current.append(s.value[:0])
	err := batch.Set(s.key, s.value, nil)
	for acc, row := range s.tallies {
		if err == nil && row.change != (tally{}) {
			row.tally.add(row.change)
			s.key = appendTallyKey(s.key[:0], &acc, s.index)
			s.value = row.tally.append(s.value[:0])
			err = batch.Set(s.key, s.value, nil)
		}
	}
	if err != nil {
		s.l.log.die(fmt.Errorf("ledger: commit in shard %d: %w", s.index, err))
	}
}
