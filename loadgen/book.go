package loadgen

import (
	"sort"
	"sync/atomic"

	"ecoin/core"
)

// book holds coins that were withdrawn before the load, and what became of each. A coin
// belongs to the worker that took it until the load is over; then to whoever settles.
type book struct {
	coins   []core.Coin
	records []byte // a sealed header for each, in the same order; none for a refund's
	size    int    // bytes of a record
	state   []state
	by      []uint8 // the analyst that redeems it, by index in the plan
	owners  []span
	next    atomic.Int64
}

// span is who withdrew the coins from first on.
type span struct {
	first int
	owner uint32
}

// state is what the load knows of a coin.
type state uint8

const (
	live      state = iota // nothing was asked for, or it was refused
	asked                  // a redeem was sent and not answered
	redeemed               // by the analyst in by
	refunding              // a refund was sent and not answered
	refunded
	operating // sent to a director, and no reply came
	served    // redeemed by the analyst of an operation
	broken    // the bank said what cannot be; a problem of the audit
)

// take returns the position of the next n coins that nobody took, false when there
// are not so many.
func (b *book) take(n int) (first int, ok bool) {
	end := b.next.Add(int64(n))
	if end > int64(len(b.coins)) {
		return 0, false
	}
	return int(end) - n, true
}

func (b *book) record(i int) []byte { return b.records[i*b.size : (i+1)*b.size] }

// owner returns who withdrew coin i.
func (b *book) owner(i int) uint32 {
	return b.owners[sort.Search(len(b.owners), func(j int) bool { return b.owners[j].first > i })-1].owner
}

// set changes the state of n coins.
func (b *book) set(first, n int, to state) {
	for i := first; i < first+n; i++ {
		b.state[i] = to
	}
}

// wipe clears all coins.
func (b *book) wipe() {
	clear(b.coins)
	clear(b.records)
}
