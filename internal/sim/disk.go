package sim

import (
	"errors"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// sectorSize is what a power loss keeps or loses as a whole, in bytes.
const sectorSize = 512

// disk is a file system in memory that knows what was synced. Its image is the disk
// after a power loss, and is the same for the same history and the same loss, which
// vfs.MemFS cannot promise because it draws while it iterates over maps. A disk
// serves one process; the next one gets an image. All methods are safe for
// concurrent use.
type disk struct {
	mu      sync.Mutex
	names   map[string]*node // by cleaned path
	durable map[string]*node // names that survive a power loss
	pending []change         // from durable to names, oldest first
	locked  map[string]bool

	trap   *trap
	broken bool // every write and sync fails
	dead   bool // the process is dead: every operation blocks for ever
}

// node is a file or a folder.
type node struct {
	dir    bool
	data   []byte
	synced []byte
	dirty  map[int]struct{} // sectors in which data may differ from synced
}

// change is a change of names that a sync of one of its folders makes durable. It is
// atomic, and a power loss that keeps it keeps those before it, as the journals of file
// systems do; Pebble counts on it where it creates a manifest and then the marker that
// names it.
type change struct {
	remove string // "" for none
	add    string // "" for none
	node   *node  // what add names
}

// loss says what a power loss keeps of that which was not synced.
type loss struct {
	percent int    // 0 nothing, 100 everything, as the end of a process does
	prefix  bool   // of each file a first part, instead of any sectors
	seed    uint64 // of the draws in between
}

func newDisk() *disk {
	return &disk{
		names:   map[string]*node{"": {dir: true}},
		durable: map[string]*node{"": {dir: true}},
		locked:  make(map[string]bool),
	}
}

// image returns the disk as the next process finds it after l.
func (d *disk) image(l loss) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.imageLocked(l)
}

func (d *disk) imageLocked(l loss) *disk {
	// One source for names and one for each class of files: what background work did,
	// and when, must not change what happens to the data of the log.
	draws := make(map[string]*rand.Rand)
	of := func(what string) *rand.Rand {
		if draws[what] == nil {
			h := fnv.New64a()
			_, _ = h.Write([]byte(what))
			draws[what] = rand.New(rand.NewPCG(l.seed, h.Sum64()))
		}
		return draws[what]
	}
	names := maps.Clone(d.durable)
	for _, c := range d.pending {
		if l.percent == 0 || l.percent < 100 && of("names").IntN(100) >= l.percent {
			break
		}
		c.apply(names)
	}
	after := newDisk()
	copies := make(map[*node]*node)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if parent := dirOf(name); name == "" || after.names[parent] == nil || !after.names[parent].dir {
			continue // sorted: a folder comes before what is in it
		}
		n := names[name]
		if copies[n] == nil {
			copies[n] = n.survive(l, of(class(name)))
		}
		after.names[name] = copies[n]
	}
	after.durable = maps.Clone(after.names)
	return after
}

// survive returns the node after a power loss.
func (n *node) survive(l loss, rng *rand.Rand) *node {
	if n.dir {
		return &node{dir: true}
	}
	out := slices.Clone(n.synced)
	dirty := slices.Sorted(maps.Keys(n.dirty))
	keep := len(dirty)
	if l.percent < 100 && l.prefix && keep > 0 {
		keep = rng.IntN(keep + 1)
	}
	if l.percent == 0 {
		keep = 0
	}
	for i, s := range dirty {
		if l.percent < 100 && (i >= keep || !l.prefix && rng.IntN(100) >= l.percent) {
			continue
		}
		from, to := s*sectorSize, min((s+1)*sectorSize, len(n.data))
		out = append(out, make([]byte, max(0, to-len(out)))...) // lost sectors in between are zeros
		copy(out[from:to], n.data[from:to])
	}
	if l.percent == 100 || l.percent > 0 && len(dirty) > 0 && rng.IntN(4) == 0 {
		out = append(out, make([]byte, max(0, len(n.data)-len(out)))...) // the length arrived, the data did not
	}
	return &node{data: out, synced: slices.Clone(out)}
}

func (c change) apply(names map[string]*node) {
	if c.remove != "" {
		delete(names, c.remove)
	}
	if c.add != "" {
		names[c.add] = c.node
	}
}

// change changes a name now, and durably with the next sync of the folder.
func (d *disk) change(c change) {
	c.apply(d.names)
	d.pending = append(d.pending, c)
}

// syncDir makes the names in a folder durable.
func (d *disk) syncDir(dir string) {
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		if c.remove != "" && dirOf(c.remove) == dir || c.add != "" && dirOf(c.add) == dir {
			c.apply(d.durable)
			return true
		}
		return false
	})
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// dirOf returns the folder of a cleaned path; that of the root is the root.
func dirOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i]
	}
	return ""
}

func notExist(op, name string) error { return &os.PathError{Op: op, Path: name, Err: os.ErrNotExist} }

var errNotEmpty = errors.New("sim: folder is not empty")

// enter is called by every operation; nil means that it may go on, with mu held.
func (d *disk) enter(op, name string) error {
	if err := d.spring(op, name); err != nil {
		return err
	}
	d.mu.Lock()
	return nil
}

