package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// openStore locks dir, which must exist, opens or creates its Pebble, and checks or
// writes the store's description. shards = 0 takes the number the store was created with.
func openStore(dir string, o Options, log *storeLog) (*pebble.DB, *pebble.Lock, meta, error) {
	lock, err := lockDir(dir, o.FS)
	if err != nil {
		return nil, nil, meta{}, err
	}
	defer log.dieOnPanic("open") // Pebble's answer to a sync that failed
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	for {
		db, err := pebble.Open(dir, pebbleOptions(o, cache, lock, log))
		if err != nil {
			return nil, nil, meta{}, errors.Join(fmt.Errorf("ledger: open %s: %w", dir, err), lock.Close())
		}
		m, created, err := describe(db, o.Shards, mintCheck(o))
		if err != nil {
			return nil, nil, meta{}, errors.Join(fmt.Errorf("ledger: open %s: %w", dir, err), db.Close(), lock.Close())
		}
		if !created {
			return db, lock, m, nil
		}
		// A store's first log is begun before the store has its format. Damage in such
		// a log is taken for its end, so it must not hold anything: open once more.
		if err := db.Close(); err != nil {
			return nil, nil, meta{}, errors.Join(fmt.Errorf("ledger: open %s: %w", dir, err), lock.Close())
		}
	}
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

// describe reads the store's description, or writes one if the store is empty.
func describe(db *pebble.DB, shards int, mint core.Fingerprint) (m meta, created bool, err error) {
	m, found, err := get(db, metaKey(), decodeMeta)
	switch {
	case err != nil:
	case !found:
		m, err = create(db, shards, mint)
		created = true
	case m.format > formatVersion:
		err = fmt.Errorf("the ledger has format %d, written by a newer program; this one reads up to %d: use the newer program", m.format, formatVersion)
	case shards != 0 && shards != m.shards:
		err = fmt.Errorf("the ledger was created with %d shards, not %d; the number is fixed at creation", m.shards, shards)
	case m.mint != mint && mint != (core.Fingerprint{}):
		err = errors.New("the ledger was created with other keys: restore the issue key and the fingerprint key that belong to it; with these, none of its coins can be found")
	}
	return m, created, err
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

func create(db *pebble.DB, shards int, mint core.Fingerprint) (meta, error) {
	it, err := db.NewIter(nil)
	if err != nil {
		return meta{}, err
	}
	found := it.First()
	if err := it.Close(); err != nil {
		return meta{}, err
	}
	if found {
		return meta{}, errors.New("the folder holds a Pebble store that is not a ledger; choose another folder")
	}
	if shards == 0 {
		shards = defaultShards
	}
	m := meta{format: formatVersion, shards: shards, mint: mint}
	return m, db.Set(metaKey(), m.append(nil), pebble.Sync)
}

// pebbleOptions are chosen for a store of small random keys that are looked up,
// inserted and deleted one by one and hardly ever scanned.
func pebbleOptions(o Options, cache *pebble.Cache, lock *pebble.Lock, log *storeLog) *pebble.Options {
	po := &pebble.Options{
		FS:    o.FS,
		Lock:  lock,
		Cache: cache,

		// Columnar blocks store the trailers and empty values of live coins as
		// constants, 0 bytes each: 17.9 bytes per coin instead of 27.5. The newest
		// format also tells damage in the middle of a log from its torn end.
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
	if vfs.Root(o.FS) == vfs.Default {
		po.WithFSDefaults() // reports a disk that does not answer for seconds
	}
	po.Experimental.EnableColumnarBlocks = func() bool { return true }
	// Compactions triggered by reads are for scans; point lookups gain nothing.
	po.Experimental.ReadSamplingMultiplier = -1
	// Keys are pseudorandom: compression costs time and saves nothing.
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range po.Levels {
		// A lookup wants one key of one block: small blocks, a two-level index
		// only for very large files. Filters on every level, the last one too:
		// each issued coin is looked up before it exists.
		po.Levels[i].BlockSize = 4 << 10
		po.Levels[i].IndexBlockSize = 256 << 10
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
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
