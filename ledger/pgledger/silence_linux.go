package pgledger

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// endSilence ends a connection whose peer has acknowledged nothing for d of what it was
// sent: tcp(7), TCP_USER_TIMEOUT.
func endSilence(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		}); e != nil {
			return e
		}
		return err
	}
}
