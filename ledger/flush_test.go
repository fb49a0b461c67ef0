package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// TestFlushLiveAlone: a coin that was not live in Pebble and is not now has no row among
// the live ones, not even one that deletes it.
func TestFlushLiveAlone(t *testing.T) {
	t.Parallel()
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	for _, c := range []struct {
		before, now life.Phase
		tables      int
	}{
		{life.Unknown, life.Live, 1}, {life.Live, life.Redeemed, 1}, {life.Live, life.Refunded, 1},
		{life.Unknown, life.Redeemed, 0}, {life.Unknown, life.Refunded, 0}, {life.Redeemed, life.Returned, 0}, {life.Returned, life.Refunded, 0}, {life.Live, life.Live, 0},
	} {
		tables := tables{store: l.stores[0], prefix: "test-"}
		if err := tables.live([]changed{{fp: core.Fingerprint{1}, before: c.before, coin: life.Coin{Phase: c.now}}}); err != nil {
			t.Fatal(err)
		}
		if tables.made != c.tables {
			t.Errorf("from %v to %v: %d tables of live coins, want %d", c.before, c.now, tables.made, c.tables)
		}
		if err := tables.abandon(); err != nil {
			t.Fatal(err)
		}
	}
}

// watchedFlush redeems 5 coins on one shard and lets it flush. watch sees what is done to the
// folder of tables meanwhile.
func watchedFlush(t *testing.T, watch func(*Ledger, errorfs.Op)) *Ledger {
	t.Helper()
	var l *Ledger
	var watched atomic.Bool
	o := testOptions(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if watched.Load() && strings.Contains(op.Path, "/"+tablesName+"/") {
			watch(l, op)
		}
		return nil
	})))
	o.Shards, o.IndexBytes, o.SpentWindow = 1, 1<<20, time.Minute
	l = open(t, "ledger", o)
	acc := addAccount(t, l, 10)
	fps := withdraw(t, l, acc, 10)
	mustRedeem(t, l, acc, fps[:5], core.Digest{1}, core.StatusOK)
	watched.Store(true)
	mustAudit(t, l) // lets the shard flush, and nothing else happens
	watched.Store(false)
	return l
}

// TestFlushKeepsWindows: while Pebble takes tables no window of spent coins is dropped, or
// rows could come into it afterwards, and nobody would drop those.
func TestFlushKeepsWindows(t *testing.T) {
	t.Parallel()
	tables := 0
	watchedFlush(t, func(l *Ledger, op errorfs.Op) {
		if op.Kind != errorfs.OpLink {
			return
		}
		tables++
		if w := l.stores[0].windows; w.mu.TryLock() {
			w.mu.Unlock()
			t.Errorf("windows can be dropped while Pebble takes %s", op.Path)
		}
	})
	if tables < 3 { // books, live and spent coins
		t.Errorf("Pebble took %d tables", tables)
	}
}

// TestFlushDroppedWindow: a window that is dropped while tables are written gets no rows.
func TestFlushDroppedWindow(t *testing.T) {
	t.Parallel()
	dropped := false
	l := watchedFlush(t, func(l *Ledger, op errorfs.Op) {
		w := l.stores[0].windows
		if op.Kind != errorfs.OpCreate || dropped || !strings.Contains(op.Path, fmt.Sprintf("-%d-", w.list()[0])) {
			return
		}
		dropped = true // with the table of its coins begun
		first := int64(w.list()[0])
		w.begin(first + w.width)
		w.begin(first + 2*w.width)
	})
	if !dropped {
		t.Fatal("no window was dropped while tables were written")
	}
	list, err := listWindows(l.db, kindSpent)
	if err != nil || len(list) != 0 {
		t.Errorf("windows %v have rows, error %v", list, err)
	}
	s := l.stores[0]
	if left, err := s.fs.List(s.tablesDir()); err != nil || len(left) != 0 {
		t.Errorf("tables %v are left, error %v", left, err)
	}
}

