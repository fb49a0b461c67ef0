// Package backup copies a folder of files for keeps: every byte is on disk before a
// copy counts, and a manifest of names, sizes and SHA-256 proves later that it is what
// was written. Start with [Copy], [Write], and [Hash] with [Diff].
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ManifestName is the manifest's name in the folder it is about.
const ManifestName = "backup.json"

// notCopied is what a folder holds beside its content: the manifest, and what a running
// ledger keeps for itself.
var notCopied = map[string]bool{ManifestName: true, "LOCK": true, "ballast": true, "ballast.new": true}

const format = 1

// Manifest says what a copy must be.
type Manifest struct {
	Format int       `json:"format"` // of this file, 1
	Time   time.Time `json:"time"`   // when the content was as it is here
	Ledger Ledger    `json:"ledger"`
	Files  []File    `json:"files"` // ordered by name
}

// Ledger tells of which ledger a copy is.
type Ledger struct {
	Format int    `json:"format"`
	Shards int    `json:"shards"`
	Disks  int    `json:"disks"` // the first is the folder itself, the others are in disk1, disk2 and so on
	Keys   string `json:"keys"`  // fingerprint of the bank's keys, which it does not reveal
}

// File is one file of a copy.
type File struct {
	Name   string `json:"name"` // relative path, with slashes
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Size returns the bytes in the files of dir, for progress.
func Size(dir string) (total int64, err error) {
	err = walk(dir, func(name string, info fs.FileInfo) error {
		total += info.Size()
		return nil
	})
	return total, err
}

// Copy copies the files of from into the new folder to[0], and what is in its folder
// disk1 into the new folder to[1], if there is one, and so on; all mode 0700, with
// everything on disk when it returns nil. It returns what it read. After an error it
// leaves nothing. progress is called with the bytes of each step. ctx can break it off.
func Copy(ctx context.Context, from string, to []string, progress func(bytes int64)) (files []File, err error) {
	folders := make(map[string]bool)
	for i, d := range to {
		if err := os.Mkdir(d, 0o700); err != nil {
			for _, made := range to[:i] {
				err = errors.Join(err, os.Remove(made))
			}
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			files = nil
			for _, d := range to {
				err = errors.Join(err, os.RemoveAll(d))
			}
		}
	}()
	for _, d := range to {
		folders[d] = true
	}
	err = walk(from, func(name string, _ fs.FileInfo) error {
		target := place(name, to)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		for d := filepath.Dir(target); !folders[d]; d = filepath.Dir(d) {
			folders[d] = true
		}
		out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		f, err := read(ctx, from, name, out, progress)
		if err == nil {
			err = out.Sync()
		}
		files = append(files, f)
		return errors.Join(err, out.Close())
	})
	if err != nil {
		return nil, err
	}
	for d := range folders {
		if err := Sync(d); err != nil {
			return nil, err
		}
	}
	for _, d := range to {
		if err := Sync(filepath.Dir(d)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Disks returns how many disks a backup in dir is of.
func Disks(dir string) int {
	for n := 1; ; n++ {
		if info, err := os.Stat(filepath.Join(dir, fmt.Sprintf("disk%d", n))); err != nil || !info.IsDir() {
			return n
		}
	}
}

// place returns where Copy puts a file.
func place(name string, to []string) string {
	for i := 1; i < len(to); i++ {
		if rest, ok := strings.CutPrefix(name, fmt.Sprintf("disk%d/", i)); ok {
			return filepath.Join(to[i], filepath.FromSlash(rest))
		}
	}
	return filepath.Join(to[0], filepath.FromSlash(name))
}

// Hash reads the files of dir as Copy does.
func Hash(ctx context.Context, dir string, progress func(bytes int64)) (files []File, err error) {
	err = walk(dir, func(name string, _ fs.FileInfo) error {
		f, err := read(ctx, dir, name, io.Discard, progress)
		files = append(files, f)
		return err
	})
	return files, err
}

// read copies one file to out and describes it.
func read(ctx context.Context, dir, name string, out io.Writer, progress func(int64)) (File, error) {
	in, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	defer in.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(&meter{ctx, out, h, progress}, onlyReader{in}, make([]byte, 1<<20))
	return File{Name: name, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// meter passes bytes on until ctx ends.
type meter struct {
	ctx      context.Context
	out      io.Writer
	hash     hash.Hash
	progress func(int64)
}

func (m *meter) Write(p []byte) (int, error) {
	if m.ctx.Err() != nil {
		return 0, context.Cause(m.ctx)
	}
	m.hash.Write(p)
	m.progress(int64(len(p)))
	return m.out.Write(p)
}

// onlyReader hides what would make io.CopyBuffer leave the buffer out.
type onlyReader struct{ io.Reader }

// walk calls visit for every file that is content, ordered by name.
func walk(dir string, visit func(name string, info fs.FileInfo) error) error {
	return fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() || notCopied[name]:
			return nil
		case !e.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", filepath.Join(dir, name))
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return visit(name, info)
	})
}

// Sync makes the entries of a folder durable.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Write writes m into dir, durably.
func Write(dir string, m Manifest) error {
	m.Format = format
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, ManifestName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return Sync(dir)
}

// Read returns the manifest in dir; the error wraps fs.ErrNotExist without one.
func Read(dir string) (m Manifest, err error) {
	path := filepath.Join(dir, ManifestName)
	b, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if m.Format != format || len(m.Files) == 0 {
		return Manifest{}, fmt.Errorf("%s has format %d, written by a newer program, or is damaged", path, m.Format)
	}
	return m, nil
}

// Diff says in plain words how the files that are there differ from those that must
// be.
func Diff(want, got []File) (problems []string) {
	there := make(map[string]File)
	for _, f := range got {
		there[f.Name] = f
	}
	for _, w := range want {
		switch g, ok := there[w.Name]; {
		case !ok:
			problems = append(problems, fmt.Sprintf("file %s is missing", w.Name))
		case g.Size != w.Size:
			problems = append(problems, fmt.Sprintf("file %s has %d bytes, the manifest says %d", w.Name, g.Size, w.Size))
		case g.SHA256 != w.SHA256:
			problems = append(problems, fmt.Sprintf("file %s has another SHA-256 than the manifest says", w.Name))
		}
		delete(there, w.Name)
	}
	for _, g := range got {
		if _, extra := there[g.Name]; extra {
			problems = append(problems, fmt.Sprintf("file %s is not in the manifest: was a ledger opened in the backup?", g.Name))
		}
	}
	return problems
}
