// Package outcomes counts how calls on coins ended, for every kind of ledger alike.
package outcomes

import (
	"sync/atomic"

	"ecoin/core"
)

// Counts are the outcomes since a ledger was opened that its operators look at. The zero
// value is ready. All methods are safe for concurrent use.
type Counts struct {
	Retries      atomic.Int64 // redeems repeated by the same account
	DoubleSpends atomic.Int64 // redeems of a coin consumed in another way
	NotLive      atomic.Int64
	Temporary    atomic.Int64
}

// Redeemed counts the statuses of a redeem.
func (c *Counts) Redeemed(status []core.Status) {
	n := c.Settled(status)
	c.Retries.Add(n[core.StatusRedeemedBefore])
	c.DoubleSpends.Add(n[core.StatusRedeemed])
}

// Settled counts the statuses of a return or refund, and returns how many of each there were.
func (c *Counts) Settled(status []core.Status) (n [core.StatusTemporary + 1]int64) {
	n = Count(status)
	c.NotLive.Add(n[core.StatusNotLive])
	c.Temporary.Add(n[core.StatusTemporary])
	return n
}

// Count returns how many there are of each status.
func Count(status []core.Status) (n [core.StatusTemporary + 1]int64) {
	for _, s := range status {
		n[s]++
	}
	return n
}
