package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
)

// bodies are redeem requests, each to be sent once.
type bodies struct {
	all  []byte
	size int // bytes of one
	n    int // headers in one
	next atomic.Int64
}

func (b *bodies) len() int { return len(b.all) / b.size }

// take returns the next body, nil when there are none.
func (b *bodies) take() []byte {
	i := int(b.next.Add(1)) - 1
	if i >= b.len() {
		return nil
	}
	return b.all[i*b.size : (i+1)*b.size]
}

// ioTimeout is how long an answer may take before the load is given up.
const ioTimeout = 30 * time.Second

func deadline() time.Time { return time.Now().Add(ioTimeout) }

// redeem posts a body of n headers. refused is true for an answer that says to come back
// later.
func redeem(c *fleet.Conn, body []byte, n int) (refused bool, err error) {
	r, err := c.Post(wire.PathRedeem, "", body, deadline())
	switch {
	case err != nil:
		return false, err
	case r.Status == 503:
		return true, nil
	case r.Status != 200:
		return false, fmt.Errorf("status %d: %s", r.Status, r.Body)
	case len(r.Body) != n*wire.RedeemRecordLen:
		return false, fmt.Errorf("%d bytes for %d headers", len(r.Body), n)
	}
	for i := range n {
		if st := core.Status(r.Body[i*wire.RedeemRecordLen]); st != core.StatusOK {
			return false, fmt.Errorf("a coin is answered %v", st)
		}
	}
	return false, nil
}
