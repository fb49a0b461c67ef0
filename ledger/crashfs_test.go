package ledger

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashFS is a vfs.NewCrashableMem that can be cloned at any moment. Some methods of MemFS
// take its lock for reading twice, and if a clone asks for it in between, both wait for
// ever: those exclude clones here before.
type crashFS struct {
	*vfs.MemFS
	twice sync.RWMutex
}

func newCrashFS() *crashFS { return &crashFS{MemFS: vfs.NewCrashableMem()} }

func (fs *crashFS) Link(oldname, newname string) error {
	fs.twice.RLock()
	defer fs.twice.RUnlock()
	return fs.MemFS.Link(oldname, newname)
}

func (fs *crashFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	fs.twice.RLock()
	defer fs.twice.RUnlock()
	return fs.MemFS.ReuseForWrite(oldname, newname, category)
}

func (fs *crashFS) Lock(name string) (io.Closer, error) {
	fs.twice.RLock()
	defer fs.twice.RUnlock()
	return fs.MemFS.Lock(name)
}

func (fs *crashFS) CrashClone(cfg vfs.CrashCloneCfg) *crashFS {
	fs.twice.Lock()
	defer fs.twice.Unlock()
	return &crashFS{MemFS: fs.MemFS.CrashClone(cfg)}
}
