// Package ledger keeps accounts and coins: every coin is issued once, consumed once
// and credited once, whoever races and whatever crashes.
//
// A nil error from any method means that what it reports is on disk: a redeem that
// was answered survives power loss, and so does every fact another answer told of.
// At any moment
//
//	credit granted = sum of balances + live coins + returned coins + coins of withdrawals under way
//
// and [Ledger.Audit] checks it, with everything else that must agree, by a scan while
// the ledger works. The store is one Pebble a disk; schema.go documents its keys, package
// internal/life the life of a coin, ARCHITECTURE.md the reasons. Start with [Open] and
// [Ledger.Redeem].
package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"

	"ecoin/core"
	"ecoin/ledger/internal/gate"
	"ecoin/ledger/internal/keylock"
)

// Redemption is one coin to redeem or return: its fingerprint, and the digest of the
// header record that carried it, by which a retry is told from a double spend.
type Redemption struct {
	Fingerprint core.Fingerprint
	Digest      core.Digest
}

// Refund is the outcome of refunding one coin. At and Redeemer are set only with
// core.StatusRedeemed; they are the evidence, kept for the spent window.
type Refund struct {
	Status   core.Status
	At       time.Time // when the coin was redeemed or refunded, millisecond precision
	Redeemer AccountID // by whom
}

// Ledger is an open ledger. All methods are safe for concurrent use.
//
// Lock order: an account's or pin's lock, then pauseMu, then windows.mu; of a kind only
// the shards' books are held together, in order of the shards. Only the first three are
// held while a disk is waited for.
type Ledger struct {
	o      Options
	stores []*store
	db     *pebble.DB // of the first store: accounts and withdrawals
	log    *storeLog

	shards   []*shard
	loops    sync.WaitGroup // committers, answerers and loaders
	flushers sync.WaitGroup
	logs     sync.WaitGroup // writers and answerers of the logs
	pauseMu  sync.Mutex     // one pause at a time
	budget   budget         // of the indexes

	checkpointMu sync.Mutex // one checkpoint at a time; taken before any other lock

	spent     *windows // of spent coins
	ended     *windows // of withdrawals that ended
	accounts  keylock.Locks[AccountID]
	trust     keylock.Locks[struct{}]         // of whoever changes accounts
	known     [1024]atomic.Pointer[AccountID] // accounts that were looked for lately, see checkAccount
	saltsMu   sync.Mutex                      // guards salts
	salts     map[core.Salt]struct{}
	queued    atomic.Int64 // coins reserved, see reserve
	unsynced  atomic.Int64 // batches applied to a Pebble and not yet known to be durable
	calls     sync.Pool    // of *call
	gate      *gate.Gate
	events    events
	readLog   onceASecond
	closeOnce sync.Once
}

