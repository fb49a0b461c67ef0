package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// apartFS has each folder of the root on a disk of its own.
type apartFS struct{ vfs.FS }

func (fs apartFS) apart(a, b string) error {
	first := func(path string) string {
		s, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		return s
	}
	if first(a) != first(b) {
		return &os.LinkError{Op: "rename", Old: a, New: b, Err: syscall.EXDEV}
	}
	return nil
}

func (fs apartFS) Rename(from, to string) error {
	if err := fs.apart(from, to); err != nil {
		return err
	}
	return fs.FS.Rename(from, to)
}

func (fs apartFS) Link(from, to string) error {
	if err := fs.apart(from, to); err != nil {
		return err
	}
	return fs.FS.Link(from, to)
}

// TestCheckpointToAnotherDisk makes checkpoints of a ledger on two disks on a third,
// and opens one.
func TestCheckpointToAnotherDisk(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	o := testOptions(apartFS{mem})
	o.Shards, o.IndexBytes, o.Disks = 4, 1<<20, []string{"two/ledger"}
	l := open(t, "one/ledger", o)
	acc := addAccount(t, l, 1000)
	fps := withdraw(t, l, acc, 600)
	mustRedeem(t, l, acc, fps[:200], core.Digest{1}, core.StatusOK)
	for _, dir := range []string{"three/copy", "one/copy"} {
		if err := l.Checkpoint(dir); err != nil {
			t.Fatal(err)
		}
		if err := l.Checkpoint(dir); !errors.Is(err, os.ErrExist) {
			t.Errorf("again: %v", err)
		}
	}
	mustRedeem(t, l, acc, fps[200:300], core.Digest{1}, core.StatusOK)
	for _, dir := range []string{"one/ledger/" + checkpointName, "two/ledger/" + checkpointName} {
		if _, err := mem.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	closeLedger(t, l)
	for _, dir := range []string{"three/copy", "one/copy"} {
		v, err := Verify(ctx, dir, VerifyOptions{Mint: testMint, FS: o.FS, Logger: quietLog})
		if err != nil || len(v.Problems) > 0 || v.Audit.Live != 400 || v.Disks != 2 {
			t.Errorf("verify %s: %+v, %v", dir, v, err)
		}
		o.Disks = []string{dir + "/disk1"}
		l = open(t, dir, o)
		if a := mustAudit(t, l); a.Live != 400 || a.Redeemed != 200 {
			t.Errorf("%s: %+v", dir, a)
		}
		mustRedeem(t, l, acc, fps[:200], core.Digest{1}, core.StatusRedeemedBefore)
		closeLedger(t, l)
	}
}

// TestCheckpointInside refuses a checkpoint into a folder of the ledger, under whatever
// name, and the ledger opens afterwards. What only looks like such a folder is none.
func TestCheckpointInside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	t.Run("files", func(t *testing.T) {
		ledgerDir, disk, link := filepath.Join(root, "ledger"), filepath.Join(root, "disk"), filepath.Join(root, "link")
		if err := os.Symlink(ledgerDir, link); err != nil {
			t.Fatal(err)
		}
		deep := filepath.Join(root, "deep")
		if err := os.Symlink(filepath.Join(disk, tablesName), deep); err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Abs(".")
		if err == nil {
			relative, err = filepath.Rel(relative, ledgerDir)
		}
		if err != nil {
			t.Fatal(err)
		}
		testCheckpointInside(t, vfs.Default, ledgerDir, disk,
			[]string{filepath.Join(link, "copy"), filepath.Join(deep, "copy"), filepath.Join(relative, "copy")},
			[]string{filepath.Join(root, "ledger2"), link + "/../copy"})
	})
	t.Run("memory", func(t *testing.T) {
		testCheckpointInside(t, vfs.NewMem(), "ledger", "disk", nil, []string{"ledger2", "ledger/../copy"})
	})
}

func testCheckpointInside(t *testing.T, fs vfs.FS, ledgerDir, disk string, inside, outside []string) {
	o := testOptions(fs)
	o.Disks = []string{disk}
	l := open(t, ledgerDir, o)
	acc := addAccount(t, l, 100)
	withdraw(t, l, acc, 10)
	for _, dir := range []string{ledgerDir, disk} {
		inside = append(inside, dir,
			fs.PathJoin(dir, checkpointName), fs.PathJoin(dir, checkpointName, "copy"), fs.PathJoin(dir, tablesName, "copy"),
			fs.PathJoin(dir, redoName, "copy"), fs.PathJoin(dir, "new", "copy"), fs.PathJoin(dir, "..copy"), dir+"/new/../copy/")
	}
	for _, dir := range inside {
		if err := l.Checkpoint(dir); !errors.Is(err, ErrOwnFolder) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for _, dir := range outside {
		if err := l.Checkpoint(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	closeLedger(t, l)
	mustAudit(t, open(t, ledgerDir, o))
}

// TestCheckpointLeft lets a ledger begin with what a checkpoint left that was broken off.
func TestCheckpointLeft(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	o := testOptions(mem)
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 100)
	withdraw(t, l, acc, 10)
	closeLedger(t, l)
	left := "ledger/" + checkpointName
	if err := mem.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, mem, left+"/000001.sst", []byte("x"))
	l = open(t, "ledger", o)
	if _, err := mem.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := l.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	closeLedger(t, l)
	mustAudit(t, open(t, "copy", o))
}

// TestDisksApart refuses folders that are not the ledger's, in its order.
func TestDisksApart(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	o := testOptions(mem)
	o.Shards = 4
	create := func(dirs ...string) {
		o.Disks = dirs[1:]
		l := open(t, dirs[0], o)
		withdraw(t, l, addAccount(t, l, 100), 100)
		closeLedger(t, l)
	}
	create("a0", "a1", "a2")
	create("b0", "b1", "b2")
	for _, c := range []struct {
		dirs []string
		says string
	}{
		{[]string{"a0", "a2", "a1"}, "not in the order"},
		{[]string{"a1", "a0", "a2"}, "not the first"},
		{[]string{"a0", "a1"}, "on 3 disks, not 2"},
		{[]string{"a0", "a1", "a2", "c"}, "on 3 disks, not 4"},
		{[]string{"a0", "a1", "b2"}, "belongs to another ledger"},
		{[]string{"a0", "a1", "c"}, "is its disk mounted?"},
		{[]string{"a0", "a1", "a1"}, "are the same folder"},
		{[]string{"c", "a1", "a2"}, "is the first disk mounted?"},
	} {
		o.Disks = c.dirs[1:]
		l, err := Open(c.dirs[0], o)
		if err == nil {
			closeLedger(t, l)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.dirs, err, c.says)
		}
	}
	for _, dirs := range [][]string{{"a0", "a1", "a2"}, {"b0", "b1", "b2"}} {
		o.Disks = dirs[1:]
		l := open(t, dirs[0], o)
		if a := mustAudit(t, l); a.Live != 100 {
			t.Error(a)
		}
		closeLedger(t, l)
	}
}
