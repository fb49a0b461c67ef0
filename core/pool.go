package core

import (
	"fmt"
	"log/slog"
	"slices"

	"ecoin/core/internal/hpke"
)

// A HeaderPool seals headers from ephemeral keys that were made before: all the public
// key cryptography is done when the pool is filled, in batches, and what remains when a
// coin is spent is to encrypt 48 bytes. A device fills it while it waits. It is for
// keys of SuiteX25519. Each ephemeral key serves one header and is wiped.
//
// One goroutine may use a pool at a time, and a copy must not be used: a key that seals
// two headers gives both away. For the same reason a device that goes on from a copy of
// its memory, as a virtual machine from a snapshot, calls Wipe first. A pool is secret
// and prints as "redacted".
type HeaderPool struct {
	key    *PublicKey
	sender *hpke.Sender
	ready  []hpke.Prepared // used from the end
}

// MaxPool is the largest size of a HeaderPool.
const MaxPool = 1 << 16

// NewHeaderPool returns an empty pool for k with room for size keys, 76 bytes each. A k
// of another suite, and a size that is not from 1 to MaxPool, are errors.
func NewHeaderPool(k *PublicKey, size int) (*HeaderPool, error) {
	var sender *hpke.Sender
	if seal, ok := k.seal.(*hpkeSealer); ok {
		sender, _ = seal.sender.(*hpke.Sender)
	}
	if sender == nil {
		return nil, fmt.Errorf("core: no pool for headers of suite %v: only %v has one", k.suite, SuiteX25519)
	}
	if size < 1 || size > MaxPool {
		return nil, fmt.Errorf("core: pool of %d headers, want 1 to %d", size, MaxPool)
	}
	return &HeaderPool{key: k, sender: sender, ready: make([]hpke.Prepared, 0, size)}, nil
}

// Len returns the number of ephemeral keys that are ready.
func (p *HeaderPool) Len() int { return len(p.ready) }

// Fill makes ephemeral keys until the pool is full. It fails only if the system's
// cryptography does.
func (p *HeaderPool) Fill(s *Scratch) error {
	for len(p.ready) < cap(p.ready) {
		n := min(cap(p.ready)-len(p.ready), hpke.Batch)
		if !p.sender.Prepare(&s.headerBatch().hpke, p.ready[len(p.ready):len(p.ready)+n]) {
			return fmt.Errorf("core: fill pool of suite %v: %w", p.key.suite, errLowOrder)
		}
		p.ready = p.ready[:len(p.ready)+n]
	}
	return nil
}

// AppendHeader is PublicKey.AppendHeader with an ephemeral key of the pool. If none is
// left, it makes one: slower, not weaker.
func (p *HeaderPool) AppendHeader(dst []byte, s *Scratch, sec *Secrets) ([]byte, error) {
	if len(p.ready) == 0 {
		return p.key.AppendHeader(dst, s, sec)
	}
	last := len(p.ready) - 1
	start, size := len(dst), p.key.suite.RecordLen()
	out := slices.Grow(dst, size)[:start+size]
	copy(out[start:], p.key.bound[:])
	sec.put(&s.plain)
	p.ready[last].Seal(out[start+BoundLen:], &s.hpke, p.key.bound[:], s.plain[:])
	clear(s.plain[:])
	p.ready = p.ready[:last]
	return out, nil
}

// Wipe clears the keys that are ready. The pool is empty afterwards and can be used on.
func (p *HeaderPool) Wipe() {
	clear(p.ready)
	p.ready = p.ready[:0]
}

// Format implements fmt.Formatter: it prints "redacted".
func (HeaderPool) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (HeaderPool) LogValue() slog.Value { return logRedacted() }
