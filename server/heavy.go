package server

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ecoin/ledger"
)

// Size of a table of heavy accounts: 64 sets of 16 are 49 KiB, names not counted.
const (
	heavySets = 64
	heavyWays = 16
)

// heavyTable counts coins by account in constant memory, whatever the number of
// accounts, for the sake of those that move most. It is the space-saving algorithm
// (Metwally, Agrawal and El Abbadi, 2005) in sets, like a processor's cache: an account
// has its set by its id, which is random, and in a full set a newcomer takes the place
// and the count of the smallest, which becomes its error. So a count is never too low,
// and too high by its error at most, and an account with more than a sixteenth of its
// set's coins, about a thousandth of all, is there. A call looks at 16 ids; there is no map
// and no heap.
//
// The zero value is empty. It is safe for concurrent use.
type heavyTable [heavySets]heavySet

type heavySet struct {
	mu   sync.Mutex // held for a look at the set
	ways [heavyWays]heavyCount
}

// heavyCount is one account's coins: at most coins, at least coins-surplus.
type heavyCount struct {
	id             ledger.AccountID
	name           string
	coins, surplus int64
}

// certain is how many coins the account has moved at least.
func (c heavyCount) certain() int64 { return c.coins - c.surplus }

// add counts n coins, one or more, of an account.
func (t *heavyTable) add(id ledger.AccountID, name string, n int64) {
	set := &t[binary.LittleEndian.Uint64(id[:])%heavySets]
	set.mu.Lock()
	defer set.mu.Unlock()
	least := &set.ways[0]
	for i := range set.ways {
		w := &set.ways[i]
		if w.id == id && w.coins > 0 {
			w.coins += n
			return
		}
		if w.coins < least.coins {
			least = w
		}
	}
	*least = heavyCount{id: id, name: name, coins: least.coins + n, surplus: least.coins}
}

// each calls f for every account in the table.
func (t *heavyTable) each(f func(heavyCount)) {
	for i := range t {
		t[i].mu.Lock()
		ways := t[i].ways
		t[i].mu.Unlock()
		for _, w := range ways {
			if w.coins > 0 {
				f(w)
			}
		}
	}
}

// heavyPeriod is how long one table is filled.
const heavyPeriod = 5 * time.Minute

// heavyAccounts knows the accounts that moved most coins lately: in the running
// period and the one before. Make it with newHeavyAccounts.
type heavyAccounts struct {
	periods atomic.Pointer[heavyPeriods]
}

type heavyPeriods struct {
	now, before *heavyTable
	since       time.Time // begin of now
	from        time.Time // begin of before
}

func newHeavyAccounts(now time.Time) *heavyAccounts {
	a := new(heavyAccounts)
	a.periods.Store(&heavyPeriods{now: new(heavyTable), before: new(heavyTable), since: now, from: now})
	return a
}

// add counts n coins of an account; none are fine.
func (a *heavyAccounts) add(account *ledger.Client, n int) {
	if n > 0 {
		a.periods.Load().now.add(account.ID, account.Name, int64(n))
	}
}

// turn begins a new period if it is time. One goroutine calls it.
func (a *heavyAccounts) turn(now time.Time) {
	if p := a.periods.Load(); now.Sub(p.since) >= heavyPeriod {
		a.periods.Store(&heavyPeriods{now: new(heavyTable), before: p.now, since: now, from: p.since})
	}
}

// top returns the n accounts that moved most coins for certain, the first first, and
// since when they were counted. By what they moved at most, many small accounts would
// look like large ones.
func (a *heavyAccounts) top(n int) ([]heavyCount, time.Time) {
	p := a.periods.Load()
	sum := map[ledger.AccountID]heavyCount{}
	for _, t := range []*heavyTable{p.before, p.now} { // the newest name of an account wins
		t.each(func(c heavyCount) {
			s := sum[c.id]
			c.coins, c.surplus = c.coins+s.coins, c.surplus+s.surplus
			sum[c.id] = c
		})
	}
	all := make([]heavyCount, 0, len(sum))
	for _, c := range sum {
		all = append(all, c)
	}
	slices.SortFunc(all, func(x, y heavyCount) int {
		return cmp.Or(cmp.Compare(y.certain(), x.certain()), cmp.Compare(x.name, y.name), slices.Compare(x.id[:], y.id[:]))
	})
	return all[:min(n, len(all))], p.from
}
