package ledger

import (
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What keeps the folders of a ledger on several disks apart and in order. A folder that
// is not what it must be, because a disk is not mounted for example, is refused before
// anything is written into it.

// checkFolder checks dir before it is opened as the next of the disks, of which others
// are open.
func checkFolder(fs vfs.FS, others []*store, dir string, disks int) error {
	var dirs []string
	for _, s := range others {
		dirs = append(dirs, s.dir)
	}
	if err := distinctFolders(fs, append(dirs, dir)); err != nil {
		return err
	}
	if len(others) == 0 || others[0].meta == (meta{}) { // perhaps a new ledger, see create
		return nil
	}
	if m := others[0].meta; m.format <= formatVersion && m.disks != disks {
		return fmt.Errorf("ledger: %w", wrongDisks(m, disks, others[0].dir))
	}
	desc, err := pebble.Peek(dir, fs)
	if err == nil && desc.Exists {
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("ledger: look into %s: %w", dir, err)
	}
	return fmt.Errorf("ledger: %s holds no part of the ledger in %s: is its disk mounted?", dir, others[0].dir)
}

// distinctFolders refuses a folder that is given twice, under whatever names: a lock on
// it would not keep one process from opening it twice.
func distinctFolders(fs vfs.FS, dirs []string) error {
	var seen []os.FileInfo
	for _, d := range dirs {
		var info os.FileInfo
		if vfs.Root(fs) == vfs.Default {
			info, _ = os.Stat(d) // what cannot be seen is refused when it is opened
		}
		for j, earlier := range seen {
			if dirs[j] == d || info != nil && earlier != nil && os.SameFile(info, earlier) {
				return fmt.Errorf("ledger: %s and %s are the same folder: each disk has a folder of its own", dirs[j], d)
			}
		}
		seen = append(seen, info)
	}
	return nil
}

func wrongDisks(m meta, disks int, dir string) error {
	return fmt.Errorf("the ledger in %s was created on %d disks, not %d; give their folders in the same order", dir, m.disks, disks)
}

// belongs checks that s is disk i of the ledger that m describes, whose first folder is
// first.
func (s *store) belongs(m meta, i int, first string) error {
	want := m
	want.disk = i
	switch {
	case s.meta == want:
		return nil
	case i == 0:
		return fmt.Errorf("%s is disk %d of its ledger, not the first: the folders are not in the order of its creation", s.dir, s.meta.disk)
	case s.meta == (meta{}):
		return fmt.Errorf("%s holds no part of the ledger in %s", s.dir, first)
	case s.meta.id != m.id:
		return fmt.Errorf("%s belongs to another ledger than %s", s.dir, first)
	}
	return fmt.Errorf("%s is disk %d of the ledger in %s, not disk %d: the folders are not in the order of its creation", s.dir, s.meta.disk, first, i)
}

// blank checks that disk i may become a part of the new ledger m: nothing is in it, or
// what an interrupted creation of such a ledger left. A part of a ledger that has coins
// is never taken for that.
func (s *store) blank(m meta, i int, first string) error {
	if s.meta != (meta{}) && (s.meta.format != m.format || s.meta.mint != m.mint || s.meta.shards != m.shards || s.meta.disks != m.disks || s.meta.disk != i) {
		return fmt.Errorf("%s is disk %d of a ledger, and %s holds none: is the first disk mounted?", s.dir, s.meta.disk, first)
	}
	empty, err := s.empty()
	switch {
	case err != nil:
		return err
	case !empty && s.meta != (meta{}):
		return fmt.Errorf("%s is disk %d of a ledger with coins, and %s holds none: is the first disk mounted?", s.dir, i, first)
	case !empty:
		return fmt.Errorf("%s holds a Pebble store that is not a ledger; choose another folder", s.dir)
	}
	return nil
}

// parts are the folders of the further disks in dir, which Checkpoint wrote.
func parts(fs vfs.FS, dir string) (list []string) {
	for len(list) < maxDisks-1 {
		d := partDir(fs, dir, len(list)+1)
		if info, err := fs.Stat(d); err != nil || !info.IsDir() {
			break
		}
		list = append(list, d)
	}
	return list
}

// partDir is where a checkpoint in dir has disk i.
func partDir(fs vfs.FS, dir string, i int) string {
	if i == 0 {
		return dir
	}
	return fs.PathJoin(dir, fmt.Sprintf("disk%d", i))
}
