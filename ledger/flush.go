package ledger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// flushJob is all that a shard changed since its last one: a frozen delta, and the
// books as of the same batch.
type flushJob struct {
	shard    *shard
	delta    *delta
	rows     []savedRow
	counters counters
	done     chan struct{} // closed when Pebble has it, durably
}

// maxSublevels is how many overlapping tables a lookup may meet in level 0 before the
// flusher waits for compactions. Meanwhile deltas grow, and then calls are refused.
const maxSublevels = 64

// flushLoop gives Pebble what shards froze, one job after the other.
func (s *store) flushLoop() {
	var order sorter
	for job := range s.flushes {
		for s.db.Metrics().Levels[0].Sublevels > maxSublevels {
			time.Sleep(5 * time.Millisecond)
		}
		for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			err := s.flush(&job, &order)
			if err == nil {
				break
			}
			// Nothing is lost: the log has it all. It only grows meanwhile.
			s.log.logger.Error("ledger: tables could not be written, trying again", "dir", s.dir, "shard", job.shard.index, "error", err)
			time.Sleep(pause)
		}
		s.log.must("remove old log files", func() error {
			return s.redo.flushed(uint8(job.shard.index), uint64(job.counters.commits))
		})
		close(job.done)
	}
}

// flush writes a job as sorted tables, one for each kind of record, and lets Pebble
// take them all at once: coins, tallies and counters stay in step.
//
// A table is written with plain deletions. A SingleDelete would be cheaper to
// compact, but if an attempt failed after Pebble took the tables, the next one would
// set a coin twice, and deleting it once would bring it back to life.
func (s *store) flush(job *flushJob, by *sorter) (err error) {
	s.windows.mu.RLock() // nothing may go into a window that is being dropped
	defer s.windows.mu.RUnlock()
	t := tables{store: s, prefix: fmt.Sprintf("%d-%d-", job.shard.index, job.counters.commits)}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.abandon())
		}
	}()
	order := by.sort(job.delta, shardBits(len(job.shard.l.shards)))
	if err := errors.Join(t.books(job), t.live(order), t.returned(order), t.spent(order, s.windows.kept)); err != nil {
		return err
	}
	return t.ingest()
}

// sorter puts the coins of deltas in order of fingerprint, one delta after the other in the
// same memory.
type sorter struct {
	ends  []uint32 // of the buckets of a sort, in refs
	refs  []ref
	order []changed
}

// ref is a coin and how its fingerprint begins, which tells nearly all apart.
type ref struct {
	lead uint64
	c    *changed
}

// sort returns the coins of a delta, whose fingerprints share their first shift bits. The
// result is valid until the next sort.
//
// Fingerprints are pseudorandom, so the bits after those spread the coins evenly over as
// many buckets, and little is left to sort. The coins are copied, since whoever writes a
// table would wait for each that it finds by a pointer.
func (o *sorter) sort(d *delta, shift int) []changed {
	width := bits.Len(uint(d.n))
	bucket := func(lead uint64) int { return int(lead << shift >> (64 - width)) }
	o.ends = slices.Grow(o.ends[:0], 1<<width)[:1<<width]
	clear(o.ends)
	for i := range d.n {
		o.ends[bucket(lead(&d.at(i).fp))]++
	}
	sum := uint32(0)
	for i, n := range o.ends {
		sum += n
		o.ends[i] = sum
	}
	o.refs = slices.Grow(o.refs[:0], d.n)[:d.n]
	for i := range d.n {
		c := d.at(i)
		r := ref{lead(&c.fp), c}
		to := &o.ends[bucket(r.lead)]
		*to--
		o.refs[*to] = r
	}
	// Each end is a beginning now.
	for i, from := range o.ends {
		to := uint32(d.n)
		if i+1 < len(o.ends) {
			to = o.ends[i+1]
		}
		if to-from > 1 {
			slices.SortFunc(o.refs[from:to], compareRefs)
		}
	}
	o.order = o.order[:0]
	for i := range o.refs {
		o.order = append(o.order, *o.refs[i].c)
	}
	return o.order
}

func lead(fp *core.Fingerprint) uint64 { return binary.BigEndian.Uint64(fp[:]) }

func compareRefs(a, b ref) int {
	if c := cmp.Compare(a.lead, b.lead); c != 0 {
		return c
	}
	return bytes.Compare(a.c.fp[8:], b.c.fp[8:])
}