// TestFlushRefused: tables that Pebble did not take are removed before others are written.
// The next attempt may have other windows, and would not write them over.
func TestFlushRefused(t *testing.T) {
	t.Parallel()
	refused := false
	var left []string
	o := testOptions(nil)
	mem := vfs.NewMem()
	o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch {
		case !strings.Contains(op.Path, "/"+tablesName+"/"):
		case op.Kind == errorfs.OpOpen && !refused: // Pebble reads a table before it takes it
			refused = true
			return errorfs.ErrInjected
		case op.Kind == errorfs.OpCreate && refused && left == nil:
			names, err := mem.List(filepath.Dir(op.Path))
			if err != nil {
				t.Error(err)
			}
			left = append([]string{}, names...)
		}
		return nil
	}))
	o.Shards, o.IndexBytes = 1, 1<<20
	l := open(t, "ledger", o)
	withdraw(t, l, addAccount(t, l, 10), 10)
	mustAudit(t, l) // lets the shard flush
	if left == nil || len(left) > 0 {
		t.Errorf("a second attempt began with tables %v", left)
	}
}

// withoutTables is a file system in memory where no table can be written while full is set.
func withoutTables(full *atomic.Bool) vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "/"+tablesName+"/") {
			return errorfs.ErrInjected
		}
		return nil
	}))
}

// flushedCoins withdraws n coins for an account and returns them by their shard, of two,
// once the shards have flushed them.
func flushedCoins(t *testing.T, l *Ledger, n int) (acc AccountID, fps [2][]core.Fingerprint) {
	acc = addAccount(t, l, int64(n))
	for _, fp := range withdraw(t, l, acc, n) {
		i := shardOf(&fp, 2)
		fps[i] = append(fps[i], fp)
	}
	mustAudit(t, l) // lets the shards flush
	return acc, fps
}

// TestFlushGroups: shards that wait for the flusher are flushed together, with one table of
// books that has all of them.
func TestFlushGroups(t *testing.T) {
	t.Parallel()
	const shards, accounts = 8, 4
	var full, watch atomic.Bool
	var books atomic.Int64
	o := testOptions(errorfs.Wrap(withoutTables(&full), errorfs.InjectorFunc(func(op errorfs.Op) error {
		// The first table of a group, SHARD-COMMIT-0.sst, and none of a window.
		if watch.Load() && op.Kind == errorfs.OpLink && strings.HasSuffix(op.Path, "-0.sst") && strings.Count(filepath.Base(op.Path), "-") == 2 {
			books.Add(1)
		}
		return nil
	})))
	o.Shards, o.IndexBytes, o.deltaCoins = shards, 1<<20, shards*16 // a shard's is full with the second call
	l := open(t, "ledger", o)
	owner := addAccount(t, l, 2000)
	fps := withdraw(t, l, owner, 2000)
	mustAudit(t, l) // lets the shards flush

	full.Store(true)
	t.Cleanup(func() { full.Store(false) }) // or closing waits for ever
	watch.Store(true)
	want := make(map[AccountID]int64)
	for range accounts {
		acc := addAccount(t, l, 0)
		mustRedeem(t, l, acc, fps[:100], core.Digest{1}, core.StatusOK) // in all shards
		fps, want[acc] = fps[100:], 100
	}
	for _, s := range l.shards {
		onShard(s, func() {}) // done with the last batch, and with what follows on it
	}
	full.Store(false)
	eventually(t, "all shards to be flushed", func() bool {
		for i := range shards {
			c, _, err := get(l.db, appendCountersKey(nil, i), decodeCounters)
			if err != nil {
				t.Fatal(err)
			}
			if c.redeemed == 0 {
				return false
			}
		}
		return true
	})
	watch.Store(false)
	if n := books.Load(); n > 2 { // one shard may have been alone when the flusher began
		t.Errorf("%d tables of books for %d shards", n, shards)
	}
	closeLedger(t, l)
	l = open(t, "ledger", o)
	mustAudit(t, l)
	for acc, n := range want {
		if a, err := l.Account(ctx, acc); err != nil || a.Balance() != n {
			t.Errorf("an account has %d, want %d, error %v", a.Balance(), n, err)
		}
	}
}

