package ledger

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashFS is a vfs.NewCrashableMem that can be cloned while files are linked, as
// ingestion does. MemFS.Link takes its lock for reading twice, and if a clone asks for
// it in between, both wait for ever.
type crashFS struct {
	*vfs.MemFS
	linking sync.RWMutex
}

func newCrashFS() *crashFS { return &crashFS{MemFS: vfs.NewCrashableMem()} }

func (fs *crashFS) Link(oldname, newname string) error {
	fs.linking.RLock()
	defer fs.linking.RUnlock()
	return fs.MemFS.Link(oldname, newname)
}

func (fs *crashFS) CrashClone(cfg vfs.CrashCloneCfg) *crashFS {
	fs.linking.Lock()
	defer fs.linking.Unlock()
	return &crashFS{MemFS: fs.MemFS.CrashClone(cfg)}
}
