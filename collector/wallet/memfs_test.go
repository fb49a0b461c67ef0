package wallet

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

var errDied = errors.New("the process died here")

// memFS is a file system in memory that knows what is durable. It keeps every
// change of a folder in a log. A power failure keeps those that were synced, and of
// the others whichever the test picks.
//
// A rename is two changes, one of the folder it goes to and one of the folder it
// comes from. A failure may keep the first alone, but never the second: no file
// system worth a wallet loses a renamed file altogether. To rename a folder is one.
type memFS struct {
	root *memNode
	log  []*memChange
	ops  int // steps so far
	stop int // the step at which the process dies; 0 for never
	fail func(op, name string) error
}

type memNode struct {
	mode    fs.FileMode
	entries map[string]*memNode // of a folder
	data    []byte              // of a file
	synced  bool                // data is durable
}

type memChange struct {
	dir   *memNode
	name  string
	node  *memNode   // nil: removed
	needs *memChange // the other half of a rename; kept only if that one is
	tied  bool       // and always then
	sure  bool       // synced
	kept  bool       // used by crash
}

func newMemFS() *memFS { return &memFS{root: newMemDir()} }

func newMemDir() *memNode {
	return &memNode{mode: fs.ModeDir | 0o700, entries: map[string]*memNode{}}
}

func (m *memFS) change(c memChange) *memChange {
	if c.node != nil {
		c.dir.entries[c.name] = c.node
	} else {
		delete(c.dir.entries, c.name)
	}
	m.log = append(m.log, &c)
	return &c
}

// crash returns what a power failure leaves. pick(n) decides, with a number below n.
func (m *memFS) crash(pick func(n int) int) *memFS {
	left := map[*memNode]*memNode{m.root: newMemDir()}
	node := func(n *memNode) *memNode {
		if c, ok := left[n]; ok {
			return c
		}
		c := &memNode{mode: n.mode, synced: true}
		left[n] = c
		if n.entries != nil {
			c.entries = map[string]*memNode{}
			return c
		}
		c.data = slices.Clone(n.data)
		if !n.synced {
			switch pick(4) {
			case 0:
				c.data = nil
			case 1:
				c.data = c.data[:len(c.data)/2]
			case 2:
				clear(c.data) // the length reached the disk and the bytes did not
			}
		}
		return c
	}
	next := &memFS{root: left[m.root]}
	for _, c := range m.log {
		switch {
		case c.sure:
			c.kept = true
		case c.tied:
			c.kept = c.needs.kept
		default:
			c.kept = (c.needs == nil || c.needs.kept) && pick(2) == 1
		}
		if c.kept {
			n := memChange{dir: node(c.dir), name: c.name, sure: true}
			if c.node != nil {
				n.node = node(c.node)
			}
			next.change(n)
		}
	}
	return next
}

// step counts a step that changes something, and ends the process's life there.
func (m *memFS) step(op, name string) error {
	m.ops++
	if m.stop > 0 && m.ops >= m.stop {
		return errDied
	}
	if m.fail != nil {
		return m.fail(op, name)
	}
	return nil
}

func (m *memFS) find(name string) (*memNode, error) {
	n := m.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		next := n.entries[part]
		if next == nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		n = next
	}
	return n, nil
}

func (m *memFS) parent(name string) (*memNode, string, error) {
	dir, base := path.Split(name)
	d, err := m.find(path.Clean("./" + dir))
	return d, base, err
}

func (m *memFS) make(op, name string, n *memNode) error {
	if err := m.step(op, name); err != nil {
		return err
	}
	d, base, err := m.parent(name)
	if err != nil {
		return err
	}
	if d.entries[base] != nil {
		return &fs.PathError{Op: "make", Path: name, Err: fs.ErrExist}
	}
	m.change(memChange{dir: d, name: base, node: n})
	return nil
}

func (m *memFS) mkdir(name string) error { return m.make("mkdir", name, newMemDir()) }

func (m *memFS) create(name string) (file, error) {
	n := &memNode{mode: 0o600}
	if err := m.make("create", name, n); err != nil {
		return nil, err
	}
	return &memFile{m, name, n}, nil
}

func (m *memFS) list(name string) ([]string, error) {
	d, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(d.entries)), nil
}

func (m *memFS) stat(name string) (fs.FileInfo, error) {
	n, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return memInfo{n, name}, nil
}

func (m *memFS) read(name string, b []byte) (int, error) {
	n, err := m.find(name)
	if err != nil {
		return 0, err
	}
	return copy(b, n.data), nil
}

func (m *memFS) rename(from, to string) error {
	if err := m.step("rename", from); err != nil {
		return err
	}
	n, err := m.find(from)
	if err != nil {
		return err
	}
	df, bf, err := m.parent(from)
	if err != nil {
		return err
	}
	dt, bt, err := m.parent(to)
	if err != nil {
		return err
	}
	add := m.change(memChange{dir: dt, name: bt, node: n})
	m.change(memChange{dir: df, name: bf, needs: add, tied: n.entries != nil})
	return nil
}

func (m *memFS) remove(name string) error {
	if err := m.step("remove", name); err != nil {
		return err
	}
	n, err := m.find(name)
	if err != nil {
		return err
	}
	if len(n.entries) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	d, base, err := m.parent(name)
	if err != nil {
		return err
	}
	m.change(memChange{dir: d, name: base})
	return nil
}

func (m *memFS) syncDir(name string) error {
	if err := m.step("syncDir", name); err != nil {
		return err
	}
	d, err := m.find(name)
	if err != nil {
		return err
	}
	for _, c := range m.log {
		if c.dir == d {
			c.sure = true
			if c.needs != nil {
				c.needs.sure = true
			}
		}
	}
	return nil
}

func (m *memFS) syncFile(name string) error {
	if err := m.step("syncFile", name); err != nil {
		return err
	}
	n, err := m.find(name)
	if err != nil {
		return err
	}
	n.synced = true
	return nil
}

func (m *memFS) close() error { return nil }

type memFile struct {
	m    *memFS
	name string
	n    *memNode
}

func (f *memFile) Write(b []byte) (int, error) {
	if err := f.m.step("write", f.name); err != nil {
		if errors.Is(err, errDied) {
			f.n.data = append(f.n.data, b[:len(b)/2]...)
		}
		return 0, err
	}
	f.n.data = append(f.n.data, b...)
	return len(b), nil
}

func (f *memFile) Sync() error  { return f.m.syncFile(f.name) }
func (f *memFile) Close() error { return nil }

type memInfo struct {
	n    *memNode
	name string
}

func (i memInfo) Name() string       { return path.Base(i.name) }
func (i memInfo) Size() int64        { return int64(len(i.n.data)) }
func (i memInfo) Mode() fs.FileMode  { return i.n.mode }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.n.entries != nil }
func (i memInfo) Sys() any           { return nil }
