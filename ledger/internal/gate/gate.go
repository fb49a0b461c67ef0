// Package gate lets calls into a ledger until it closes, and then waits for those inside.
package gate

import (
	"context"
	"sync"
)

// Gate counts calls under way and keeps new ones out once closed. Use New. All methods
// are safe for concurrent use.
type Gate struct {
	refusal error
	closing chan struct{} // closed by Close

	mu     sync.RWMutex // guards closed; a call is counted under it
	closed bool
	calls  sync.WaitGroup
}

// New returns an open gate, which refuses with that error once it is closed.
func New(refusal error) *Gate {
	return &Gate{refusal: refusal, closing: make(chan struct{})}
}

// Enter registers a call. Who was let in calls Leave.
func (g *Gate) Enter() error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return g.refusal
	}
	g.calls.Add(1)
	return nil
}

// EnterWith is Enter for a call whose context has not ended. The caller calls leave when
// it is through.
func (g *Gate) EnterWith(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := g.Enter(); err != nil {
		return nil, err
	}
	return g.Leave, nil
}

// Leave ends a call.
func (g *Gate) Leave() { g.calls.Done() }

// Refusal is what Enter returns once the gate is closed.
func (g *Gate) Refusal() error { return g.refusal }

// Closing is closed when Close begins.
func (g *Gate) Closing() <-chan struct{} { return g.closing }

// IsClosing reports whether Close has begun.
func (g *Gate) IsClosing() bool {
	select {
	case <-g.closing:
		return true
	default:
		return false
	}
}

// Close refuses new calls and waits for those under way. Call it once.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	close(g.closing)
	g.mu.Unlock()
	g.calls.Wait()
}
