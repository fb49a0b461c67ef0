package pgledger

import (
	"sync"
	"time"
)

// breaker keeps callers away from a database that does not answer: after a few failures
// in a row one caller a moment tries, and the others are refused at once.
type breaker struct {
	mu       sync.Mutex
	failures int
	last     error // of the failures
	opened   time.Time
	next     time.Time // of the next try, once it is open
}

const (
	breakAfter = 3
	probeEvery = 250 * time.Millisecond
)

// allow returns nil if the caller may try, or why others failed.
func (b *breaker) allow(now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return nil
	}
	if now.Before(b.next) {
		return b.last
	}
	b.next = now.Add(probeEvery)
	return nil
}

// openFor returns how long callers have been refused, 0 if they are not.
func (b *breaker) openFor(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return 0
	}
	return now.Sub(b.opened)
}

// note takes up how a try went, nil for well, and reports whether that opened or closed the
// breaker.
func (b *breaker) note(err error, now time.Time) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.failures >= breakAfter
	if err == nil {
		b.failures, b.last = 0, nil
		return was
	}
	b.failures++
	b.last = err
	b.next = now.Add(probeEvery)
	if was || b.failures < breakAfter {
		return false
	}
	b.opened = now
	return true
}
