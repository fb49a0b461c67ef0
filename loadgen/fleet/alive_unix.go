//go:build unix

package fleet

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// alive reports whether an idle connection looks open: the other side has neither closed
// it nor said anything. Before the first answer (answered is false) what it said may be
// session tickets.
func alive(c net.Conn, answered bool) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	if err := raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = err == unix.EAGAIN || err == unix.EINTR || err == nil && n > 0 && !answered
		return true
	}); err != nil {
		return false
	}
	return open
}
