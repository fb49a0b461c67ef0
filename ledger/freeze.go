package ledger

import (
	"errors"

	"ecoin/core"
)

// What a committer with a log keeps in memory: the index follows every change, the
// active delta grows, is frozen, and goes to the flusher while the next one grows.

// deltaCoins is how many changed coins of all shards wait before the first shards
// flush. More of them make larger tables, which are cheaper to compact; fewer need less
// memory, about 150 bytes each, and less time to read the log at start.
const deltaCoins = 1 << 19

// A delta may grow to deltaSlack times its size while the one before it is flushed;
// then the committer waits.
const deltaSlack = 4

// change says that a coin became live, or ceased to be.
type change struct {
	fp   core.Fingerprint
	live bool
}

// follow keeps the index in step with a change. An index that does not fit into memory
// any more is given up; then the shard finds its coins in Pebble.
func (s *shard) follow(fp *core.Fingerprint, was, is bool) {
	switch {
	case was == is:
	case s.live != nil:
		var err error
		if is {
			err = s.live.insert(fp)
		} else {
			s.live.remove(fp)
		}
		if err != nil {
			s.giveUpIndex(err)
			return
		}
		s.indexed.Store(s.live.n)
	case s.loading:
		s.missed = append(s.missed, change{*fp, is})
	}
}

func (s *shard) giveUpIndex(err error) {
	s.live.close()
	s.live = nil
	s.indexed.Store(-1)
	s.l.o.Logger.Warn("ledger: a shard works without its index; redeems are slower there", "shard", s.index, "error", err)
}

// pollFlush notices that the flusher is done.
func (s *shard) pollFlush() {
	if s.frozen == nil {
		return
	}
	select {
	case <-s.flushing:
		s.flushed()
	default:
	}
}

func (s *shard) flushed() {
	s.frozen.reset()
	s.reserve, s.frozen = s.frozen, nil
	s.pending.Store(int64(s.active.n))
	s.books.trim()
}

// maybeFreeze gives the active delta to the flusher when it is large or the log is long.
func (s *shard) maybeFreeze() {
	if s.active == nil {
		s.books.trim()
		return
	}
	s.pollFlush() // the log may ask when no batch follows that would
	n := s.active.n
	size := max(1, s.l.o.deltaCoins/len(s.l.shards))
	if n >= deltaSlack*size && s.frozen != nil {
		<-s.flushing
		s.flushed()
	}
	if s.frozen == nil && n > 0 && (n >= size || s.flushNow.Load()) {
		s.freeze()
	}
	s.pending.Store(int64(n))
}

// freeze hands the active delta and the books to the flusher. None is at work.
func (s *shard) freeze() {
	s.flushNow.Store(false)
	s.frozen, s.active, s.reserve = s.active, s.reserve, nil
	s.flushing = make(chan struct{})
	s.disk.flushes <- flushJob{
		shard: s, delta: s.frozen, rows: s.books.freeze(), counters: s.books.counters, done: s.flushing,
	}
}

// flushAll returns once Pebble has everything.
func (s *shard) flushAll() {
	if s.active == nil {
		return
	}
	if s.frozen != nil {
		<-s.flushing
		s.flushed()
	}
	if s.active.n > 0 {
		s.freeze()
		<-s.flushing
		s.flushed()
	}
}

// end is the last thing the committer does.
func (s *shard) end() {
	s.flushAll()
	if s.live != nil {
		s.live.close()
		s.live = nil
	}
}

// errIndexWrong is a bug or damaged memory: an index does not hold what it must.
var errIndexWrong = errors.New("ledger: an index does not hold what its shard counts")