// TestFlushWaitsForNobody: a committer that waits for its flusher does not keep windows
// from being begun, or the flusher, who needs them, would wait behind who begins one.
func TestFlushWaitsForNobody(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	o := testOptions(withoutTables(&full))
	var now atomic.Int64
	now.Store(1_900_000_000)
	o.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	o.Shards, o.IndexBytes, o.deltaCoins, o.SpentWindow = 2, 1<<20, 2, 10*time.Second // a delta of one coin, or four
	l, err := Open("ledger", o)                                                       // closed at the end only: one that hangs cannot be
	if err != nil {
		t.Fatal(err)
	}
	acc, fps := flushedCoins(t, l, 100)

	full.Store(true)
	for _, fp := range fps[0][:5] { // one is frozen, and four are what a delta may have meanwhile
		mustRedeem(t, l, acc, []core.Fingerprint{fp}, core.Digest{1}, core.StatusOK)
	}
	redeem := func(fp core.Fingerprint) *atomic.Bool {
		var done atomic.Bool
		go func() {
			if out, err := redeemAll(l, acc, []core.Fingerprint{fp}, core.Digest{1}); err != nil || out[0] != core.StatusOK {
				t.Errorf("redeem: %v, %v", out, err)
			}
			done.Store(true)
		}()
		return &done
	}
	waits := redeem(fps[0][5])
	now.Add(10)
	begins := redeem(fps[1][0])
	eventually(t, "the other shard to begin a window", begins.Load)
	if waits.Load() {
		t.Error("a committer did not wait for its flusher")
	}
	full.Store(false)
	eventually(t, "the committer to go on", waits.Load)
	mustAudit(t, l)
	closeLedger(t, l)
}

// TestIdleShardLetsGo: a shard without further calls, whose flush ended after its last one,
// does not keep the log from being used again.
func TestIdleShardLetsGo(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	o := testOptions(withoutTables(&full))
	o.Shards, o.IndexBytes, o.deltaCoins, o.logSegment = 2, 1<<20, 20, 16<<10
	l := open(t, "ledger", o)
	acc, fps := flushedCoins(t, l, 8000)

	full.Store(true)
	mustRedeem(t, l, acc, fps[0][:10], core.Digest{1}, core.StatusOK)   // being flushed
	mustRedeem(t, l, acc, fps[0][10:11], core.Digest{1}, core.StatusOK) // and one coin more
	full.Store(false)
	const files = segmentsKept + filesSpared + 4
	for busy := fps[1]; len(busy) >= 20; busy = busy[20:] { // three calls a file
		mustRedeem(t, l, acc, busy[:20], core.Digest{1}, core.StatusOK)
	}
	eventually(t, "the log to be used again", func() bool { return l.Stats().LogBytes <= files*uint64(o.logSegment) })
}

// TestReplayForgets: rows that were given to Pebble are not kept, or the memory for a long
// log had no bound.
func TestReplayForgets(t *testing.T) {
	t.Parallel()
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	r := replay{t: tables{store: l.stores[0], prefix: "test-"}, limit: 3}
	for commit := range uint64(8) {
		b := l.db.NewBatch()
		for i := range byte(2) {
			if err := b.Set(appendLiveKey(nil, &core.Fingerprint{byte(commit), i}), nil, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.add(0, commit+1, b.Repr()); err != nil {
			t.Fatal(err)
		}
		if want := int(commit+1) % 2 * 2; len(r.rows) != want {
			t.Errorf("after batch %d %d rows are kept, want %d", commit+1, len(r.rows), want)
		}
	}
	if r.applied != 8 {
		t.Errorf("%d batches", r.applied)
	}
}

// TestSorter: coins come in order of fingerprint, each once with what it has, also where
// many share a bucket or how they begin.
func TestSorter(t *testing.T) {
	t.Parallel()
	var order sorter // used again
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 8).Draw(t, "shift")
		narrow := rapid.IntRange(shift, 64).Draw(t, "narrow") // leading bits that are the same
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		d := newDelta()
		var want []changed
		for i := range rapid.IntRange(0, 3000).Draw(t, "coins") {
			c := changed{before: life.Live, coin: life.Coin{Phase: life.Redeemed, At: int64(i)}}
			binary.BigEndian.PutUint64(c.fp[:], ^(^uint64(0)>>shift)|rng.Uint64()>>narrow)
			binary.BigEndian.PutUint64(c.fp[8:], rng.Uint64())
			d.note(&c.fp, c.before, 0, &c.coin, 0)
			want = append(want, c)
		}
		slices.SortFunc(want, func(a, b changed) int { return bytes.Compare(a.fp[:], b.fp[:]) })
		if got := order.sort(d, shift); !slices.Equal(got, want) {
			t.Fatalf("%d coins in another order than theirs, or others", len(got))
		}
	})
}
