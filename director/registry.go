package director

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"ecoin/internal/identity"
)

const (
	leaseTime = 15 * time.Second
	sweepTime = time.Second // between two looks for leases that ran out

	// An analyst that could not be reached is passed over for so long, if there is
	// another: it has nothing outstanding, and would be everybody's first choice.
	avoidTime = 5 * time.Second
)

// pin is the SHA-256 of a peer's SubjectPublicKeyInfo.
type pin [sha256.Size]byte

// Outcomes of the registry.
var (
	errTaken   = errors.New("this id belongs to another key as long as its lease lives")
	errLimit   = errors.New("too many analysts are registered")
	errNoLease = errors.New("no analyst of this id is registered")
	errUnknown = errors.New("nobody offers this analysis")
	errFull    = errors.New("every analyst that offers this analysis is full")
)

// registry knows the analysts and chooses among them. Its methods may run
// concurrently; none does I/O.
type registry struct {
	identity    *identity.Identity
	dialTimeout time.Duration
	maxCapacity int
	maxLeases   int
	maxPerKey   int
	changes     *lines // about leases that come and go

	mu          sync.Mutex // guards what follows and the fields of every lease
	leases      map[string]*lease
	offers      map[string][]*lease // by analysis
	outstanding map[string]int      // operations under way by analysis
}

// lease is one registered analyst. It may still be in use after it ran out.
type lease struct {
	id       string
	pin      pin
	target   *target
	analyses []string
	capacity int
	expires  time.Time

	outstanding int
	avoid       time.Time // until then another analyst is better
	gone        bool      // no longer in the registry
}

func newRegistry(o *Options) *registry {
	return &registry{
		identity: o.Identity, dialTimeout: o.DialTimeout,
		maxCapacity: o.MaxCapacity, maxLeases: o.MaxAnalysts, maxPerKey: o.MaxPerKey,
		changes: newLines(o.Logger, slog.LevelInfo, 2*o.MaxAnalysts), // all of them come, and all go
		leases:  map[string]*lease{}, offers: map[string][]*lease{}, outstanding: map[string]int{},
	}
}

// run removes leases that ran out until ctx ends.
func (r *registry) run(ctx context.Context) {
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.sweep()
		}
	}
}

// register grants or renews the lease of id to the key by. What the analyst says
// now replaces what it said before.
func (r *registry) register(id string, by pin, reg registration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	l := r.leases[id]
	if l != nil && !now.Before(l.expires) {
		r.removeLocked(l, "lease ran out")
		l = nil
	}
	switch {
	case l == nil:
		if err := r.roomLocked(now, by); err != nil {
			return err
		}
		l = &lease{id: id, pin: by, target: newTarget(r.identity, by, reg.URL, r.dialTimeout)}
		r.leases[id] = l
		r.changes.write("analyst registered", "id", id, "url", reg.URL, "analyses", reg.Analyses, "capacity", reg.Capacity)
	case l.pin != by:
		return errTaken
	case l.target.base != reg.URL:
		l.target.close()
		l.target = newTarget(r.identity, by, reg.URL, r.dialTimeout)
		r.changes.write("analyst moved", "id", id, "url", reg.URL)
	}
	r.withdrawLocked(l)
	l.analyses = reg.Analyses
	for _, name := range l.analyses {
		r.offers[name] = append(r.offers[name], l)
	}
	l.capacity = min(reg.Capacity, r.maxCapacity)
	l.expires = now.Add(leaseTime)
	return nil
}

// roomLocked says whether the key by may have one more lease.
func (r *registry) roomLocked(now time.Time, by pin) error {
	own := 0
	for _, l := range r.leases {
		if !now.Before(l.expires) {
			r.removeLocked(l, "lease ran out")
		} else if l.pin == by {
			own++
		}
	}
	if own >= r.maxPerKey {
		return fmt.Errorf("%w by this key: at most %d", errLimit, r.maxPerKey)
	}
	if len(r.leases) >= r.maxLeases {
		return fmt.Errorf("%w: at most %d", errLimit, r.maxLeases)
	}
	return nil
}

// unregister ends the lease of id, which must belong to the key by.
func (r *registry) unregister(id string, by pin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.leases[id]
	if l == nil || !time.Now().Before(l.expires) {
		return errNoLease
	}
	if l.pin != by {
		return errTaken
	}
	r.removeLocked(l, "unregistered")
	return nil
}

func (r *registry) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, l := range r.leases {
		if !now.Before(l.expires) {
			r.removeLocked(l, "lease ran out")
		}
	}
}

func (r *registry) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.leases {
		r.removeLocked(l, "director ends")
	}
}

func (r *registry) removeLocked(l *lease, why string) {
	r.withdrawLocked(l)
	delete(r.leases, l.id)
	l.gone = true
	l.target.close()
	r.changes.write("analyst removed", "id", l.id, "reason", why)
}

// withdrawLocked takes back what l offers.
func (r *registry) withdrawLocked(l *lease) {
	for _, name := range l.analyses {
		rest := slices.DeleteFunc(r.offers[name], func(x *lease) bool { return x == l })
		if len(rest) == 0 {
			delete(r.offers, name)
		} else {
			r.offers[name] = rest
		}
	}
	l.analyses = nil
}

// acquire chooses the analyst with the fewest operations outstanding among those
// that offer the analysis, are not full and not in tried; a random one of several.
// The caller must release it. An error is errUnknown or errFull.
func (r *registry) acquire(analysis string, tried []*lease) (*lease, *target, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	err := errUnknown
	var best *lease
	ties := 0
	for _, l := range r.offers[analysis] {
		if !now.Before(l.expires) {
			continue
		}
		err = errFull
		if l.outstanding >= l.capacity || slices.Contains(tried, l) {
			continue
		}
		if best != nil {
			order := compare(l, best, now)
			if order > 0 {
				continue
			}
			if order < 0 {
				ties = 0
			}
		}
		if ties++; rand.IntN(ties) == 0 {
			best = l
		}
	}
	if best == nil {
		return nil, nil, err
	}
	best.outstanding++
	r.outstanding[analysis]++
	return best, best.target, nil
}

// compare is negative when a is the better choice and positive when b is.
func compare(a, b *lease, now time.Time) int {
	switch aAvoid, bAvoid := now.Before(a.avoid), now.Before(b.avoid); {
	case aAvoid && !bAvoid:
		return 1
	case bAvoid && !aAvoid:
		return -1
	}
	return cmp.Compare(a.outstanding, b.outstanding)
}

// release ends what acquire began; reached says whether a connection came about.
func (r *registry) release(l *lease, t *target, analysis string, reached bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.outstanding--
	if r.outstanding[analysis]--; r.outstanding[analysis] == 0 {
		delete(r.outstanding, analysis)
	}
	if !reached {
		l.avoid = time.Now().Add(avoidTime)
	}
	if l.gone || l.target != t {
		t.close() // the connection just used has become idle again
	}
}

// offer is one line of GET /v1/analyses.
type offer struct {
	Name        string `json:"name"`
	Analysts    int    `json:"analysts"`    // that offer it now
	Outstanding int    `json:"outstanding"` // operations of this analysis under way
}

// list returns what is offered, sorted by name, never nil.
func (r *registry) list() []offer {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	out := make([]offer, 0, len(r.offers))
	for name, leases := range r.offers {
		n := 0
		for _, l := range leases {
			if now.Before(l.expires) {
				n++
			}
		}
		if n > 0 {
			out = append(out, offer{Name: name, Analysts: n, Outstanding: r.outstanding[name]})
		}
	}
	slices.SortFunc(out, func(a, b offer) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
