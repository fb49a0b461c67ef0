package sim

import (
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file or folder of a disk.
type file struct {
	disk *disk
	name string
	node *node
	pos  int64 // of Read and Write, which one goroutine calls at a time
}

func (f *file) Close() error { return nil }

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.disk.enter("read", f.name); err != nil {
		return 0, err
	}
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.enter("write", f.name); err != nil {
		return 0, err
	}
	defer f.disk.mu.Unlock()
	n, end := f.node, int(off)+len(p)
	from := min(int(off), len(n.data)) // a gap is written as zeros
	if grow := end - len(n.data); grow > 0 {
		n.data = append(slices.Grow(n.data, grow), make([]byte, grow)...)
	}
	copy(n.data[off:], p)
	if n.dirty == nil {
		n.dirty = make(map[int]struct{})
	}
	for s := from / sectorSize; s*sectorSize < end; s++ {
		n.dirty[s] = struct{}{}
	}
	return len(p), nil
}

func (f *file) Sync() error {
	if err := f.disk.enter("sync", f.name); err != nil {
		return err
	}
	defer f.disk.mu.Unlock()
	n := f.node
	if n.dir {
		f.disk.syncDir(f.name)
		return nil
	}
	if grow := len(n.data) - len(n.synced); grow > 0 {
		n.synced = append(n.synced, make([]byte, grow)...)
	}
	for s := range n.dirty {
		from, to := s*sectorSize, min((s+1)*sectorSize, len(n.data))
		copy(n.synced[from:to], n.data[from:to])
	}
	clear(n.dirty)
	return nil
}

func (f *file) SyncData() error { return f.Sync() }

// SyncTo promises nothing, as the interface allows.
func (f *file) SyncTo(int64) (fullSync bool, err error) { return false, nil }

func (f *file) Preallocate(int64, int64) error { return nil }
func (f *file) Prefetch(int64, int64) error    { return nil }
func (f *file) Fd() uintptr                    { return vfs.InvalidFd }

func (f *file) Stat() (vfs.FileInfo, error) {
	if err := f.disk.enter("read", f.name); err != nil {
		return nil, err
	}
	defer f.disk.mu.Unlock()
	return info{f.name, f.node.dir, int64(len(f.node.data))}, nil
}
