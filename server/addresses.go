package server

import (
	"net"
	"net/netip"
	"sync"
)

// addresses bounds the connections of one client address: an IPv4 address, or the /64
// network that an IPv6 address is in, because whoever has one of its addresses has all.
type addresses struct {
	max int

	mu    sync.Mutex // guards conns; nothing blocks under it
	conns map[netip.Addr]int
}

func newAddresses(max int) *addresses {
	return &addresses{max: max, conns: map[netip.Addr]int{}}
}

// addressOf returns what stands for the peer's address in the limit. Peers without an
// IP address share the zero value.
func addressOf(peer net.Addr) netip.Addr {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // fails for IPv4 alone
		a = p.Addr()
	}
	return a
}

// enter counts a connection from a and reports whether it is within the limit; only
// then leave follows.
func (x *addresses) enter(a netip.Addr) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conns[a] >= x.max {
		return false
	}
	x.conns[a]++
	return true
}

func (x *addresses) leave(a netip.Addr) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conns[a]--; x.conns[a] == 0 {
		delete(x.conns, a)
	}
}
