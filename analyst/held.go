package analyst

import (
	"hash/maphash"
	"sync"
	"time"

	"ecoin/core"
)

const (
	// A redeemed record is remembered for at least keepTime, the longest that the bank
	// keeps a spent record by default (one to two windows of an hour): as long as it
	// does, it answers a replay like a retry, "redeemed before by you".
	keepTime = 2 * time.Hour

	// At most this many are remembered in each of two generations, at about 20 bytes
	// each. Beyond it (290 operations a second) the time gets shorter.
	keepMost = 2 << 20
)

// held knows the operations that this process has in hand, and those it has
// finished. With it, no record is in hand twice, and no replay of a finished one
// gets as far as the bank. That matters when the bank's answers are lost: an
// operation that asked before may take "redeemed before" as meant for itself, a
// replay must not, be it to serve it again or to return a coin that was earned.
//
// Safe for concurrent use.
type held struct {
	seed maphash.Seed

	mu       sync.Mutex // guards what follows
	running  map[core.Digest]struct{}
	young    map[uint64]struct{} // hashes of finished digests, filled since turned
	old      map[uint64]struct{} // the generation before
	turned   time.Time
	keepMost int
}

func newHeld() *held {
	return &held{
		seed: maphash.MakeSeed(), running: map[core.Digest]struct{}{},
		young: map[uint64]struct{}{}, turned: time.Now(), keepMost: keepMost,
	}
}

// take reports whether the record may be worked on: true at most once until it is
// released, and never again after a release as redeemed.
func (h *held) take(d core.Digest) bool {
	key := maphash.Comparable(h.seed, d)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turnLocked()
	if _, ok := h.running[d]; ok {
		return false
	}
	if _, ok := h.young[key]; ok {
		return false
	}
	if _, ok := h.old[key]; ok {
		return false
	}
	h.running[d] = struct{}{}
	return true
}

// release ends what take began. redeemed says that this analyst's account has had
// the record's coin, so that the record is never to be worked on again.
func (h *held) release(d core.Digest, redeemed bool) {
	key := maphash.Comparable(h.seed, d)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, d)
	if redeemed {
		h.turnLocked()
		h.young[key] = struct{}{}
	}
}

// turnLocked begins a new generation when the present one is old or full.
func (h *held) turnLocked() {
	now := time.Now()
	switch age := now.Sub(h.turned); {
	case age >= 2*keepTime: // nothing was added since: both are too old
		h.young, h.old, h.turned = map[uint64]struct{}{}, nil, now
	case age >= keepTime || len(h.young) >= h.keepMost:
		h.young, h.old, h.turned = map[uint64]struct{}{}, h.young, now
	}
}
