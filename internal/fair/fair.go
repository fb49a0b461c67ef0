// Package fair shares a bounded resource among holders that do not know of each other.
package fair

import "sync"

// Share bounds what all holders have at once. A holder may have as much as is left free.
// So one that takes all it can get has half, two have a third each, and what is left
// serves those that need little. It is safe for concurrent use.
type Share[K comparable] struct {
	max int

	mu   sync.Mutex // guards what follows; nothing blocks under it
	used int
	by   map[K]int // of those that have any
}

// New returns a share of max units in all.
func New[K comparable](max int) *Share[K] { return &Share[K]{max: max, by: map[K]int{}} }

// Take gives n more units to a holder, or nothing and false. Give takes them back.
func (s *Share[K]) Take(holder K, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := s.by[holder]
	if has+n > s.max-s.used {
		return false
	}
	s.used += n
	s.by[holder] = has + n
	return true
}

// Give takes n units back that a holder has.
func (s *Share[K]) Give(holder K, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if has := s.by[holder] - n; has > 0 {
		s.by[holder] = has
	} else {
		delete(s.by, holder)
	}
}

// InUse returns how many units all holders have.
func (s *Share[K]) InUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}
