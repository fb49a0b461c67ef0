package ledger

import "ecoin/core"

// phase is where a coin stands in its life:
//
//	unknown -insert-> live -redeem-> redeemed -return-> returned -refund-> refunded
//	                  live -refund------------------------------------->  refunded
//
// Redeemed and refunded coins become unknown again when their window is dropped.
// No way leads back to live.
type phase uint8

const (
	unknown phase = iota
	live
	redeemed
	returned
	refunded
)

// coin is all the ledger knows about one coin. The zero value is an unknown coin.
// It is pure state: the methods below neither read nor write anything else.
type coin struct {
	phase       phase
	wasReturned bool        // refunded after a return; redeemer and digest are set
	redeemer    AccountID   // redeemed, returned, refunded after a return
	digest      core.Digest // of the header it was redeemed with; set as redeemer is
	refunder    AccountID   // refunded
	at          int64       // when it was redeemed or refunded, unix ms
}

// event is what a transition changes in the books: exactly one count of one account
// and one of its shard.
type event uint8

const (
	nothing          event = iota
	issuedOne              // a coin became live
	redeemedOne            // credit to the redeemer
	returnedOne            // debit to the redeemer
	refundedLive           // credit to the refunder
	refundedReturned       // credit to the refunder
)

// insert makes an unknown coin live. It returns StatusOK when it did, and
// StatusRedeemed when the coin is or was live already, which changes nothing.
func (c *coin) insert() (core.Status, event) {
	if c.phase != unknown {
		return core.StatusRedeemed, nothing
	}
	*c = coin{phase: live}
	return core.StatusOK, issuedOne
}

// redeem consumes a live coin for acc. The same account with the same digest is told
// that it redeemed before, as long as it did not return the coin.
func (c *coin) redeem(acc AccountID, digest core.Digest, now int64) (core.Status, event) {
	switch c.phase {
	case live:
		*c = coin{phase: redeemed, redeemer: acc, digest: digest, at: now}
		return core.StatusOK, redeemedOne
	case redeemed:
		if c.redeemer == acc && c.digest == digest {
			return core.StatusRedeemedBefore, nothing
		}
		return core.StatusRedeemed, nothing
	case returned, refunded:
		return core.StatusRedeemed, nothing
	}
	return core.StatusNotLive, nothing
}

// giveBack takes the credit for a redeemed coin back from acc, once; a repeat is
// told the same, also after the refund that it made possible.
func (c *coin) giveBack(acc AccountID, digest core.Digest) (core.Status, event) {
	own := c.redeemer == acc && c.digest == digest
	switch c.phase {
	case redeemed:
		if !own {
			return core.StatusRedeemed, nothing
		}
		c.phase = returned
		return core.StatusOK, returnedOne
	case returned:
		if !own {
			return core.StatusRedeemed, nothing
		}
		return core.StatusOK, nothing
	case refunded:
		if !own || !c.wasReturned {
			return core.StatusRedeemed, nothing
		}
		return core.StatusOK, nothing
	}
	return core.StatusNotLive, nothing
}

// refund consumes a live or returned coin for acc, once; a repeat by acc is told the same.
func (c *coin) refund(acc AccountID, now int64) (core.Status, event) {
	switch c.phase {
	case live:
		*c = coin{phase: refunded, refunder: acc, at: now}
		return core.StatusOK, refundedLive
	case returned:
		c.phase, c.wasReturned, c.refunder, c.at = refunded, true, acc, now
		return core.StatusOK, refundedReturned
	case refunded:
		if c.refunder == acc {
			return core.StatusOK, nothing
		}
		return core.StatusRedeemed, nothing
	case redeemed:
		return core.StatusRedeemed, nothing
	}
	return core.StatusNotLive, nothing
}

// consumer returns who consumed a redeemed or refunded coin: the evidence a refund shows.
func (c *coin) consumer() AccountID {
	if c.phase == refunded {
		return c.refunder
	}
	return c.redeemer
}

// count books e in the shard's counters and the account's tally.
func (e event) count(c *counters, t *tally) {
	switch e {
	case issuedOne:
		c.issued++ // the account was debited before, under its own lock
	case redeemedOne:
		c.redeemed++
		t.redeemed++
	case returnedOne:
		c.returned++
		t.returned++
	case refundedLive:
		c.refundedLive++
		t.refunded++
	case refundedReturned:
		c.refundedReturned++
		t.refunded++
	}
}

// spent reports whether the coin has a spent record.
func (p phase) spent() bool { return p == redeemed || p == refunded }
