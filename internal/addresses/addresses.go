// Package addresses bounds what one client address may have. An address is an IPv4
// address, or the /64 network that an IPv6 address is in, because whoever has one of
// its addresses has all.
package addresses

import (
	"net"
	"net/netip"
	"sync"
)

// Of returns what stands for the peer's address in a limit. Peers without an IP
// address share the zero value.
func Of(peer net.Addr) netip.Addr {
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

// Limit bounds the connections of each address. It is safe for concurrent use.
type Limit struct {
	max int

	mu    sync.Mutex // guards conns; nothing blocks under it
	conns map[netip.Addr]int
}

// New returns a limit of max connections an address.
func New(max int) *Limit { return &Limit{max: max, conns: map[netip.Addr]int{}} }

// Enter counts a connection from a, as Of returns it, and reports whether it is within
// the limit; only then Leave follows.
func (l *Limit) Enter(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[a] >= l.max {
		return false
	}
	l.conns[a]++
	return true
}

// Leave takes back what Enter counted.
func (l *Limit) Leave(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[a]--; l.conns[a] == 0 {
		delete(l.conns, a)
	}
}
