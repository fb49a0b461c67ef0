package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func nothing(int64) {}

var ctx = context.Background()

// TestCopy copies a folder with folders in it, proves the copy, and then harms it in
// every way.
func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	big := strings.Repeat("0123456789abcdef", 200_000) // more than one buffer
	for name, content := range map[string]string{"a": "one", "disk-1/000004.sst": big, "disk-1/x/empty": "", "LOCK": "", "ballast": "weight", "ballast.new": "weight"} {
		put(t, from, name, content)
	}
	var bytes int64
	files, err := Copy(ctx, from, []string{to}, func(n int64) { bytes += n })
	if err != nil {
		t.Fatal(err)
	}
	total, err := Size(from)
	if err != nil || bytes != total || total != int64(3+len(big)) {
		t.Errorf("%d bytes of progress, %d in all, %v", bytes, total, err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"a", "disk-1/000004.sst", "disk-1/x/empty"}) {
		t.Errorf("copied %q", names)
	}
	if files[0].Size != 3 || files[0].SHA256 != "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed" {
		t.Errorf("described as %+v", files[0])
	}
	if err := Write(to, Manifest{Time: time.Unix(1_800_000_000, 0).UTC(), Ledger: Ledger{1, 16, 1, "ab"}, Files: files}); err != nil {
		t.Fatal(err)
	}
	m, err := Read(to)
	if err != nil || m.Format != 1 || m.Ledger != (Ledger{1, 16, 1, "ab"}) || !slices.Equal(m.Files, files) || m.Time.Unix() != 1_800_000_000 {
		t.Errorf("read %+v, %v", m, err)
	}
	check := func() []string {
		got, err := Hash(ctx, to, nothing)
		if err != nil {
			t.Fatal(err)
		}
		return Diff(m.Files, got)
	}
	if p := check(); len(p) > 0 {
		t.Errorf("a good copy: %q", p)
	}
	put(t, to, "a", "two")
	put(t, to, "disk-1/x/empty", "!")
	put(t, to, "MANIFEST-000009", "new")
	if err := os.Remove(filepath.Join(to, "disk-1/000004.sst")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"file a has another SHA-256 than the manifest says",
		"file disk-1/000004.sst is missing",
		"file disk-1/x/empty has 1 bytes, the manifest says 0",
		"file MANIFEST-000009 is not in the manifest: was a ledger opened in the backup?",
	}
	if p := check(); !slices.Equal(p, want) {
		t.Errorf("a bad copy: %q", p)
	}
}

// What cannot be copied leaves nothing, and nothing is overwritten.
func TestCopyRefuses(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	put(t, from, "a", "one")
	put(t, to, "precious", "content")
	if _, err := Copy(ctx, from, []string{to}, nothing); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a folder that exists: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(to, "precious")); err != nil || string(b) != "content" {
		t.Errorf("what was there: %q, %v", b, err)
	}
	gone := func(what string) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s left something: %v", what, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Copy(ended, from, []string{filepath.Join(dir, "new")}, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
	gone("a copy that was broken off")
	if err := os.Symlink("a", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := Copy(ctx, from, []string{filepath.Join(dir, "new")}, nothing); err == nil || !strings.Contains(err.Error(), "link is neither") {
		t.Errorf("a link: %v", err)
	}
	gone("a copy of a link")
	if _, err := Copy(ctx, filepath.Join(dir, "nothing"), []string{filepath.Join(dir, "new")}, nothing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a copy of nothing: %v", err)
	}
	gone("a copy of nothing")
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no manifest: %v", err)
	}
	for _, content := range []string{"", "{", "{}", `{"format":1}`, `{"format":2,"files":[{"name":"a"}]}`} {
		put(t, dir, ManifestName, content)
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), ManifestName) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// TestCopyDisks copies the disks of a ledger to where they belong.
func TestCopyDisks(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	for _, name := range []string{"a", "redo/b", "disk1/c", "disk1/redo/d", "disk2/e", "disk10/f"} {
		put(t, from, name, name)
	}
	to := []string{filepath.Join(dir, "to"), filepath.Join(dir, "one"), filepath.Join(dir, "two")}
	files, err := Copy(ctx, from, to, nothing)
	if err != nil || len(files) != 6 || files[1].Name != "disk1/c" {
		t.Fatal(files, err)
	}
	for path, name := range map[string]string{"to/a": "a", "to/redo/b": "redo/b", "one/c": "disk1/c", "one/redo/d": "disk1/redo/d", "two/e": "disk2/e", "to/disk10/f": "disk10/f"} {
		if b, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(b) != name {
			t.Errorf("%s holds %q, %v", path, b, err)
		}
	}
	// One folder in the way: nothing is left of the others, and it stays.
	for _, d := range to[:2] {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Copy(ctx, from, to, nothing); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "from" || entries[1].Name() != "two" {
		t.Errorf("left: %v, %v", entries, err)
	}
}
