package server

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxRecent is how many refusals are remembered.
const maxRecent = 64

// refusal is one thing that was refused, as the operator sees it. Its texts are this
// program's own, and the account's name: nothing a client sent stands in it.
type refusal struct {
	what    string // "handshake", "connection", or a route's path
	status  int    // HTTP status; 0 where none was sent
	reason  string
	account string // name, "" where none is known
}

// recentRefusal is a refusal, how often it came and when last.
type recentRefusal struct {
	refusal
	peer  netip.Addr // of the newest; an IPv6 peer's /64 network
	count int64
	last  time.Time
}

// recentRefusals remembers the newest refusals. The same refusal again is counted, not
// listed again, so that a flood of one kind leaves the others in sight. The zero value
// is empty. It is safe for concurrent use.
type recentRefusals struct {
	mu   sync.Mutex
	list []recentRefusal // oldest first, at most maxRecent
}

// add remembers one refusal of a peer.
func (r *recentRefusals) add(now time.Time, peer netip.Addr, of refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := recentRefusal{refusal: of}
	if i := slices.IndexFunc(r.list, func(e recentRefusal) bool { return e.refusal == of }); i >= 0 {
		e = r.list[i]
		r.list = slices.Delete(r.list, i, i+1)
	} else if len(r.list) == maxRecent {
		r.list = slices.Delete(r.list, 0, 1)
	}
	e.peer, e.last = peer, now
	e.count++
	r.list = append(r.list, e)
}

// newestFirst returns a copy.
func (r *recentRefusals) newestFirst() []recentRefusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Clone(r.list)
	slices.Reverse(list)
	return list
}
