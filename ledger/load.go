package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/core"
)

// loadIndexes fills the indexes of shards from a snapshot of their store that was taken
// before they started, one shard after the other, while they work: until its index is
// there a shard finds its coins in Pebble.
func (l *Ledger) loadIndexes(shards []*shard, snap *pebble.Snapshot) {
	for _, s := range shards {
		if err := l.loadIndex(s, snap); err != nil && !errors.Is(err, ErrClosed) {
			l.o.Logger.Warn("ledger: a shard works without its index; redeems are slower there", "shard", s.index, "error", err)
		}
	}
	if err := snap.Close(); err != nil {
		l.o.Logger.Error("ledger: close a snapshot", "error", err)
	}
}

func (l *Ledger) loadIndex(s *shard, snap *pebble.Snapshot) error {
	x, err := l.scanIndex(s.index, snap)
	if gateErr := l.gate.Enter(); gateErr != nil { // else the committer may be gone
		if x != nil {
			x.close()
		}
		return gateErr
	}
	defer l.gate.Leave()
	done := make(chan error)
	s.control(func() { done <- s.adopt(x, err) })
	return <-done
}

// scanIndex reads a shard's live coins into an index.
func (l *Ledger) scanIndex(shard int, snap *pebble.Snapshot) (_ *index, err error) {
	c, _, err := get(snap, appendCountersKey(nil, shard), decodeCounters)
	if err != nil {
		return nil, err
	}
	shift := shardBits(len(l.shards))
	x, err := newIndex(&l.budget, shift, c.live())
	if err != nil {
		return nil, err
	}
	it, err := snap.NewIter(coinRange([]byte{kindLive}, shard, len(l.shards)))
	if err == nil {
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			if len(it.Key()) != liveKeyLen {
				err = badRecord("live coin", "wrong key")
				break
			}
			fp := core.Fingerprint(it.Key()[1:])
			if x.n&0xffff == 0 && l.gate.IsClosing() {
				err = ErrClosed
			} else if err == nil {
				err = x.insert(&fp)
			}
		}
		err = errors.Join(err, it.Close())
	}
	if err != nil {
		x.close()
		return nil, fmt.Errorf("load the index of shard %d: %w", shard, err)
	}
	return x, nil
}

// coinRange bounds an iterator to the rows of a shard's coins behind prefix. The shards'
// ranges leave nothing out, so that keys of a wrong length are met, too.
func coinRange(prefix []byte, shard, shards int) *pebble.IterOptions {
	from := func(i int) []byte {
		return binary.BigEndian.AppendUint16(slices.Clone(prefix), uint16(i<<(16-shardBits(shards))))
	}
	o := &pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)}
	if shard > 0 {
		o.LowerBound = from(shard)
	}
	if shard+1 < shards {
		o.UpperBound = from(shard + 1)
	}
	return o
}

// after returns the first key behind all that begin with prefix, whose first byte is a
// kind and so not the last there is.
func after(prefix []byte) []byte {
	next := slices.Clone(prefix)
	for i := len(next) - 1; ; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
}

// adopt makes a loaded index the shard's, after it caught up with what changed
// meanwhile. The committer runs it. Without an index only the bookkeeping ends.
func (s *shard) adopt(x *index, err error) error {
	missed := s.missed
	s.loading, s.missed = false, nil
	if err != nil {
		return err
	}
	for i := range missed {
		m := &missed[i]
		if !m.live {
			x.remove(&m.fp)
		} else if err := x.insert(&m.fp); err != nil {
			x.close()
			return err
		}
	}
	if x.n != s.books.counters.live() {
		n := x.n
		x.close()
		return fmt.Errorf("%w: shard %d: %d coins found, %d counted", errIndexWrong, s.index, n, s.books.counters.live())
	}
	s.live = x
	s.indexed.Store(x.n)
	return nil
}