// lookup expects mu.
func (d *disk) lookup(op, name string) (*node, error) {
	if n := d.names[name]; n != nil {
		return n, nil
	}
	return nil, notExist(op, name)
}

// create expects mu. A file of the same name is replaced, not changed.
func (d *disk) create(name string) (*node, error) {
	if parent := d.names[dirOf(name)]; parent == nil || !parent.dir {
		return nil, notExist("create", name)
	}
	n := &node{}
	d.change(change{add: name, node: n})
	return n, nil
}

func (d *disk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	name = clean(name)
	if err := d.enter("create", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	n, err := d.create(name)
	if err != nil {
		return nil, err
	}
	return &file{disk: d, name: name, node: n}, nil
}

func (d *disk) Link(oldname, newname string) error {
	oldname, newname = clean(oldname), clean(newname)
	if err := d.enter("create", newname); err != nil {
		return err
	}
	defer d.mu.Unlock()
	n, err := d.lookup("link", oldname)
	if err != nil {
		return err
	}
	if d.names[newname] != nil {
		return &os.LinkError{Op: "link", Old: oldname, New: newname, Err: os.ErrExist}
	}
	d.change(change{add: newname, node: n})
	return nil
}

func (d *disk) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	name = clean(name)
	if err := d.enter("open", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	n, err := d.lookup("open", name)
	if err != nil {
		return nil, err
	}
	return &file{disk: d, name: name, node: n}, nil
}

func (d *disk) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	name = clean(name)
	if err := d.enter("open", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	n, err := d.lookup("open", name)
	if err != nil {
		if n, err = d.create(name); err != nil {
			return nil, err
		}
	}
	return &file{disk: d, name: name, node: n}, nil
}

func (d *disk) OpenDir(name string) (vfs.File, error) { return d.Open(name) }

func (d *disk) Remove(name string) error {
	name = clean(name)
	if err := d.enter("remove", name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if _, err := d.lookup("remove", name); err != nil {
		return err
	}
	for other := range d.names {
		if strings.HasPrefix(other, name+"/") {
			return errNotEmpty
		}
	}
	d.change(change{remove: name})
	return nil
}

func (d *disk) RemoveAll(name string) error {
	name = clean(name)
	if err := d.enter("remove", name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	all := slices.Sorted(maps.Keys(d.names))
	for _, other := range slices.Backward(all) {
		if other == name || strings.HasPrefix(other, name+"/") {
			d.change(change{remove: other})
		}
	}
	return nil
}

func (d *disk) Rename(oldname, newname string) error {
	oldname, newname = clean(oldname), clean(newname)
	if err := d.enter("rename", newname); err != nil {
		return err
	}
	defer d.mu.Unlock()
	n, err := d.lookup("rename", oldname)
	if err == nil {
		d.change(change{remove: oldname, add: newname, node: n})
	}
	return err
}

func (d *disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := d.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return d.OpenReadWrite(newname, c)
}

func (d *disk) MkdirAll(name string, _ os.FileMode) error {
	name = clean(name)
	if err := d.enter("create", name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		switch n := d.names[name[:i]]; {
		case n == nil:
			d.change(change{add: name[:i], node: &node{dir: true}})
		case !n.dir:
			return &os.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
	}
	return nil
}

func (d *disk) Lock(name string) (io.Closer, error) {
	name = clean(name)
	if err := d.enter("create", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	if d.locked[name] {
		return nil, syscall.EAGAIN
	}
	if _, err := d.create(name); err != nil {
		return nil, err
	}
	d.locked[name] = true
	return unlocker{d, name}, nil
}

// unlocker ends a lock.
type unlocker struct {
	d    *disk
	name string
}

func (u unlocker) Close() error {
	u.d.mu.Lock()
	defer u.d.mu.Unlock()
	delete(u.d.locked, u.name)
	return nil
}

// List returns the names in order.
func (d *disk) List(dir string) ([]string, error) {
	dir = clean(dir)
	if err := d.enter("read", dir); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	if _, err := d.lookup("list", dir); err != nil {
		return nil, err
	}
	var list []string
	for name := range d.names {
		if name != "" && dirOf(name) == dir {
			list = append(list, path.Base(name))
		}
	}
	slices.Sort(list)
	return list, nil
}

func (d *disk) Stat(name string) (vfs.FileInfo, error) {
	name = clean(name)
	if err := d.enter("read", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	n, err := d.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return info{name, n.dir, int64(len(n.data))}, nil
}

func (d *disk) PathBase(p string) string        { return path.Base(p) }
func (d *disk) PathJoin(parts ...string) string { return path.Join(parts...) }
func (d *disk) PathDir(p string) string         { return path.Dir(p) }
func (d *disk) Unwrap() vfs.FS                  { return nil }

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 41, UsedBytes: 1 << 40}, nil
}

// info describes a file.
type info struct {
	name string
	dir  bool
	size int64
}

func (i info) Name() string           { return path.Base(i.name) }
func (i info) Size() int64            { return i.size }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) IsDir() bool            { return i.dir }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }

func (i info) Mode() os.FileMode {
	if i.dir {
		return os.ModeDir | 0o700
	}
	return 0o600
}
