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
// the ledger works. The store is one Pebble; schema.go documents its keys, coin.go the
// life of a coin, ARCHITECTURE.md the reasons. Start with [Open] and [Ledger.Redeem].
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
// Lock order: an account's or pin's lock, then windows.mu; never two of a kind. No
// lock but these is held during disk I/O.
type Ledger struct {
	o    Options
	db   *pebble.DB
	lock *pebble.Lock
	log  *storeLog
	disk *diskGuard

	shards    []*shard
	loops     sync.WaitGroup // committers and answerers
	spent     *windows       // of spent coins
	ended     *windows       // of withdrawals that ended
	accounts  keyLock[AccountID]
	pins      keyLock[Pin]
	saltsMu   sync.Mutex // guards salts
	salts     map[core.Salt]struct{}
	queued    atomic.Int64 // coins reserved, see reserve
	unsynced  atomic.Int64 // batches applied and not yet known to be durable
	gate      gate
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
	log := &storeLog{logger: o.Logger, fatal: o.Fatal}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, meta{}, fmt.Errorf("ledger: create %s: %w", dir, err)
	}
	disk := newDiskGuard(dir, o)
	fs := &logFS{FS: disk.wrap(), dir: dir, log: log}
	o.FS = fs
	db, lock, m, err := openStore(dir, o, log)
	if err != nil {
		return nil, meta{}, err
	}
	fs.live.Store(true)
	l := &Ledger{
		o: o, db: db, lock: lock, log: log, disk: disk,
		salts: make(map[core.Salt]struct{}),
		gate:  gate{closing: make(chan struct{})},
	}
	if err := l.start(m); err != nil {
		return nil, meta{}, errors.Join(err, db.Close(), lock.Close())
	}
	disk.start(l.now())
	return l, m, nil
}

// start reads what is kept in memory and starts the shards, or none on error.
func (l *Ledger) start(m meta) (err error) {
	if l.spent, err = openWindows(l.db, kindSpent, l.o.SpentWindow, l.log); err != nil {
		return err
	}
	if l.ended, err = openWindows(l.db, kindEnded, l.o.WithdrawalWindow, l.log); err != nil {
		return err
	}
	for i := range m.shards {
		s, err := newShard(l, i)
		if err != nil {
			return err
		}
		l.shards = append(l.shards, s)
	}
	for _, s := range l.shards {
		l.loops.Go(s.commitLoop)
		l.loops.Go(s.answerLoop)
	}
	return nil
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
// committers, answerers, Pebble. A second Close returns ErrClosed.
func (l *Ledger) Close() error {
	err := ErrClosed
	l.closeOnce.Do(func() {
		l.gate.close()
		for _, s := range l.shards {
			s.stop()
		}
		l.loops.Wait()
		defer l.log.dieOnPanic("close")
		err = errors.Join(l.db.Close(), l.lock.Close())
	})
	return err
}

// Checkpoint writes a copy of the ledger as it is now into dir, which must not exist;
// the ledger works on meanwhile. Everything that was answered before is in it, and
// Open opens it. On the same file system it takes milliseconds and shares its files
// with the ledger (hard links), so it must be copied elsewhere to be a backup, and it
// keeps occupying space until it is removed.
func (l *Ledger) Checkpoint(dir string) error {
	if err := l.gate.enter(); err != nil {
		return err
	}
	defer l.gate.leave()
	defer l.log.dieOnPanic("checkpoint")
	if err := l.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("ledger: checkpoint into %s: %w", dir, err)
	}
	return nil
}

// enter registers a call, unless the ledger is closed or ctx has ended. The caller
// calls leave when it is through.
func (l *Ledger) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := l.gate.enter(); err != nil {
		return nil, err
	}
	return l.gate.leave, nil
}

// apply commits a batch of account work and returns once it is durable.
func (l *Ledger) apply(b *pebble.Batch) {
	l.unsynced.Add(1)
	l.log.must("commit", func() error { return errors.Join(l.db.Apply(b, pebble.Sync), b.Close()) })
	l.unsynced.Add(-1)
}

// settle returns once everything that reads made before it could see is durable.
// Pebble shows a batch before its sync; whoever reports what he read must not report
// what a power loss could undo.
func (l *Ledger) settle() {
	if l.unsynced.Load() == 0 {
		return // a batch is counted before it can be seen
	}
	l.log.must("sync", func() error { return l.db.LogData(nil, pebble.Sync) })
}

func (l *Ledger) now() time.Time { return l.o.Now() }

// gate counts calls under way and keeps new ones out once closed.
type gate struct {
	closing chan struct{} // closed by close

	mu     sync.RWMutex // guards closed; a call is counted under it
	closed bool
	calls  sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return ErrClosed
	}
	g.calls.Add(1)
	return nil
}

func (g *gate) leave() { g.calls.Done() }

// close refuses new calls and waits for those under way.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	close(g.closing)
	g.mu.Unlock()
	g.calls.Wait()
}
