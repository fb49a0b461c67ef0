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

// flushLoop gives Pebble what shards froze: all jobs that wait as one group.
func (s *store) flushLoop() {
	var order sorter
	for job := range s.flushes {
		group := append(s.waitingFlushes(), job)
		slices.SortFunc(group, func(a, b flushJob) int { return cmp.Compare(a.shard.index, b.shard.index) })
		for s.db.Metrics().Levels[0].Sublevels > maxSublevels {
			time.Sleep(5 * time.Millisecond)
		}
		for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			err := s.flush(group, &order)
			if err == nil {
				break
			}
			// Nothing is lost: the log has it all. It only grows meanwhile.
			s.log.logger.Error("ledger: tables could not be written, trying again", "dir", s.dir, "shard", job.shard.index, "shards", len(group), "error", err)
			time.Sleep(pause)
		}
		for _, job := range group {
			s.log.must("remove old log files", func() error {
				return s.redo.flushed(uint8(job.shard.index), uint64(job.counters.commits))
			})
			close(job.done)
		}
	}
}

// waitingFlushes returns the jobs that wait.
func (s *store) waitingFlushes() (jobs []flushJob) {
	for {
		select {
		case job, ok := <-s.flushes:
			if !ok {
				return jobs
			}
			jobs = append(jobs, job)
		default:
			return jobs
		}
	}
}

// flush writes the jobs of several shards, in their order, as sorted tables, and lets
// Pebble take them all at once: coins, tallies and counters stay in step. Each shard has
// a table for each kind of record; their books are one, since tables of books overlap,
// and each of a run of overlapping tables is one more reason to compact level 0.
//
// A table is written with plain deletions. A SingleDelete would be cheaper to
// compact, but if an attempt failed after Pebble took the tables, the next one would
// set a coin twice, and deleting it once would bring it back to life.
func (s *store) flush(group []flushJob, by *sorter) (err error) {
	prefix := fmt.Sprintf("%d-%d-", group[0].shard.index, group[0].counters.commits)
	t := tables{store: s, prefix: prefix}
	windows := s.windows.list()
	spent := make([]tables, len(windows))
	for i, w := range windows {
		spent[i] = tables{store: s, prefix: fmt.Sprintf("%s%d-", prefix, w)}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.abandon(), abandonAll(spent))
		}
	}()
	if err := t.books(group); err != nil {
		return err
	}
	for _, job := range group {
		order := by.sort(job.delta, shardBits(len(job.shard.l.shards)))
		if err := errors.Join(t.live(order), t.returned(order)); err != nil {
			return err
		}
		for i, w := range windows {
			if err := spent[i].spent(order, w); err != nil {
				return err
			}
		}
	}
	// From here to the end no window is dropped, or rows would come into it afterwards, and
	// nobody would drop those. One that was dropped while tables were written is left out.
	s.windows.mu.RLock()
	defer s.windows.mu.RUnlock()
	for i, w := range windows {
		if w < s.windows.kept[0] {
			continue
		}
		t.paths = append(t.paths, spent[i].paths...)
		spent[i].paths = nil
	}
	if err := abandonAll(spent); err != nil {
		return err
	}
	return t.ingest()
}

// sorter puts the coins of deltas in order of fingerprint, one delta after the other in the
// same memory: about 120 bytes for each coin of the largest.
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
	if err := t.store.db.Ingest(context.Background(), t.paths); err != nil {
		return err
	}
	t.paths = t.paths[:0]
	return nil
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

// abandon removes the files.
func (t *tables) abandon() (err error) {
	for _, path := range t.paths {
		if _, statErr := t.store.fs.Stat(path); statErr == nil {
			err = errors.Join(err, t.store.fs.Remove(path))
		}
	}
	return err
}

func abandonAll(tables []tables) (err error) {
	for i := range tables {
		err = errors.Join(err, tables[i].abandon())
	}
	return err
}

// books writes the tallies and counters of all jobs.
func (t *tables) books(group []flushJob) error {
	type row struct {
		savedRow
		shard int
	}
	var rows []row
	for _, job := range group {
		for _, r := range job.rows {
			rows = append(rows, row{r, job.shard.index})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(bytes.Compare(a.account[:], b.account[:]), cmp.Compare(a.shard, b.shard))
	})
	return t.write(func() error {
		for i := range rows {
			r := &rows[i]
			t.key = appendTallyKey(t.key[:0], &r.account, r.shard)
			t.value = r.tally.append(t.value[:0])
			if err := t.set(t.key, t.value); err != nil {
				return err
			}
		}
		for _, job := range group {
			t.key = appendCountersKey(t.key[:0], job.shard.index)
			t.value = job.counters.append(t.value[:0])
			if err := t.set(t.key, t.value); err != nil {
				return err
			}
		}
		return nil
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

// spent writes the spent coins of a window.
func (t *tables) spent(order []changed, window uint32) error {
	return t.write(func() (err error) {
		for i := range order {
			c := &order[i]
			is := c.coin.Phase.Spent() && c.window == window
			switch {
			case is:
				t.key = appendSpentKey(t.key[:0], window, &c.fp)
				t.value = appendSpent(t.value[:0], &c.coin)
				err = t.set(t.key, t.value)
			case c.before.Spent() && c.from == window:
				t.key = appendSpentKey(t.key[:0], window, &c.fp)
				err = t.delete(t.key)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
