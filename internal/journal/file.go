package journal

import (
	"os"
	"path/filepath"
	"syscall"

	"ecoin/internal/keyfile"
)

// lock waits until no other process appends to f.
func lock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// syncDir makes a new file's name durable.
func syncDir(path string) error { return keyfile.SyncDir(filepath.Dir(path)) }
