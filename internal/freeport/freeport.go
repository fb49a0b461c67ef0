// Package freeport chooses ports for servers that are told where to listen before they start.
// One that can listen on port 0 and say what it got needs none of this.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are chosen below the range that Linux takes from by itself (32768 to 60999, see
// ip_local_port_range in ip(7)), so that no outgoing connection and no listener on port 0
// takes one before its server starts.
const (
	low  = 20_000
	high = 32_000
)

// Addresses returns n addresses of 127.0.0.1, each with a port of its own on which nobody
// listens. Another call may return one of them again as long as nobody listens on it.
func Addresses(n int) ([]string, error) { return choose(n, low, high) }

// choose returns addresses with ports from low to high-1.
func choose(n, low, high int) ([]string, error) {
	addresses := make([]string, 0, n)
	var failed error
	for tries := 100 * n; len(addresses) < n; tries-- {
		if tries == 0 {
			return nil, errors.Join(errors.New("freeport: no port is free"), failed)
		}
		// Each stays taken until all are chosen.
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(low+rand.IntN(high-low))))
		if err != nil {
			failed = err
			continue
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
