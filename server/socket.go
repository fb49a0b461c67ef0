package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// maxSocketPath is the longest path of a Unix socket in bytes: the platform's field
// has room for it and a terminating zero.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// listenUnix listens on a Unix socket that its owner alone may connect to. A socket
// that a dead process left behind is replaced; one that answers, and anything that is
// not a socket, is left alone with an error.
func listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path %s has %d bytes and the system allows %d: choose a shorter one, or a relative one",
			path, len(path), maxSocketPath)
	}
	ln, err := bindUnix(path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if fi.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s exists and is not a socket: remove it, or choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("%s is in use: a bank is running in this folder already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%s exists, and whether a bank answers there cannot be told: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return nil, fmt.Errorf("remove the socket that a stopped bank left: %w", err)
	}
	return bindUnix(path)
}

// bindUnix makes the socket file with mode 0600 from its first moment where the
// system lets it (Linux takes the mode from the descriptor), and from the next
// moment elsewhere.
func bindUnix(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}}
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}
