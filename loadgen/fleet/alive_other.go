//go:build !unix

package fleet

import "net"

func alive(net.Conn, bool) bool { return true }
