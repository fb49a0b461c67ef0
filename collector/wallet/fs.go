package wallet

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// fsys is what a wallet asks of a file system. Names are relative to the wallet's
// folder and separated by slashes. Each method is one step between which the
// process may die; tests let it die at every one of them.
type fsys interface {
	mkdir(name string) error               // mode 0700
	list(name string) ([]string, error)    // sorted
	stat(name string) (fs.FileInfo, error) // of the file itself, not of what a link points to
	read(name string, b []byte) (int, error)
	create(name string) (file, error) // mode 0600; fails if name exists
	syncFile(name string) error
	rename(from, to string) error // replaces to, never both or neither after a crash
	remove(name string) error     // a file or an empty folder
	syncDir(name string) error    // makes the folder's entries durable; "." is the wallet's own folder
	close() error
}

type file interface {
	Write([]byte) (int, error)
	Sync() error
	Close() error
}

// osFS is the folder of a wallet on a real file system. It holds the folder open, so
// that renaming a folder above it does no harm.
type osFS struct {
	root *os.Root
	lock *os.File // flock held while open
}

// openOS opens the wallet folder at dir, making it if need be, and locks it.
func openOS(dir string) (*osFS, error) {
	dir = filepath.Clean(dir)
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, problemf(dir, "open", err)
	}
	f := &osFS{root: root}
	if err := f.prepare(dir); err != nil {
		_ = f.close() // err says more
		return nil, err
	}
	return f, nil
}

func (f *osFS) prepare(dir string) error {
	info, err := f.stat(".")
	if err != nil {
		return problemf(dir, "look at", err)
	}
	if err := checkFolder(dir, info); err != nil {
		return err
	}
	names, err := f.list(".")
	if err != nil {
		return problemf(dir, "list", err)
	}
	if len(names) > 0 && !slices.ContainsFunc(names, isOwn) {
		return &Problem{dir, "the folder is not a wallet and not empty: name a new or empty folder"}
	}
	lock, err := f.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return problemf(filepath.Join(dir, lockName), "open", err)
	}
	f.lock = lock
	switch err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return errLocked(dir)
	case err != nil:
		return problemf(dir, "lock", err)
	}
	return syncParent(dir) // the folder may be new, and its name must last as long as its coins
}

// makeFolder makes dir and the folders above it that do not exist.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil // opening it will tell what it is
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return problemf(dir, "make the folder", err)
	}
	return syncParent(dir)
}

// syncParent makes the name of dir durable. A folder above that may not be read
// cannot be synced, and has not just been made.
func syncParent(dir string) error {
	parent, err := os.Open(filepath.Dir(dir))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return problemf(filepath.Dir(dir), "open", err)
	}
	defer parent.Close()
	if err := parent.Sync(); err != nil {
		return problemf(filepath.Dir(dir), "sync", err)
	}
	return nil
}

func (f *osFS) mkdir(name string) error { return f.root.Mkdir(name, 0o700) }

func (f *osFS) list(name string) ([]string, error) {
	d, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (f *osFS) stat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// read fills b from the start of the file; a file shorter than b is no error, and
// the count says how much there was.
func (f *osFS) read(name string, b []byte) (int, error) {
	r, err := f.root.Open(name)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.ReadFull(r, b)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *osFS) create(name string) (file, error) {
	w, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // not a *os.File that is nil
	}
	return w, nil
}

func (f *osFS) syncFile(name string) error { return f.sync(name, os.O_RDWR) }
func (f *osFS) syncDir(name string) error  { return f.sync(name, os.O_RDONLY) }

func (f *osFS) sync(name string, flag int) error {
	s, err := f.root.OpenFile(name, flag, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Sync()
}

func (f *osFS) rename(from, to string) error { return f.root.Rename(from, to) }
func (f *osFS) remove(name string) error     { return f.root.Remove(name) }

// close gives the lock back.
func (f *osFS) close() error {
	err := f.root.Close()
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return err
}
