package ledger

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

// fullDisk is a disk in memory. While full is set, whatever writes to a log finds no
// space unless the ballast is gone.
type fullDisk struct {
	vfs.FS
	mem  *vfs.MemFS
	full atomic.Bool
}

func newFullDisk() *fullDisk {
	d := &fullDisk{mem: vfs.NewMem()}
	d.FS = errorfs.Wrap(d.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") && d.full.Load() && d.size(ballastName) >= 0 {
			return syscall.ENOSPC
		}
		return nil
	}))
	return d
}

// size returns the size of a file in the ledger's folder, -1 without one.
func (d *fullDisk) size(name string) int64 {
	info, err := d.mem.Stat(d.mem.PathJoin("ledger", name))
	if err != nil {
		return -1
	}
	return info.Size()
}

func (d *fullDisk) free(bytes uint64) {
	d.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: bytes, TotalBytes: 1 << 20})
}

// TestBallast fills the disk under a ledger: the ballast is given up, redeems go on,
// withdrawals are refused until there is space for the ballast again, not only for
// withdrawals.
func TestBallast(t *testing.T) {
	const size = 1 << 20 / 100
	disk := newFullDisk()
	disk.free(1 << 20)
	o := testOptions(disk)
	o.MinFreeBytes, o.BallastBytes = 1000, 0
	now := time.Unix(1_800_000_000, 0)
	o.Now = func() time.Time { return now }
	l := open(t, "ledger", o)
	if got := disk.size(ballastName); got != size || l.Stats().BallastBytes != size {
		t.Fatalf("the ballast has %d bytes, and %d by the counters; want 1 %% of the disk, %d", got, l.Stats().BallastBytes, size)
	}
	acc := addAccount(t, l, 100)
	fps := withdraw(t, l, acc, 10)

	disk.full.Store(true)
	disk.free(500)
	mustRedeem(t, l, acc, fps[:5], core.Digest{1}, core.StatusOK)
	if got := disk.size(ballastName); got != -1 || l.Stats().BallastBytes != 0 {
		t.Errorf("the ballast of %d bytes is still there", got)
	}
	refused := func(when string) {
		t.Helper()
		now = now.Add(time.Second)
		if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, ErrLowDisk) {
			t.Errorf("withdrawal %s: %v", when, err)
		}
	}
	now = now.Add(-time.Second)
	refused("in the same second, with what was known before")
	disk.free(1000 + size - 1)
	refused("with the ballast's space taken for free")
	mustRedeem(t, l, acc, fps[5:], core.Digest{1}, core.StatusOK)

	disk.full.Store(false)
	disk.free(1000 + size)
	now = now.Add(time.Second)
	withdraw(t, l, acc, 1)
	if got := disk.size(ballastName); got != size {
		t.Errorf("with space again, the ballast has %d bytes, want %d", got, size)
	}
	mustAudit(t, l)

	if err := l.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Stat("copy/" + ballastName); err == nil {
		t.Error("the ballast is in the checkpoint")
	}
}

// TestBallastNotSynced: where the file system fails once the ballast was deleted or laid,
// the guard still knows which: the space of one that was given up is not issued away, and
// one that was laid lets withdrawals go on.
func TestBallastNotSynced(t *testing.T) {
	t.Parallel()
	const size, least = 5000, 1000
	openDir := func(op errorfs.Op) bool { return op.Kind == errorfs.OpOpenDir && op.Path == "ledger" }
	removeNew := func(op errorfs.Op) bool {
		return op.Kind == errorfs.OpRemove && op.Path == "ledger/"+ballastNewName
	}
	for _, c := range []struct {
		name      string
		fails     func(op errorfs.Op) bool
		whileLaid bool // with the ballast there
	}{
		{"the folder cannot be synced after the ballast was given up", openDir, false},
		{"an unfinished one cannot be deleted with the ballast", removeNew, false},
		{"the folder cannot be synced after the ballast was laid", openDir, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			disk := newFullDisk()
			disk.free(1 << 20)
			var failing atomic.Bool
			o := testOptions(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if c.fails(op) && c.whileLaid == (disk.size(ballastName) >= 0) && failing.CompareAndSwap(true, false) {
					return syscall.EIO
				}
				return nil
			})))
			o.MinFreeBytes, o.BallastBytes = least, size
			now := time.Unix(1_800_000_000, 0)
			o.Now = func() time.Time { return now }
			l := open(t, "ledger", o)
			acc := addAccount(t, l, 100)
			fps := withdraw(t, l, acc, 10)

			writeFile(t, disk.mem, disk.mem.PathJoin("ledger", ballastNewName), []byte("as a power loss leaves it"))
			disk.full.Store(true)
			failing.Store(true)
			mustRedeem(t, l, acc, fps[:5], core.Digest{1}, core.StatusOK)
			if n := l.Stats().BallastBytes; n != 0 || disk.size(ballastName) >= 0 {
				t.Fatalf("the ballast has %d bytes, and %d by the counters", disk.size(ballastName), n)
			}
			disk.full.Store(false)
			disk.free(least + size - 1) // with what the ballast left
			for range 2 {               // in the same second, and when the disk was asked again
				if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, ErrLowDisk) {
					t.Errorf("withdrawal from the ballast's space: %v", err)
				}
				now = now.Add(time.Second)
			}
			disk.free(least + size)
			withdraw(t, l, acc, 1)
			if n := l.Stats().BallastBytes; n != size || disk.size(ballastName) != size {
				t.Errorf("the ballast has %d bytes, and %d by the counters", disk.size(ballastName), n)
			}
			if failing.Load() {
				t.Error("nothing failed")
			}
			now = now.Add(time.Second)
			withdraw(t, l, acc, 1)
		})
	}
}

// TestBallastAtOpen: what a start makes of what it finds.
func TestBallastAtOpen(t *testing.T) {
	disk := newFullDisk()
	o := testOptions(disk)
	o.MinFreeBytes = 1000
	for _, c := range []struct {
		name  string
		asked int64
		free  uint64
		full  bool
		want  int64
	}{
		{"no room beside the space to be kept", 3000, 3999, false, -1},
		{"just enough room", 3000, 4000, false, 3000},
		{"the default leaves what is there", 0, 4000, false, 3000},
		{"another size", 5_000_000, 1 << 30, false, 5_000_000},
		{"smaller, and full", 3000, 500, false, -1},
		{"room again", 3000, 1 << 20, false, 3000},
		{"no space to open without giving it up", 3000, 500, true, -1},
		{"none", -1, 1 << 20, false, -1},
	} {
		if err := disk.mem.MkdirAll("ledger", 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, disk.mem, disk.mem.PathJoin("ledger", ballastNewName), []byte("as a power loss leaves it"))
		disk.full.Store(c.full)
		disk.free(c.free)
		o.BallastBytes = c.asked
		l, err := Open("ledger", o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		addAccount(t, l, 1)
		if got := disk.size(ballastName); got != c.want {
			t.Errorf("%s: the ballast has %d bytes, want %d", c.name, got, c.want)
		}
		if got := disk.size(ballastNewName); got >= 0 {
			t.Errorf("%s: %d bytes of an unfinished ballast are left", c.name, got)
		}
		closeLedger(t, l)
	}
}
