package freeport

import (
	"net"
	"testing"
)

// TestAddressesAreFreeAndDistinct chooses from few ports, which nobody else takes, so that
// one that is chosen twice would show.
func TestAddressesAreFreeAndDistinct(t *testing.T) {
	const from, to = low - 20, low
	addresses, err := choose(10, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if len(addresses) != 10 {
		t.Fatalf("%d addresses, want 10", len(addresses))
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address) // not twice: all stay open
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; port < from || port >= to {
			t.Errorf("port %d is not in %d to %d", port, from, to)
		}
	}
	if addresses, err := choose(11, from, to); err == nil {
		t.Errorf("with 10 of 20 ports taken, 11 were free: %v", addresses)
	}
}
