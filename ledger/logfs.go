package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logFS stops the process at the first failure of a log: one that cannot be created,
// for want of space or of file descriptors, written, synced or closed. Pebble would
// stop it too, but not always in good order: when it begins a new log its panic meets
// a deferred Unlock of a mutex that it has unlocked, and no recover sees that. Then
// Options.Fatal would not be called, and the operator would find a stack trace instead
// of the reason.
type logFS struct {
	vfs.FS
	dir  string // of the logs; a checkpoint's are not the ledger's
	log  *storeLog
	live atomic.Bool // set once the ledger is open; until then Open returns the error
}

func (f *logFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return f.watch(name, file, err)
}

func (f *logFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.watch(newname, file, err)
}

// watch returns file, or one that watches over it if it is a log.
func (f *logFS) watch(name string, file vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") || f.PathDir(name) != f.dir {
		return file, err
	}
	if err := f.check("create", err); err != nil {
		return nil, err
	}
	return &logFile{file, f}, nil
}

// OpenDir watches the folder, too: a log is there only once the folder was synced. A
// sync of it that fails stops the process also while the ledger is opened, because
// Pebble may meet it in a goroutine of its own, and panics there.
func (f *logFS) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil || name != f.dir {
		return dir, err
	}
	return &logDir{logFile{dir, f}}, nil
}

func (f *logFS) check(what string, err error) error {
	if err != nil && f.live.Load() {
		f.log.die(fmt.Errorf("ledger: %s a log: %w", what, err))
	}
	return err
}

// Unwrap returns the file system beneath.
func (f *logFS) Unwrap() vfs.FS { return f.FS }

// logDir is the folder of the logs.
type logDir struct{ logFile }

func (d *logDir) Sync() error {
	err := d.File.Sync()
	if err != nil {
		d.fs.log.die(fmt.Errorf("ledger: sync the folder of the logs: %w", err))
	}
	return nil
}

// logFile is a log that is written, or the folder of the logs.
type logFile struct {
	vfs.File
	fs *logFS
}

func (f *logFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.check("write", err)
}

func (f *logFile) Sync() error     { return f.fs.check("sync", f.File.Sync()) }
func (f *logFile) SyncData() error { return f.fs.check("sync", f.File.SyncData()) }

func (f *logFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.fs.check("sync", err)
}

func (f *logFile) Stat() (vfs.FileInfo, error) { // of a log that is used again
	info, err := f.File.Stat()
	return info, f.fs.check("read", err)
}

func (f *logFile) Close() error {
	err := f.File.Close()
	if errors.Is(err, fs.ErrClosed) {
		return err
	}
	return f.fs.check("close", err)
}
