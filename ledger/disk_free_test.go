package ledger

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// roomyFS has so many bytes available in a folder, 7,000 where it is not listed.
type roomyFS struct {
	vfs.FS
	available map[string]uint64
}

func (f roomyFS) GetDiskUsage(dir string) (vfs.DiskUsage, error) {
	if n, ok := f.available[dir]; ok {
		return vfs.DiskUsage{AvailBytes: n}, nil
	}
	return vfs.DiskUsage{AvailBytes: 7000}, nil
}

// TestFreeBytes: of several disks the one with least counts, and each is listed.
func TestFreeBytes(t *testing.T) {
	fs := roomyFS{vfs.NewMem(), map[string]uint64{}}
	l, err := Open("/a", Options{FS: fs, Mint: testMint, Shards: 4, Disks: []string{"/b"}, MinFreeBytes: 1, BallastBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Stats().FreeBytes; got != 7000 {
		t.Errorf("%d bytes free, want 7000", got)
	}
	fs.available["/b"] = 5000
	if got := l.Stats().FreeBytes; got != 5000 {
		t.Errorf("%d bytes free, want the 5000 of the second disk", got)
	}
	fs.available["/a"] = 3000
	if got, want := l.Stats().Disks, []DiskStats{{"/a", 3000}, {"/b", 5000}}; !slices.Equal(got, want) {
		t.Errorf("disks %v, want %v", got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats().FreeBytes; got != 0 {
		t.Errorf("%d bytes free after Close, want 0", got)
	}
}
