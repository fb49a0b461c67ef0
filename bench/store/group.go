package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"ecoin/core"
)

// item is one coin of a group to be committed together.
type item struct {
	fp      core.Fingerprint
	account uint16
	status  *core.Status // the answer; commit sets it
}

// call is one Redeem that waits.
type call struct {
	account uint16
	coins   []core.Fingerprint
	out     []core.Status
	done    chan error
}

// maxGroup is how many coins are committed together at most, as in our ledger's shards.
const maxGroup = 4096

var errClosed = errors.New("store: closed")

// group commits together whatever waits, so that many calls share one sync.
type group struct {
	commit func([]item) error // items ascending by fingerprint, repeats in order of arrival

	mu     sync.Mutex
	queue  []*call
	closed bool
	wake   chan struct{} // holds one when there is something to do
	ended  chan struct{}
}

func newGroup(commit func([]item) error) *group {
	g := &group{commit: commit, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go g.run()
	return g
}

// Redeem queues a call and waits for its commit.
func (g *group) Redeem(_ context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error {
	c := &call{account, coins, out, make(chan error, 1)}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return errClosed
	}
	g.queue = append(g.queue, c)
	g.mu.Unlock()
	g.signal()
	return <-c.done
}

func (g *group) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// take returns the calls that wait, up to maxGroup coins.
func (g *group) take() (calls []*call, closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, coins := 0, 0
	for n < len(g.queue) && (n == 0 || coins+len(g.queue[n].coins) <= maxGroup) {
		coins += len(g.queue[n].coins)
		n++
	}
	calls = g.queue[:n:n]
	g.queue = g.queue[n:]
	return calls, g.closed
}

func (g *group) run() {
	defer close(g.ended)
	var items []item
	for range g.wake {
		for {
			calls, closed := g.take()
			if len(calls) == 0 {
				if closed {
					return
				}
				break
			}
			items = items[:0]
			for _, c := range calls {
				for i := range c.coins {
					items = append(items, item{c.coins[i], c.account, &c.out[i]})
				}
			}
			slices.SortStableFunc(items, func(a, b item) int { return bytes.Compare(a.fp[:], b.fp[:]) })
			err := g.commit(items)
			for _, c := range calls {
				c.done <- err
			}
		}
	}
}

// close lets accepted calls finish.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.signal()
	<-g.ended
}
