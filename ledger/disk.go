package ledger

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// diskGuard knows whether the disk is nearly full. Redeems need little space and
// give some back; withdrawals only take, so they stop first.
type diskGuard struct {
	fs     vfs.FS
	dir    string
	min    uint64 // bytes that must be available
	logger *slog.Logger

	mu      sync.Mutex // guards the rest, and makes one caller ask the system
	asked   time.Time  // zero before the first time
	tooFull bool
}

// low asks the file system at most once a second. A file system that cannot tell is
// never full.
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
	was := d.tooFull
	d.tooFull = usage.AvailBytes < d.min
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

// lowDisk reports whether a disk of the ledger is nearly full.
func (l *Ledger) lowDisk() bool {
	now, low := l.now(), false
	for _, s := range l.stores {
		low = s.guard.low(now) || low
	}
	return low
}
