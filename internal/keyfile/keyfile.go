// Package keyfile stores secrets in files that their owner alone can read.
//
// [Write] creates such a file atomically and never overwrites one. [Read]
// refuses a file whose mode lets group or others in, and says which command puts
// that right.
package keyfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSize bounds what Read takes for a key file, in bytes.
const maxSize = 64 << 10

// Write creates path with the given content and mode 0600. The file appears
// under its name complete and on disk, or not at all; its folder must exist.
// When path exists, Write changes nothing and returns an error that satisfies
// errors.Is(err, fs.ErrExist).
func Write(path string, data []byte) (err error) {
	if len(data) == 0 || len(data) > maxSize {
		return fmt.Errorf("keyfile: %s: content is %d bytes, want 1 to %d", path, len(data), maxSize)
	}
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if base == "" {
		return fmt.Errorf("keyfile: %s is a folder, want the path of a file", path)
	}

	// Written under a name nobody knows and then linked: unlike a rename, a link
	// fails when the name is taken, and unlike a plain O_EXCL creation, it never
	// shows a file that is half written.
	temp := filepath.Join(dir, "."+base+"."+strings.ToLower(rand.Text()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keyfile: create %s: %w", path, err)
	}
	defer func() {
		if rerr := os.Remove(temp); err == nil && rerr != nil {
			err = fmt.Errorf("keyfile: remove the temporary file of %s: %w", path, rerr)
		}
		if err == nil {
			err = SyncDir(dir)
		}
	}()
	err = f.Chmod(0o600) // whatever the umask
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("keyfile: write %s: %w", path, err)
	}
	if err := os.Link(temp, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("keyfile: %s exists already and is left as it is: move it away first: %w", path, fs.ErrExist)
		}
		return fmt.Errorf("keyfile: create %s: %w", path, err)
	}
	return nil
}

// Read returns the content of a key file. It refuses symbolic links, folders and
// everything else that is not a regular file, any permission for group or
// others, and files that are empty or larger than 64 KiB. The caller wipes the
// result when it holds a secret.
func Read(path string) ([]byte, error) {
	named, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	if err := check(path, named); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	if !os.SameFile(named, opened) {
		return nil, fmt.Errorf("keyfile: %s was replaced while it was being opened: look who writes to its folder", path)
	}
	if err := check(path, opened); err != nil {
		return nil, err
	}
	buf := make([]byte, maxSize+1)
	n, err := io.ReadFull(f, buf)
	switch {
	case err == nil:
		clear(buf)
		return nil, fmt.Errorf("keyfile: %s is larger than %d bytes: not a key file", path, maxSize)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("keyfile: %s is empty", path)
	case !errors.Is(err, io.ErrUnexpectedEOF):
		clear(buf)
		return nil, fmt.Errorf("keyfile: read %s: %w", path, err)
	}
	return buf[:n:n], nil
}

// check refuses what is not a private regular file.
func check(path string, fi fs.FileInfo) error {
	switch mode := fi.Mode(); {
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("keyfile: %s is a symbolic link: name the key file itself", path)
	case mode.IsDir():
		return fmt.Errorf("keyfile: %s is a folder: name the key file in it", path)
	case !mode.IsRegular():
		return fmt.Errorf("keyfile: %s is not a regular file (%v)", path, mode)
	case mode.Perm()&0o077 != 0:
		return fmt.Errorf("keyfile: %s has mode %04o, so others on this machine can reach the key: run: chmod 600 %s",
			path, mode.Perm(), shellQuote(path))
	}
	return nil
}

// SyncDir puts a folder's entries on disk: after it, files created, renamed or
// removed there stay so.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("keyfile: sync folder: %w", err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("keyfile: sync folder %s: %w", dir, err)
	}
	return nil
}

// shellQuote returns path so that a POSIX shell takes it as one word.
func shellQuote(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:,@", r)
	}
	if !strings.HasPrefix(path, "-") && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
