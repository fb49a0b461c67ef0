package addresses

import (
	"net"
	"net/netip"
	"testing"
)

func TestOf(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:2": "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::", "[fe80::1%eth0]:3": "fe80::",
	} {
		if got := Of(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(peer))); got != netip.MustParseAddr(want) {
			t.Errorf("%s counts as %v, want %s", peer, got, want)
		}
	}
	if got := Of(&net.UnixAddr{}); got.IsValid() {
		t.Errorf("no IP address: %v", got)
	}
}

func TestLimit(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	l := New(2)
	for i := range 3 {
		if got := l.Enter(a); got != (i < 2) {
			t.Errorf("connection %d of an address that may have two: let in is %v", i+1, got)
		}
	}
	if !l.Enter(b) {
		t.Error("another address is kept out")
	}
	l.Leave(a)
	for i := range 2 {
		if got := l.Enter(a); got != (i < 1) {
			t.Errorf("connection %d after one has ended: let in is %v", i+1, got)
		}
	}
	l.Leave(a)
	l.Leave(a)
	l.Leave(b)
	if len(l.conns) != 0 {
		t.Errorf("addresses without connections are remembered: %v", l.conns)
	}
}
