package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// windows cuts one kind of record into windows of time, so that old ones are
// dropped as a range instead of key by key. A window is named by the second in which
// it began; the next begins once it is a width old, with the first record after that.
// Records are always written into the newest window, and none begins before those that
// were dropped, so a clock that goes backwards creates nothing older. A window is dropped once the one after it is a width old: by
// then every record in it is at least a width old, whatever the width was when they
// were written. (But for one case: the clock went back while the width was made
// smaller.)
type windows struct {
	dbs   []*pebble.DB
	kind  byte  // kindSpent or kindEnded
	width int64 // seconds
	first int64 // second before which everything was dropped when the ledger was opened
	log   *storeLog

	// mu is held for reading from choosing the newest window until what goes
	// into it was applied, so that nothing is written into a dropped window.
	mu   sync.RWMutex
	kept []uint32 // oldest first
}

// openWindows finds the windows that the stores have.
func openWindows(dbs []*pebble.DB, kind byte, width time.Duration, log *storeLog) (*windows, error) {
	w := &windows{dbs: dbs, kind: kind, width: int64(width / time.Second), log: log}
	for _, db := range dbs {
		list, err := listWindows(db, kind)
		if err != nil {
			return nil, err
		}
		w.kept = append(w.kept, list...)
		first, _, err := get(db, keptKey(kind), decodeKept)
		if err != nil {
			return nil, fmt.Errorf("ledger: look for windows: %w", err)
		}
		w.first = max(w.first, int64(first))
	}
	slices.Sort(w.kept)
	w.kept = slices.Compact(w.kept)
	return w, nil
}

// listWindows returns the windows of kind with at least one record, oldest first.
func listWindows(db pebble.Reader, kind byte) (list []uint32, err error) {
	it, err := db.NewIter(kindRange(kind))
	if err != nil {
		return nil, fmt.Errorf("ledger: look for windows: %w", err)
	}
	for ok := it.First(); ok; {
		if len(it.Key()) < 5 {
			_ = it.Close()
			return nil, fmt.Errorf("ledger: look for windows: %w", badRecord("key of a window", "too short"))
		}
		start := binary.BigEndian.Uint32(it.Key()[1:])
		list = append(list, start)
		if start == math.MaxUint32 {
			break
		}
		ok = it.SeekGE(appendWindowKey(nil, kind, start+1))
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("ledger: look for windows: %w", err)
	}
	return list, nil
}

// kindRange bounds an iterator to the keys of one kind.
func kindRange(kind byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}}
}

// acquire begins a new window if it is time for one, and returns all windows that
// are kept, newest last. The caller calls release once it applied what it wrote.
// The list must not be modified and is valid until then.
func (w *windows) acquire(now time.Time) []uint32 {
	second := max(w.first, min(now.Unix(), math.MaxUint32))
	for {
		w.mu.RLock()
		if !w.dueLocked(second) {
			return w.kept
		}
		w.mu.RUnlock()
		w.begin(second)
	}
}

// dueLocked reports whether it is time for a new window.
func (w *windows) dueLocked(second int64) bool {
	n := len(w.kept)
	return n == 0 || second >= int64(w.kept[n-1])+w.width
}

// list returns the windows that are kept now, newest last. The list must not be modified.
// Nothing keeps the oldest from being dropped.
func (w *windows) list() []uint32 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.kept
}

func (w *windows) release() { w.mu.RUnlock() }

// begin starts a window and drops those that are no longer needed, unless somebody
// else did meanwhile.
func (w *windows) begin(second int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dueLocked(second) {
		return
	}
	n := len(w.kept)
	kept := append(w.kept[:n:n], uint32(second))
	drop := 0
	for drop+1 < len(kept) && int64(kept[drop+1])+w.width <= second {
		drop++
	}
	w.kept = kept[drop:]
	if drop == 0 {
		return
	}
	from, to := appendWindowKey(nil, w.kind, 0), appendWindowKey(nil, w.kind, kept[drop])
	for _, db := range w.dbs {
		w.log.must("drop old windows", func() error {
			b := db.NewBatch()
			return errors.Join(b.DeleteRange(from, to, nil), b.Set(keptKey(w.kind), to[1:], nil), b.Commit(pebble.Sync), b.Close())
		})
	}
	w.log.logger.Debug("ledger: dropped old windows", "kind", string(w.kind), "windows", drop)
}