// tables writes the tables of a flush. Rows come in order of their keys within a table.
type tables struct {
	store  *store
	prefix string
	bare   bool // without filters
	made   int  // tables
	paths  []string
	w      *sstable.Writer // of the table being written; nil before its first row
	key    []byte
	value  []byte
}

// write ends a table: it runs rows, which add to it, and a table without rows is none.
func (t *tables) write(rows func() error) error {
	return errors.Join(rows(), t.end())
}

func (t *tables) end() error {
	if t.w == nil {
		return nil
	}
	w := t.w
	t.w = nil
	return w.Close()
}

// ingest lets Pebble take what was written.
func (t *tables) ingest() error {
	if len(t.paths) == 0 {
		return nil
	}
	err := t.store.db.Ingest(context.Background(), t.paths)
	t.paths = t.paths[:0]
	return err
}

func (t *tables) begin() error {
	if t.w != nil {
		return nil
	}
	fs := t.store.fs
	path := fs.PathJoin(t.store.tablesDir(), fmt.Sprintf("%s%d.sst", t.prefix, t.made))
	f, err := fs.Create(path, "ecoin-tables")
	if err != nil {
		return err
	}
	t.paths = append(t.paths, path)
	t.made++
	o := t.store.o.MakeWriterOptions(0, t.store.db.TableFormat())
	if t.bare {
		o.FilterPolicy = pebble.NoFilterPolicy
	}
	t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	return nil
}

func (t *tables) set(key, value []byte) error {
	if err := t.begin(); err != nil {
		return err
	}
	return t.w.Set(key, value)
}

func (t *tables) delete(key []byte) error {
	if err := t.begin(); err != nil {
		return err
	}
	return t.w.Delete(key)
}

// abandon removes the files of a flush that failed.
func (t *tables) abandon() (err error) {
	for _, path := range t.paths {
		if _, statErr := t.store.fs.Stat(path); statErr == nil {
			err = errors.Join(err, t.store.fs.Remove(path))
		}
	}
	return err
}

// books writes tallies and counters.
func (t *tables) books(job *flushJob) error {
	slices.SortFunc(job.rows, func(a, b savedRow) int { return bytes.Compare(a.account[:], b.account[:]) })
	return t.write(func() error {
		for i := range job.rows {
			r := &job.rows[i]
			t.key = appendTallyKey(t.key[:0], &r.account, job.shard.index)
			t.value = r.tally.append(t.value[:0])
			if err := t.set(t.key, t.value); err != nil {
				return err
			}
		}
		t.key = appendCountersKey(t.key[:0], job.shard.index)
		t.value = job.counters.append(t.value[:0])
		return t.set(t.key, t.value)
	})
}

// live writes coins that became live or ceased to be. One that did both is in neither.
func (t *tables) live(order []changed) error {
	return t.write(func() (err error) {
		for i := range order {
			c := &order[i]
			is, was := c.coin.Phase == life.Live, c.before == life.Live
			if is == was {
				continue
			}
			t.key = appendLiveKey(t.key[:0], &c.fp)
			if is {
				err = t.set(t.key, nil)
			} else {
				err = t.delete(t.key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tables) returned(order []changed) error {
	return t.write(func() (err error) {
		for i := range order {
			c := &order[i]
			switch {
			case c.coin.Phase == life.Returned:
				t.key = appendReturnedKey(t.key[:0], &c.fp)
				t.value = appendReturned(t.value[:0], &c.coin)
				err = t.set(t.key, t.value)
			case c.before == life.Returned:
				t.key = appendReturnedKey(t.key[:0], &c.fp)
				err = t.delete(t.key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// spent writes the spent coins of the windows that are kept, window by window.
func (t *tables) spent(order []changed, kept []uint32) error {
	return t.write(func() (err error) {
		for _, w := range kept {
			for i := range order {
				c := &order[i]
				is := c.coin.Phase.Spent() && c.window == w
				switch {
				case is:
					t.key = appendSpentKey(t.key[:0], w, &c.fp)
					t.value = appendSpent(t.value[:0], &c.coin)
					err = t.set(t.key, t.value)
				case c.before.Spent() && c.from == w:
					t.key = appendSpentKey(t.key[:0], w, &c.fp)
					err = t.delete(t.key)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}
