package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// store is one disk of the ledger: a Pebble, and the log and the flusher of the shards
// whose coins are there. The first store holds the accounts and withdrawals too.
type store struct {
	dir   string
	fs    vfs.FS
	log   *storeLog
	o     *pebble.Options
	db    *pebble.DB
	lock  *pebble.Lock
	meta  meta // zero as long as the store is empty
	guard *diskGuard
	live  *atomic.Bool // see logFS

	redo    *commitLog // nil without an index: then shards write through Pebble's log
	flushes chan flushJob
	windows *windows // of spent coins, for the flusher
}

// openStore locks dir and opens or creates its Pebble. What a crash left of the log is
// applied, durably; end says where it ended.
func openStore(dir string, o Options, cache *pebble.Cache, log *storeLog) (_ *store, end logEnd, err error) {
	if err := makeDir(o.FS, dir); err != nil {
		return nil, logEnd{}, fmt.Errorf("ledger: create %s: %w", dir, err)
	}
	s := &store{dir: dir, log: log, guard: newDiskGuard(dir, o)}
	fs := &logFS{FS: s.guard.wrap(), dir: dir, log: log}
	s.fs, s.live = fs, &fs.live
	o.FS = fs
	for _, d := range []string{s.redoDir(), s.tablesDir()} {
		if err := makeDir(o.FS, d); err != nil {
			return nil, logEnd{}, fmt.Errorf("ledger: create %s: %w", d, err)
		}
	}
	if s.lock, err = lockDir(dir, o.FS); err != nil {
		return nil, logEnd{}, err
	}
	defer log.dieOnPanic("open") // Pebble's answer to a sync that failed
	if err := s.open(o, cache); err != nil {
		return nil, logEnd{}, errors.Join(err, s.lock.Close())
	}
	if s.meta, _, err = get(s.db, metaKey(), decodeMeta); err == nil && s.meta.format <= formatVersion {
		if err = s.removeTables(); err == nil {
			end, err = s.replay(o.replayRows)
		}
	}
	if err != nil {
		return nil, logEnd{}, errors.Join(fmt.Errorf("ledger: open %s: %w", dir, err), s.close())
	}
	return s, end, nil
}

// open opens the Pebble. o.FS is the store's.
func (s *store) open(o Options, cache *pebble.Cache) (err error) {
	s.live.Store(false)
	s.o = pebbleOptions(o, cache, s.lock, s.log)
	s.o.EnsureDefaults()
	if s.db, err = pebble.Open(s.dir, s.o); err != nil {
		return fmt.Errorf("ledger: open %s: %w", s.dir, err)
	}
	s.live.Store(true)
	return nil
}

// reopen closes a Pebble that was created and opens it again. A new one's first log is
// begun before it has its format, and damage in such a log is taken for its end, so it
// must not hold anything.
func (s *store) reopen(o Options, cache *pebble.Cache) error {
	o.FS = s.fs
	err := s.db.Close()
	if s.db = nil; err != nil {
		return fmt.Errorf("ledger: open %s: %w", s.dir, err)
	}
	return s.open(o, cache)
}

func (s *store) close() error {
	if s.db == nil { // it could not be opened again
		return s.lock.Close()
	}
	return errors.Join(s.db.Close(), s.lock.Close())
}

// redoDir is where the log is, tablesDir where tables are written before Pebble takes them.
func (s *store) redoDir() string   { return s.fs.PathJoin(s.dir, redoName) }
func (s *store) tablesDir() string { return s.fs.PathJoin(s.dir, tablesName) }

// The folders of a store beside Pebble's files.
const (
	redoName   = "redo"
	tablesName = "tables"
)

// removeTables removes tables that Pebble did not take before a crash.
func (s *store) removeTables() error {
	names, err := s.fs.List(s.tablesDir())
	for _, name := range names {
		err = errors.Join(err, s.fs.Remove(s.fs.PathJoin(s.tablesDir(), name)))
	}
	return err
}

// describe checks that the stores belong together and fit the options, or makes an
// empty ledger of empty ones.
func describe(stores []*store, o Options) (meta, error) {
	mint := mintCheck(o)
	m := stores[0].meta
	switch {
	case m == (meta{}):
		return create(stores, o.Shards, mint)
	case m.format > formatVersion:
		return meta{}, fmt.Errorf("the ledger has format %d, written by a newer program; this one reads up to %d: use the newer program", m.format, formatVersion)
	case o.Shards != 0 && o.Shards != m.shards:
		return meta{}, fmt.Errorf("the ledger was created with %d shards, not %d; the number is fixed at creation", m.shards, o.Shards)
	case m.mint != mint && !o.keyless:
		return meta{}, errors.New("the ledger was created with other keys: restore the issue key and the fingerprint key that belong to it; with these, none of its coins can be found")
	case m.disks != len(stores):
		return meta{}, wrongDisks(m, len(stores), stores[0].dir)
	}
	for i, s := range stores {
		if err := s.belongs(m, i, stores[0].dir); err != nil {
			return meta{}, err
		}
	}
	return m, nil
}

