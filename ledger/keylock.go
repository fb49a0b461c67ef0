package ledger

import (
	"context"
	"sync"
)

// keyLock is a mutex per key. It holds memory only for keys in use, and unlike a
// fixed number of stripes it never makes one key wait for another, which matters
// because a withdrawal holds its account through three syncs. The zero value works.
type keyLock[K comparable] struct {
	mu    sync.Mutex // guards slots; held for map work only
	slots map[K]*lockSlot
}

type lockSlot struct {
	token chan struct{} // capacity 1; full while locked
	users int           // holder and waiters
}

// lock waits for the key until ctx ends or stop is closed, and then returns
// ctx.Err() or ErrClosed.
func (l *keyLock[K]) lock(ctx context.Context, stop <-chan struct{}, key K) error {
	l.mu.Lock()
	s := l.slots[key]
	if s == nil {
		if l.slots == nil {
			l.slots = make(map[K]*lockSlot)
		}
		s = &lockSlot{token: make(chan struct{}, 1)}
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
	case <-stop:
		l.leave(key, s)
		return ErrClosed
	}
}

// unlock releases a key that the caller locked.
func (l *keyLock[K]) unlock(key K) {
	l.mu.Lock()
	s := l.slots[key]
	l.mu.Unlock()
	<-s.token
	l.leave(key, s)
}

func (l *keyLock[K]) leave(key K, s *lockSlot) {
	l.mu.Lock()
	if s.users--; s.users == 0 {
		delete(l.slots, key)
	}
	l.mu.Unlock()
}
