// Package keylock has a mutex per key, for which one waits within bounds.
package keylock

import (
	"context"
	"sync"

	"ecoin/ledger/internal/gate"
)

// Locks is a mutex per key. It holds memory only for keys in use, and unlike a fixed number
// of stripes it never makes one key wait for another, which matters because a withdrawal
// holds its account through all its syncs. The zero value works.
type Locks[K comparable] struct {
	mu    sync.Mutex // guards slots; held for map work only
	slots map[K]*slot
}

type slot struct {
	token chan struct{} // capacity 1; full while locked
	users int           // holder and waiters
}

// Lock waits for the key until ctx ends or g closes, and then returns ctx.Err() or the
// gate's refusal.
func (l *Locks[K]) Lock(ctx context.Context, g *gate.Gate, key K) error {
	l.mu.Lock()
	s := l.slots[key]
	if s == nil {
		if l.slots == nil {
			l.slots = make(map[K]*slot)
		}
		s = &slot{token: make(chan struct{}, 1)}
		l.slots[key] = s
	}
	s.users++
	l.mu.Unlock()

	select {
	case s.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.leave(key, s)
		return ctx.Err()
	case <-g.Closing():
		l.leave(key, s)
		return g.Refusal()
	}
}

// Unlock releases a key that the caller locked.
func (l *Locks[K]) Unlock(key K) {
	l.mu.Lock()
	s := l.slots[key]
	l.mu.Unlock()
	<-s.token
	l.leave(key, s)
}

// Users returns how many hold a key or wait for it.
func (l *Locks[K]) Users(key K) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.slots[key]; s != nil {
		return s.users
	}
	return 0
}

func (l *Locks[K]) leave(key K, s *slot) {
	l.mu.Lock()
	if s.users--; s.users == 0 {
		delete(l.slots, key)
	}
	l.mu.Unlock()
}