// create describes empty stores, the first one last: without it there is no ledger.
// The stores are to be opened again, see reopen.
func create(stores []*store, shards int, mint core.Fingerprint) (meta, error) {
	if shards == 0 {
		shards = defaultShards
	}
	if len(stores) > shards {
		return meta{}, fmt.Errorf("%d disks for %d shards", len(stores), shards)
	}
	m := meta{format: formatVersion, shards: shards, mint: mint, disks: len(stores)}
	if _, err := rand.Read(m.id[:]); err != nil {
		return meta{}, err
	}
	for i, s := range stores {
		if err := s.blank(m, i, stores[0].dir); err != nil {
			return meta{}, err
		}
	}
	for i, s := range slices.Backward(stores) {
		m.disk = i
		if err := s.db.Set(metaKey(), m.append(nil), pebble.Sync); err != nil {
			return meta{}, err
		}
	}
	return m, nil
}

// empty reports whether nothing but a description is in the store, which an
// interrupted creation leaves.
func (s *store) empty() (bool, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return false, err
	}
	empty := true
	for ok := it.First(); ok; ok = it.Next() {
		empty = empty && bytes.Equal(it.Key(), metaKey()) && s.meta != (meta{})
	}
	return empty, it.Close()
}

// mintCheck is the fingerprint of the coin that a salt of zeros gives. It depends on
// the keys behind Options.Mint and tells nothing of them. A ledger opened with other
// keys than it was created with would call every coin unknown, and complete
// withdrawals with coins that nobody was promised.
func mintCheck(o Options) core.Fingerprint {
	if o.keyless {
		return core.Fingerprint{}
	}
	return o.Mint(nil, new(core.Salt), 1)[0]
}

