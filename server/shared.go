package server

import (
	"context"
	"io"
	"time"

	"ecoin/ledger"
)

// shared is what Accounts have more when they are in a database that other nodes use, too.
type shared interface {
	// Away reports whether calls are refused because the database does not answer.
	Away() bool
	// WriteMetrics writes metrics of its own in Prometheus text format.
	WriteMetrics(w io.Writer)
	// TrustChanges returns what any node changed after that number, in order, and the last
	// number; with a negative one only the newest number.
	TrustChanges(ctx context.Context, after int64) ([]ledger.TrustChange, int64, error)
}

func (s *Server) databaseAway() bool {
	d, ok := s.o.Accounts.(shared)
	return ok && d.Away()
}

// followEvery is how often a node asks for what others changed: about so long a key that
// another node removed is still trusted here.
const followEvery = time.Second

// follow takes up, until the server's context ends, whom other nodes do not trust any
// more: it forgets what is remembered of them and cuts their connections, in this order
// (see register). Changes of this very node are followed, too: they
// cut once more, which costs a client one connect.
func (s *Server) follow(d shared) {
	last := s.followed
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		changes, newest, err := d.TrustChanges(s.base, last)
		for _, c := range changes {
			if c.Dropped != (ledger.Pin{}) {
				s.trust.forgetKey(c.Dropped)
				s.conns.cutKey(c.Account, c.Dropped)
				continue
			}
			s.trust.forget(c.Account)
			s.conns.cut(c.Account) // also when it is active: it may have been removed, and added as something else
		}
		if err == nil {
			last = newest
			if len(changes) > 0 {
				continue // there may be more
			}
		}
		select {
		case <-tick.C:
		case <-s.base.Done():
			return
		}
	}
}
