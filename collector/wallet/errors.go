package wallet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

var (
	// ErrEmpty reports that no coin can be taken. It may come wrapped with what
	// stands in the way of the coins there are.
	ErrEmpty = errors.New("wallet: no coin left")

	// ErrClosed reports a call after Close.
	ErrClosed = errors.New("wallet: closed")

	// ErrRefused is wrapped by the error of an [Ask] when the bank promises that
	// this call did nothing. The withdrawal may still have happened in an earlier
	// call whose answer was lost.
	ErrRefused = errors.New("the bank refused")

	// ErrNoCredit is wrapped by the error of an [Ask] when this call did nothing
	// because the balance is too small. An earlier call may still be under way at
	// the bank, and find more.
	ErrNoCredit = errors.New("not enough credit")

	// ErrOtherCount is wrapped by the error of an [Ask] when the bank holds a
	// withdrawal under the key, of another number of coins, so that neither this
	// call nor one before it did or will do anything.
	ErrOtherCount = errors.New("the bank made this withdrawal with another number of coins")
)

// A Problem is something about one file or folder that its owner has to put
// right. The wallet leaves what it names as it is.
type Problem struct {
	Path string
	Text string // what is wrong and what to do
}

// Error returns "wallet: path: text".
func (p *Problem) Error() string { return "wallet: " + p.Path + ": " + p.Text }

// errLocked is the error of a wallet folder that is open already.
func errLocked(dir string) error {
	return &Problem{dir, "the wallet is in use: stop the other collector, or give this one a wallet of its own"}
}

// opError is a failed file operation, with a remedy where one is known.
type opError struct {
	path, doing string
	err         error // without the path, which path says in full
}

func (e *opError) Error() string {
	return fmt.Sprintf("wallet: %s %s: %v%s", e.doing, e.path, e.err, remedy(e.err))
}

func (e *opError) Unwrap() error { return e.err }

func problemf(path, doing string, err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		err = p.Err
	case errors.As(err, &l):
		err = l.Err
	}
	return &opError{path, doing, err}
}

func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return " (run the collector as the owner of the wallet; folders need mode 700, files 600)"
	case errors.Is(err, syscall.EROFS):
		return " (the file system is mounted read-only: mount it writable, or move the wallet)"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return " (free some space on this file system)"
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOLCK):
		return " (this file system lacks what a wallet needs: keep it on a local disk)"
	}
	return ""
}

// checkFolder refuses a folder that others may enter or that its owner may not
// write to.
func checkFolder(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsDir():
		return &Problem{path, "this must be a folder: move what is there away"}
	case mode.Perm()&0o077 != 0:
		return &Problem{path, fmt.Sprintf("the folder is open to other users (mode %04o), who could take its coins: run chmod 700 %s", mode.Perm(), path)}
	case mode.Perm()&0o700 != 0o700:
		return &Problem{path, fmt.Sprintf("the folder is read-only (mode %04o): run chmod 700 %s", mode.Perm(), path)}
	}
	return nil
}

// errExposed is the error of a coin that other users can read.
func errExposed(path string, mode fs.FileMode) error {
	return fmt.Errorf("wallet: %s: other users may read this coin (mode %04o): run chmod 600 %s", path, mode.Perm(), filepath.Join(filepath.Dir(path), "*"))
}