// makeDir creates dir and its missing parents, mode 0700, durably: otherwise a power
// loss could take the folder away with all that was synced inside.
func makeDir(fs vfs.FS, dir string) error {
	var changed []string // parents that get a new entry, innermost first
	for d := dir; ; {
		if _, err := fs.Stat(d); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		parent := fs.PathDir(d)
		if parent == d {
			break
		}
		changed, d = append(changed, parent), parent
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range changed {
		f, err := fs.OpenDir(d)
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// get reads and decodes one row. Without one, or with an error, v is zero.
func get[T any](db pebble.Reader, key []byte, decode func([]byte) (T, error)) (v T, found bool, err error) {
	b, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	got, err := decode(b)
	if err := errors.Join(err, closer.Close()); err != nil {
		return v, false, err
	}
	return got, true, nil
}

// pebbleOptions are chosen for a store of small random keys that are looked up,
// inserted and deleted one by one and hardly ever scanned.
func pebbleOptions(o Options, cache *pebble.Cache, lock *pebble.Lock, log *storeLog) *pebble.Options {
	po := &pebble.Options{
		FS:    o.FS,
		Lock:  lock,
		Cache: cache,

		// Columnar blocks store the trailers and empty values of live coins as
		// constants, 0 bytes each; see also keySchema. The newest format tells damage
		// in the middle of a log from its torn end.
		FormatMajorVersion: pebble.FormatNewest,

		// A big memtable lets coins that live shortly die in it; a deep one makes
		// every lookup longer, because most keys are not in it. Four of them ride
		// out a slow flush before writes stop.
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,

		// Compact level 0 early, since every sorted run there is one more place to
		// look; never stop writes for it, since a redeem that waits is worse.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 1000,
		LBaseMaxBytes:         64 << 20,
		FlushSplitBytes:       2 << 20,

		// Dropping a window leaves a range tombstone; flush it soon so that the
		// space comes back without waiting for the memtable to fill.
		FlushDelayDeleteRange: 10 * time.Second,

		// Every batch is synced when committed; syncing the log in between, or
		// waiting for more batches, only adds latency. Zero values do neither.
		WALBytesPerSync:    0,
		WALMinSyncInterval: nil,

		// Up to half of the processors may compact when level 0 grows.
		CompactionConcurrencyRange: func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },

		MaxOpenFiles:  4096,
		Logger:        log,
		EventListener: log.events(),
	}
	if o.IndexBytes > 0 {
		// Live coins are not looked up on disk then, so level 0 and the first below it
		// may be large: a compaction rewrites the last level once for more tombstones.
		// Files of level 0 are small and many.
		po.L0CompactionThreshold = 32
		po.LBaseMaxBytes = 512 << 20
		po.L0CompactionFileThreshold = 1 << 13
	}
	if vfs.Root(o.FS) == vfs.Default {
		po.WithFSDefaults() // reports a disk that does not answer for seconds
	}
	po.Experimental.EnableColumnarBlocks = func() bool { return true }
	useKeySchema(po)
	// Nor are tables full of tombstones a reason: only scans are slower for them, and
	// each rewrites its share of the last level. (As above: 5.7 instead of 7.6 us.)
	po.Experimental.TombstoneDenseCompactionThreshold = -1
	// Compactions triggered by reads are for scans; point lookups gain nothing.
	po.Experimental.ReadSamplingMultiplier = -1
	// Keys are pseudorandom: compression costs time and saves nothing.
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range po.Levels {
		// A lookup wants one key of one block: the smallest blocks in which what a
		// block costs besides its keys is little. Not larger, because neighbours that
		// are further apart cost more, see keySchema. A two-level index only for very
		// large files.
		po.Levels[i].BlockSize = 8 << 10
		po.Levels[i].IndexBlockSize = 256 << 10
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	if o.IndexBytes > 0 {
		// The last level without filters, 1.25 bytes a coin: they tell that a coin is
		// new, which the index knows.
		po.Levels[len(po.Levels)-1].FilterPolicy = pebble.NoFilterPolicy
	}
	if o.tune != nil {
		o.tune(po)
	}
	return po
}

// storeLog is Pebble's logger and event listener. Pebble must not go on after
// Fatalf, so Fatalf leads to Options.Fatal and never returns.
type storeLog struct {
	logger *slog.Logger
	fatal  func(error)

	corruptions   atomic.Int64 // damaged blocks met
	backgroundLog onceASecond  // on a full disk Pebble tries a flush many times a second
}

// die stops the process, see Options.Fatal.
func (s *storeLog) die(err error) {
	s.fatal(err)
	panic(fatalReturned{err})
}

// fatalReturned is the panic that nothing in this package recovers from.
type fatalReturned struct{ err error }

func (f fatalReturned) Error() string {
	return fmt.Sprintf("ledger: Options.Fatal returned after: %v", f.err)
}

// must runs a write and stops the process if it fails: what became of it is in doubt,
// and so is everything after it. Pebble reports a failed write to its log by a panic.
func (s *storeLog) must(what string, write func() error) {
	defer s.dieOnPanic(what)
	if err := write(); err != nil {
		s.die(fmt.Errorf("ledger: %s: %w", what, err))
	}
}

// dieOnPanic is deferred where Pebble writes.
func (s *storeLog) dieOnPanic(what string) {
	switch v := recover().(type) {
	case nil:
	case fatalReturned:
		panic(v)
	case error:
		s.die(fmt.Errorf("ledger: %s: %w", what, v))
	default:
		s.die(fmt.Errorf("ledger: %s: %v", what, v))
	}
}

func (s *storeLog) Infof(format string, args ...any) {
	if s.logger.Enabled(context.Background(), slog.LevelDebug) {
		s.logger.Debug("ledger: pebble", "event", fmt.Sprintf(format, args...))
	}
}

func (s *storeLog) Errorf(format string, args ...any) {
	s.logger.Error("ledger: pebble", "event", fmt.Sprintf(format, args...))
}

func (s *storeLog) Fatalf(format string, args ...any) {
	s.die(fmt.Errorf("ledger: pebble: "+format, args...))
}

// events reports damage without stopping: unlike a failed sync it loses nothing by
// going on, and only the coins in the damaged block are out of reach. The default
// listener would call Fatalf. What it logs names the file and not the keys, which
// are fingerprints.
func (s *storeLog) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if s.backgroundLog.allow(time.Now()) {
				s.logger.Error("ledger: background work failed and is tried again", "error", err)
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			s.corruptions.Add(1)
			s.logger.Error("ledger: damaged file; restore it from a backup", "file", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.logger.Warn("ledger: writes wait for flushes or compactions", "reason", info.Reason)
		},
		DiskSlow: func(info vfs.DiskSlowInfo) {
			s.logger.Warn("ledger: the disk is slow", "event", info.String())
		},
	}
}