// Open opens the ledger in dir, or creates one in an empty or missing folder (mode
// 0700). Before it returns it completes every withdrawal that was interrupted after
// its debit. One whose coins cannot be read because of damage stays under way; a
// repeat of it tries again.
//
// Only one process can have a ledger open. A ledger written by a newer version, or
// created with another number of shards, is refused.
func Open(dir string, o Options) (*Ledger, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	l, _, err := openLedger(dir, o)
	if err != nil {
		return nil, err
	}
	if err := l.completePending(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// openLedger opens the ledger as it is. o has its defaults.
func openLedger(dir string, o Options) (*Ledger, meta, error) {
	l := &Ledger{
		o: o, log: &storeLog{logger: o.Logger, fatal: o.Fatal},
		salts:  make(map[core.Salt]struct{}),
		gate:   gate.New(ErrClosed),
		budget: budget{limit: o.IndexBytes},
	}
	m, ends, err := l.openStores(dir)
	if err == nil {
		err = l.start(m, ends)
	}
	if err != nil {
		return nil, meta{}, errors.Join(err, l.closeStores())
	}
	for _, s := range l.stores {
		s.guard.start(l.now())
	}
	return l, m, nil
}

// openStores opens every disk.
func (l *Ledger) openStores(dir string) (m meta, ends []logEnd, err error) {
	cache := pebble.NewCache(l.o.CacheBytes)
	defer cache.Unref()
	dirs := append([]string{dir}, l.o.Disks...)
	for _, d := range dirs {
		if err := checkFolder(l.o.FS, l.stores, d, len(dirs)); err != nil {
			return meta{}, nil, err
		}
		s, end, err := openStore(d, l.o, cache, l.log)
		if err != nil {
			return meta{}, nil, err
		}
		l.stores = append(l.stores, s)
		ends = append(ends, end)
	}
	if m, err = describe(l.stores, l.o); err != nil {
		return meta{}, nil, fmt.Errorf("ledger: open %s: %w", dir, err)
	}
	for _, s := range l.stores {
		if s.meta == (meta{}) {
			if err := s.reopen(l.o, cache); err != nil {
				return meta{}, nil, err
			}
		}
	}
	l.db = l.stores[0].db
	return m, ends, l.removeCheckpoints() // of a process that was killed
}

func (l *Ledger) closeStores() (err error) {
	for _, s := range l.stores {
		err = errors.Join(err, s.close())
	}
	return err
}

// start reads what is kept in memory and starts the shards.
func (l *Ledger) start(m meta, ends []logEnd) (err error) {
	var dbs []*pebble.DB
	for _, s := range l.stores {
		dbs = append(dbs, s.db)
	}
	if l.spent, err = openWindows(dbs, kindSpent, l.o.SpentWindow, l.log); err != nil {
		return err
	}
	if l.ended, err = openWindows(dbs[:1], kindEnded, l.o.WithdrawalWindow, l.log); err != nil {
		return err
	}
	if l.o.IndexBytes > 0 {
		if err := l.startLogs(ends); err != nil {
			return err
		}
	}
	for i := range m.shards {
		s, err := newShard(l, i, l.stores[i%len(l.stores)])
		if err != nil {
			return errors.Join(err, l.stopLogs())
		}
		l.shards = append(l.shards, s)
	}
	if l.o.IndexBytes > 0 {
		for i, snap := range l.snapshots() {
			var mine []*shard
			for _, s := range l.shards {
				if s.disk == l.stores[i] {
					s.loading = true
					mine = append(mine, s)
				}
			}
			l.loops.Go(func() { l.loadIndexes(mine, snap) })
		}
	}
	for _, s := range l.shards {
		l.loops.Go(s.commitLoop)
		if s.flights != nil {
			l.loops.Go(s.answerLoop)
		}
	}
	return nil
}

// startLogs gives each disk a commit log and a flusher.
func (l *Ledger) startLogs(ends []logEnd) (err error) {
	for i, s := range l.stores {
		full := func(shards []byte) {
			for _, i := range shards {
				l.shards[i].flushNow.Store(true)
				l.shards[i].control(l.shards[i].maybeFreeze)
			}
		}
		s.windows = l.spent
		s.redo, err = openCommitLog(s.fs, s.redoDir(), l.o.logSegment, ends[i], l.log, full, &l.logs)
		if err != nil {
			return errors.Join(err, l.stopLogs())
		}
		s.flushes = make(chan flushJob, maxShards)
		l.flushers.Go(s.flushLoop)
	}
	return nil
}

// stopLogs ends flushers and logs, once nothing is given to them any more.
func (l *Ledger) stopLogs() (err error) {
	for _, s := range l.stores {
		if s.redo == nil {
			continue
		}
		s.redo.stop()
		close(s.flushes)
	}
	l.logs.Wait()
	l.flushers.Wait()
	for _, s := range l.stores {
		if s.redo != nil {
			err = errors.Join(err, s.redo.close())
		}
	}
	return err
}

// completePending completes withdrawals that were interrupted, several at once
// because each waits for two syncs.
func (l *Ledger) completePending() error {
	it, err := l.db.NewIter(kindRange(kindPending))
	if err != nil {
		return fmt.Errorf("ledger: look for interrupted withdrawals: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(64)
	done := 0
	for ok := it.First(); ok; ok = it.Next() {
		p, err := decodePending(it.Key(), it.Value())
		if err != nil {
			l.o.Logger.Error("ledger: an interrupted withdrawal stays under way", "error", err)
			continue
		}
		done++
		g.Go(func() error {
			err := l.complete(&p, true)
			if errors.Is(err, errRead) || errors.Is(err, errSaltUsed) {
				l.o.Logger.Error("ledger: an interrupted withdrawal was not completed", "account", p.account, "error", err)
				return nil
			}
			return err
		})
	}
	err = errors.Join(g.Wait(), it.Close())
	if err != nil {
		return fmt.Errorf("ledger: complete interrupted withdrawals: %w", err)
	}
	if done > 0 {
		l.o.Logger.Info("ledger: completed interrupted withdrawals", "withdrawals", done)
	}
	return nil
}

// Close lets every accepted call finish, refuses later ones with ErrClosed, and
// closes the store. It waits in this order: calls under way (audits are broken off),
// committers, flushers, logs, Pebble. A second Close returns ErrClosed.
func (l *Ledger) Close() error {
	err := ErrClosed
	l.closeOnce.Do(func() {
		l.gate.Close()
		for _, s := range l.shards {
			s.stop()
		}
		l.loops.Wait()
		err = l.stopLogs()
		defer l.log.dieOnPanic("close")
		for _, s := range l.stores {
			if s.redo != nil {
				err = errors.Join(err, s.redo.remove())
			}
		}
		err = errors.Join(err, l.closeStores())
	})
	return err
}

// enter registers a call, unless the ledger is closed or ctx has ended. The caller
// calls leave when it is through.
func (l *Ledger) enter(ctx context.Context) (leave func(), err error) { return l.gate.EnterWith(ctx) }

// apply commits a batch of account work and returns once it is durable.
func (l *Ledger) apply(b *pebble.Batch) {
	l.unsynced.Add(1)
	l.log.must("commit", func() error { return errors.Join(l.db.Apply(b, pebble.Sync), b.Close()) })
	l.unsynced.Add(-1)
}

// settle returns once everything that reads made before it could see is durable.
// A batch can be seen before its sync; whoever reports what he read must not report
// what a power loss could undo.
func (l *Ledger) settle() {
	if l.unsynced.Load() > 0 { // a batch is counted before it can be seen
		for _, s := range l.stores {
			l.log.must("sync", func() error { return s.db.LogData(nil, pebble.Sync) })
		}
	}
	for _, s := range l.stores {
		if s.redo != nil {
			s.redo.settle()
		}
	}
}

func (l *Ledger) now() time.Time { return l.o.Now() }
