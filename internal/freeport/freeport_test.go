package freeport

import (
	"net"
	"testing"
)

func TestAddressesAreFreeAndDistinct(t *testing.T) {
	const n = 200
	addresses, err := Addresses(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(addresses) != n {
		t.Fatalf("%d addresses, want %d", len(addresses), n)
	}
	// All can be listened on at once, so no two are the same.
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; port < low || port >= high {
			t.Errorf("port %d is not in %d to %d", port, low, high)
		}
	}
}
