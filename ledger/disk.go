package ledger

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskGuard keeps a nearly full disk from hurting redeems: they need little space and
// give some back; withdrawals only take, so they stop first. And when the disk is full
// all the same, it gives the ballast up.
type diskGuard struct {
	fs     vfs.FS
	dir    string
	min    uint64 // bytes that must be available, the ballast not counted
	logger *slog.Logger

	mu       sync.Mutex // guards the rest, and makes one caller ask the system
	ballast  ballast
	released bool      // the disk was full, and the ballast has not been laid again
	asked    time.Time // zero before the first time
	tooFull  bool
	fullLog  onceASecond
}

func newDiskGuard(dir string, o Options) *diskGuard {
	return &diskGuard{fs: o.FS, dir: dir, min: o.MinFreeBytes, logger: o.Logger, ballast: newBallast(o.FS, dir, o.BallastBytes)}
}

// wrap returns the file system that everything of the ledger must use but the guard
// itself: the one that, when a write finds the disk full, gives up the ballast and
// tries that write once more. A sync is never tried again.
func (d *diskGuard) wrap() vfs.FS { return vfs.OnDiskFull(d.fs, d.full) }

// full gives the ballast up. All other writes wait for it.
func (d *diskGuard) full() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ballast.held == 0 {
		if d.fullLog.allow(time.Now()) {
			d.logger.Error("ledger: disk is full, and there is no ballast to give up", "dir", d.dir)
		}
		return
	}
	bytes := d.ballast.held
	err := d.ballast.release()
	if d.ballast.held > 0 {
		d.logger.Error("ledger: disk is full, and the ballast cannot be deleted", "dir", d.dir, "error", err)
		return
	}
	d.released, d.tooFull = true, true // whatever the error: the file is gone
	if err != nil {
		d.logger.Error("ledger: the ballast is deleted, and its space comes back later", "dir", d.dir, "error", err)
	}
	d.logger.Error("ledger: disk is full: the ballast is given up so that redeems go on, withdrawals are refused; free space now",
		"dir", d.dir, "ballast_bytes", bytes)
}

// low reports whether withdrawals must be refused. It asks the file system at most
// once a second, and lays the ballast again, which takes a moment, when there is room
// for it. A file system that cannot tell is never full.
func (d *diskGuard) low(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if since := now.Sub(d.asked); !d.asked.IsZero() && since >= 0 && since < time.Second {
		return d.tooFull
	}
	d.asked = now
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		if !errors.Is(err, vfs.ErrUnsupported) {
			d.logger.Error("ledger: cannot ask for free disk space", "dir", d.dir, "error", err)
		}
		return d.tooFull
	}
	d.layLocked(usage.AvailBytes)
	was := d.tooFull
	d.tooFull = usage.AvailBytes < d.min || d.released
	if d.tooFull != was {
		if d.tooFull {
			d.logger.Error("ledger: disk is nearly full, withdrawals are refused until space is freed",
				"dir", d.dir, "available_bytes", usage.AvailBytes, "needed_bytes", d.min)
		} else {
			d.logger.Info("ledger: disk has space again, withdrawals go on", "dir", d.dir, "available_bytes", usage.AvailBytes)
		}
	}
	return d.tooFull
}

// layLocked lays the ballast if it is missing and there is room for it beside the
// space that must stay available. One that was given up counts as given up until then:
// otherwise the space that it left would be taken for free, and issued away. One that is
// there counts as laid, though an error came with it: nothing would lay it again.
func (d *diskGuard) layLocked(available uint64) {
	if d.ballast.held == 0 && d.ballast.size > 0 {
		if available < d.min+uint64(d.ballast.size) {
			return
		}
		if err := d.ballast.fill(); err != nil {
			d.logger.Error("ledger: the ballast cannot be laid, or not durably", "dir", d.dir, "error", err)
		} else {
			d.logger.Info("ledger: ballast laid, to be given up when the disk is full", "dir", d.dir, "ballast_bytes", d.ballast.size)
		}
		if d.ballast.held == 0 {
			return
		}
	}
	d.released = false
}

// start makes the ballast what the options ask for, once the ledger is open.
func (d *diskGuard) start(now time.Time) {
	d.mu.Lock()
	if err := d.ballast.tidy(); err != nil {
		d.logger.Error("ledger: the ballast cannot be deleted", "dir", d.dir, "error", err)
	}
	d.mu.Unlock()
	d.low(now)
}

// ballastBytes returns how much space the ballast holds now.
func (d *diskGuard) ballastBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ballast.held
}

// freeBytes asks the file system what is available now; 0 when it does not tell.
func (d *diskGuard) freeBytes() uint64 {
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		return 0
	}
	return usage.AvailBytes
}

// lowDisk reports whether a disk of the ledger is nearly full.
func (l *Ledger) lowDisk() bool {
	now, low := l.now(), false
	for _, s := range l.stores {
		low = s.guard.low(now) || low
	}
	return low
}
