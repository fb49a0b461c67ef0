package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballast is a file that does nothing but take up space. When the disk is full it is
// deleted, and what it took lets redeems, flushes and compactions go on while somebody
// makes room. Its user guards it.
//
// It is written with bytes that no file system can compress into holes, because
// preallocated space is not real on all of them. Pebble ignores files whose names it
// does not know, so the file is in no checkpoint.
type ballast struct {
	fs   vfs.FS // not the one that deletes the ballast: creating it may fill the disk
	dir  string
	size int64 // bytes that it is to have; 0 means none
	held int64 // bytes that it has
}

// The file's name in the ledger's folder, and its name until it is whole.
const (
	ballastName    = "ballast"
	ballastNewName = "ballast.new"
)

// The default size is 1 % of the disk, at most maxBallast. That is what a store whose
// flushes failed for want of space needs to catch up: its four memtables have 128 MiB
// of log, a flush writes 32 MiB, and a compaction of the base level some 64 MiB, before
// any of them can delete what it read.
const maxBallast = 256 << 20

// newBallast finds the ballast that an earlier process left in dir, if any. asked is
// Options.BallastBytes. A file system that cannot tell its free space gets none.
func newBallast(fs vfs.FS, dir string, asked int64) ballast {
	b := ballast{fs: fs, dir: dir}
	if info, err := fs.Stat(b.path(ballastName)); err == nil {
		b.held = info.Size()
	}
	usage, err := fs.GetDiskUsage(dir)
	switch {
	case asked < 0 || err != nil:
	case asked > 0:
		b.size = asked
	case b.held > 0:
		b.size = b.held // so that tools leave it as the bank wants it
	default:
		b.size = int64(min(usage.TotalBytes/100, maxBallast))
	}
	return b
}

func (b *ballast) path(name string) string { return b.fs.PathJoin(b.dir, name) }

// fill creates the file. After an error nothing of it is there, or, if held says so, all
// of it: only its name was not synced. A power loss then may leave the other name, which
// the next start tidies.
func (b *ballast) fill() error {
	err := b.write()
	if err == nil {
		err = b.fs.Rename(b.path(ballastNewName), b.path(ballastName))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("ledger: create %s: %w", b.path(ballastName), err), b.release())
	}
	b.held = b.size
	return b.syncDir()
}

func (b *ballast) write() (err error) {
	f, err := b.fs.Create(b.path(ballastNewName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var seed [32]byte // the bytes need not be secret, only incompressible
	random := rand.NewChaCha8(seed)
	block := make([]byte, 1<<20)
	for left := b.size; left > 0; left -= int64(len(block)) {
		block = block[:min(left, int64(len(block)))]
		_, _ = random.Read(block) // never fails
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	return f.Sync()
}

// tidy deletes what an interrupted fill left, and a file of another size.
func (b *ballast) tidy() error {
	if b.held != b.size {
		return b.release()
	}
	return b.remove(ballastNewName)
}

// release deletes the file and returns once the space is back: some file systems wait
// for the deletion to be on disk. After an error the file is there if held says so.
func (b *ballast) release() error {
	if err := b.remove(ballastName); err != nil {
		return err
	}
	b.held = 0
	return errors.Join(b.remove(ballastNewName), b.syncDir())
}

func (b *ballast) remove(name string) error {
	if err := b.fs.Remove(b.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (b *ballast) syncDir() error {
	d, err := b.fs.OpenDir(b.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
