package ledger

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// view is the whole ledger as of one moment: a snapshot of each disk, and what the
// indexes held.
type view struct {
	l     *Ledger
	snaps []*pebble.Snapshot
	marks []indexMark // one a shard
}

// indexMark tells what an index held, without holding it.
type indexMark struct {
	has   bool
	n     int64
	sum   uint64 // of slot.mix
	sound bool   // its tables, counted anew a moment later, hold what they must
}

// newView pauses the committers, for the time that it takes to give Pebble what is in
// memory, and returns a view. Everything in it is durable. The caller closes it.
func (l *Ledger) newView() *view {
	v := &view{l: l, marks: make([]indexMark, len(l.shards))}
	_ = l.pause(func() error {
		v.snaps = l.snapshots()
		for i, s := range l.shards {
			if s.live != nil {
				v.marks[i] = indexMark{has: true, n: s.live.n, sum: s.live.sum, sound: true}
			}
		}
		return nil
	})
	l.settle()
	return v
}

func (l *Ledger) snapshots() (snaps []*pebble.Snapshot) {
	for _, s := range l.stores {
		snaps = append(snaps, s.db.NewSnapshot())
	}
	return snaps
}

func closeSnapshots(snaps []*pebble.Snapshot) (err error) {
	for _, s := range snaps {
		err = errors.Join(err, s.Close())
	}
	return err
}

// checkTables counts every index anew. Each committer does it for its own, and its
// calls wait meanwhile: about a millisecond for a million coins.
func (v *view) checkTables() {
	v.l.onShards(func(s *shard) {
		if s.live == nil {
			return
		}
		for t := range s.live.each {
			if !t.check() {
				v.marks[s.index].sound = false
			}
		}
	})
}

func (v *view) close() error { return closeSnapshots(v.snaps) }

// accounts is where accounts and withdrawals are.
func (v *view) accounts() *pebble.Snapshot { return v.snaps[0] }

// pause runs f while all committers stand still between two batches and Pebble has all
// that they changed. Calls wait in their queues meanwhile.
func (l *Ledger) pause(f func() error) error {
	l.pauseMu.Lock()
	defer l.pauseMu.Unlock()
	// Most of what is in memory goes to Pebble while the committers still work.
	for range 2 {
		if l.stores[0].redo != nil {
			l.onShards(func(s *shard) { s.flushAll() })
		}
	}
	var arrived sync.WaitGroup
	release := make(chan struct{})
	arrived.Add(len(l.shards))
	for _, s := range l.shards {
		s.control(func() {
			s.flushAll()
			arrived.Done()
			<-release
		})
	}
	arrived.Wait()
	defer close(release)
	return f()
}

// onShards lets every committer run f, and returns when all have.
func (l *Ledger) onShards(f func(s *shard)) {
	var done sync.WaitGroup
	done.Add(len(l.shards))
	for _, s := range l.shards {
		s.control(func() {
			defer done.Done()
			f(s)
		})
	}
	done.Wait()
}
