package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkpointName is the folder in a store in which its checkpoint begins. There tables
// can be linked, whatever disk the checkpoint is for.
const checkpointName = "checkpoint"

// Checkpoint writes a copy of the ledger as it is now into dir, which must not exist;
// the ledger works on meanwhile. Everything that was answered before is in it, and
// Open opens it. The copies of further disks are in dir/disk1 and so on. On the same
// file system it takes milliseconds and shares its files with the ledger (hard links),
// so it must be copied elsewhere to be a backup, and it keeps occupying space until it
// is removed. What is on another file system than dir is copied, and Close breaks that
// off with ErrClosed. A dir in one of the ledger's folders is ErrOwnFolder.
func (l *Ledger) Checkpoint(dir string) error {
	if err := l.gate.Enter(); err != nil {
		return err
	}
	defer l.gate.Leave()
	defer l.log.dieOnPanic("checkpoint")
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	dir = filepath.Clean(dir) // as place has it: the system would follow a link before ".."
	err := l.outside(dir)
	if err == nil {
		err = l.checkpoint(dir)
	}
	if err != nil {
		return fmt.Errorf("ledger: checkpoint into %s: %w", dir, err)
	}
	return nil
}

// outside refuses a dir in the folder of a store, which holds what the ledger knows and
// nothing else: it removes what is left of checkpoints there, and a start removes the
// tables that Pebble did not take.
func (l *Ledger) outside(dir string) error {
	at, err := place(l.o.FS, dir)
	if err != nil {
		return err
	}
	for _, s := range l.stores {
		own, err := place(l.o.FS, s.dir)
		if err != nil {
			return err
		}
		// Rel of two absolute paths fails where they have no common root.
		if rel, err := filepath.Rel(own, at); err == nil && filepath.IsLocal(rel) {
			return ErrOwnFolder
		}
	}
	return nil
}

// place returns the absolute path of dir, which need not exist, without the symbolic
// links that are on it now. A file system in memory has none.
func place(fs vfs.FS, dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil || vfs.Root(fs) != vfs.Default {
		return abs, err
	}
	for d := abs; ; d = filepath.Dir(d) {
		if real, err := filepath.EvalSymlinks(d); err == nil {
			return filepath.Join(real, strings.TrimPrefix(abs, d)), nil
		}
		if d == filepath.Dir(d) {
			return abs, nil
		}
	}
}

func (l *Ledger) checkpoint(dir string) (err error) {
	fs := l.o.FS // a full disk that dir is on must not cost the ledger its ballast
	if _, err := fs.Stat(dir); err == nil {
		return os.ErrExist
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, fs.RemoveAll(dir))
		}
		err = errors.Join(err, l.removeCheckpoints())
	}()
	err = l.pause(func() error {
		for _, s := range l.stores {
			if err := s.db.Checkpoint(s.checkpointDir(), pebble.WithFlushedWAL()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = makeDir(fs, fs.PathDir(dir))
	}
	for i, s := range l.stores {
		if err == nil {
			err = l.moveOut(s.checkpointDir(), partDir(fs, dir, i))
		}
	}
	return err
}

func (s *store) checkpointDir() string { return s.fs.PathJoin(s.dir, checkpointName) }

// removeCheckpoints removes what is left of checkpoints in the stores.
func (l *Ledger) removeCheckpoints() (err error) {
	for _, s := range l.stores {
		err = errors.Join(err, l.o.FS.RemoveAll(s.checkpointDir()))
	}
	if err != nil {
		return fmt.Errorf("ledger: remove a checkpoint that was broken off: %w", err)
	}
	return nil
}

// moveOut gives a folder without folders another name, durably, on whatever disk.
func (l *Ledger) moveOut(from, to string) error {
	fs := l.o.FS
	err := fs.Rename(from, to)
	if errors.Is(err, syscall.EXDEV) {
		err = l.copyOut(from, to)
	}
	if err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(to))
}

func (l *Ledger) copyOut(from, to string) error {
	fs := l.o.FS
	names, err := fs.List(from)
	if err == nil {
		err = fs.MkdirAll(to, 0o700)
	}
	for _, name := range names {
		if l.gate.IsClosing() {
			err = errors.Join(err, ErrClosed)
		}
		if err == nil {
			err = vfs.Copy(fs, fs.PathJoin(from, name), fs.PathJoin(to, name))
		}
	}
	if err != nil {
		return err
	}
	return syncDir(fs, to)
}
