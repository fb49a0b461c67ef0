package ledger

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"ecoin/ledger/internal/outcomes"
)

// Stats are the ledger's live counters. Coins count since the ledger was created,
// events since Open, and the rest says how things are now.
type Stats struct {
	Live     int64 // coins that can be redeemed
	Issued   int64 // coins
	Redeemed int64 // coins
	Returned int64 // coins, refunded since or not
	Refunded int64 // coins

	Retries      int64 // redeems answered "redeemed before"
	DoubleSpends int64 // redeems answered "already redeemed"
	NotLive      int64 // redeems, returns and refunds answered "not live"
	Temporary    int64 // coins answered "temporary failure", because a read failed
	Corruptions  int64 // damaged blocks met
	Overloads    int64 // calls refused because the queue was full
	LowDisk      int64 // withdrawals refused because the disk is nearly full
	Batches      int64 // batches decided by all shards
	Coins        int64 // coins in these batches

	Queued         int64  // coins waiting or being committed
	Indexed        int64  // live coins that are in the index
	IndexBytes     int64  // memory of the index
	Unflushed      int64  // changed coins that are in the log and not yet in the store
	BallastBytes   int64  // held by the files that are given up when a disk is full
	DiskBytes      uint64 // what the store occupies, its log included
	LogBytes       uint64 // what its write-ahead log occupies
	FreeBytes      uint64 // available on the disk that has least; 0 when the system does not tell
	ReadAmp        int    // sorted runs that a lookup may have to visit
	CompactionDebt uint64 // bytes that compaction still has to rewrite, estimated

	Disks  []DiskStats  // in the order of the options, the ledger's own folder first; nil after Close
	Shards []ShardStats // by index
}

// DiskStats says how things are on one disk of the ledger.
type DiskStats struct {
	Dir       string // the ledger's folder on it, as Open was told
	FreeBytes uint64 // available; 0 when the system does not tell
}

// ShardStats are the counters of one shard.
type ShardStats struct {
	Live     int64 // coins that can be redeemed
	Issued   int64 // coins, since the ledger was created
	Redeemed int64 // coins, since the ledger was created
	Waiting  int64 // coins that wait for the shard's next batch
	Damaged  int64 // coins answered "temporary failure" since Open, because their data is damaged
	Indexed  bool  // whether its live coins are in the index
}

// events counts what happened since Open.
type events struct {
	outcomes           outcomes.Counts
	overloads, lowDisk atomic.Int64
}

// Stats returns the counters. It is cheap enough to call every second. The counters
// of different shards are not of the same moment; Audit's are. After Close the
// figures about the store are zero.
func (l *Ledger) Stats() Stats {
	s := Stats{
		Retries:      l.events.outcomes.Retries.Load(),
		DoubleSpends: l.events.outcomes.DoubleSpends.Load(),
		NotLive:      l.events.outcomes.NotLive.Load(),
		Temporary:    l.events.outcomes.Temporary.Load(),
		Corruptions:  l.log.corruptions.Load(),
		Overloads:    l.events.overloads.Load(),
		LowDisk:      l.events.lowDisk.Load(),
		Queued:       l.queued.Load(),
		Shards:       make([]ShardStats, len(l.shards)),
		IndexBytes:   l.budget.used.Load(),
	}
	for i, sh := range l.shards {
		sh.books.mu.Lock()
		c := sh.books.counters
		sh.books.mu.Unlock()
		s.Live += c.live()
		s.Issued += c.issued
		s.Redeemed += c.redeemed
		s.Returned += c.returned
		s.Refunded += c.refundedLive + c.refundedReturned
		if n := sh.indexed.Load(); n >= 0 {
			s.Indexed += n
		}
		s.Unflushed += sh.pending.Load()
		s.Batches += sh.commits.Load()
		s.Coins += sh.coins.Load()
		s.Shards[i] = ShardStats{
			Live: c.live(), Issued: c.issued, Redeemed: c.redeemed,
			Waiting: sh.countWaiting(), Damaged: sh.damagedCoins.Load(), Indexed: sh.indexed.Load() >= 0,
		}
	}
	for _, st := range l.stores {
		s.BallastBytes += st.guard.ballastBytes()
	}
	if l.gate.Enter() != nil {
		return s
	}
	defer l.gate.Leave()
	for i, st := range l.stores {
		free := st.guard.freeBytes()
		if i == 0 || free < s.FreeBytes {
			s.FreeBytes = free
		}
		s.Disks = append(s.Disks, DiskStats{Dir: st.dir, FreeBytes: free})
		m := st.db.Metrics()
		s.DiskBytes += m.DiskSpaceUsage()
		s.LogBytes += m.WAL.Size
		if st.redo != nil {
			s.DiskBytes += uint64(st.redo.bytes.Load())
			s.LogBytes += uint64(st.redo.bytes.Load())
		}
		s.ReadAmp = max(s.ReadAmp, m.ReadAmp())
		s.CompactionDebt += m.Compact.EstimatedDebt
	}
	return s
}

// countWaiting returns how many coins the committer has not taken yet.
func (s *shard) countWaiting() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.waiting {
		n += int64(len(p.order))
	}
	return n
}

// isDamage reports whether err says that what is on disk is not what was written.
func isDamage(err error) bool {
	return pebble.IsCorruptionError(err) || errors.Is(err, errDamaged) || errors.Is(err, errRecord)
}

// readFailed counts coins that cannot be read, and reports it at most once a second.
func (s *shard) readFailed(err error, coins int) {
	if isDamage(err) {
		s.damagedCoins.Add(int64(coins))
	}
	if s.l.readLog.allow(time.Now()) {
		s.l.o.Logger.Error("ledger: read failed; the coins concerned are answered with a temporary failure", "shard", s.index, "error", err)
	}
}

// onceASecond limits log lines. The zero value works.
type onceASecond struct {
	mu   sync.Mutex
	last time.Time
}

func (o *onceASecond) allow(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.last.IsZero() && now.Sub(o.last) < time.Second {
		return false
	}
	o.last = now
	return true
}
