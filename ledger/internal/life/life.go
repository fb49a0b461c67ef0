// Package life is what may happen to a coin: the states and transitions that every
// ledger obeys, whatever it is stored in. It neither reads nor writes anything else.
package life

import "ecoin/core"

// Account is an account's id, a ledger.AccountID.
type Account = [16]byte

// Phase is where a coin stands in its life:
//
//	Unknown -Insert-> Live -Redeem-> Redeemed -GiveBack-> Returned -Refund-> Refunded
//	                  Live -Refund--------------------------------------->  Refunded
//
// Redeemed and refunded coins become unknown again when their window is dropped.
// No way leads back to live.
type Phase uint8

const (
	Unknown Phase = iota
	Live
	Redeemed
	Returned
	Refunded
)

// Spent reports whether the coin has a spent record.
func (p Phase) Spent() bool { return p == Redeemed || p == Refunded }

// Coin is all that a ledger knows about one coin. The zero value is an unknown coin.
type Coin struct {
	Phase       Phase
	WasReturned bool        // refunded after a return; Redeemer and Digest are set
	Redeemer    Account     // redeemed, returned, refunded after a return
	Digest      core.Digest // of the header it was redeemed with; set as Redeemer is
	Refunder    Account     // refunded
	At          int64       // when it was redeemed or refunded, unix ms
}

// Event is what a transition changes in the books: exactly one count of one account.
type Event uint8

const (
	Nothing          Event = iota
	Issued                 // a coin became live
	Credited               // redeemed: credit to the redeemer
	GivenBack              // returned: debit to the redeemer
	RefundedLive           // credit to the refunder
	RefundedReturned       // credit to the refunder
)

// Insert makes an unknown coin live. It returns StatusOK when it did, and
// StatusRedeemed when the coin is or was live already, which changes nothing.
func (c *Coin) Insert() (core.Status, Event) {
	if c.Phase != Unknown {
		return core.StatusRedeemed, Nothing
	}
	*c = Coin{Phase: Live}
	return core.StatusOK, Issued
}

// Redeem consumes a live coin for acc. The same account with the same digest is told
// that it redeemed before, as long as it did not return the coin.
func (c *Coin) Redeem(acc Account, digest core.Digest, now int64) (core.Status, Event) {
	switch c.Phase {
	case Live:
		*c = Coin{Phase: Redeemed, Redeemer: acc, Digest: digest, At: now}
		return core.StatusOK, Credited
	case Redeemed:
		if c.Redeemer == acc && c.Digest == digest {
			return core.StatusRedeemedBefore, Nothing
		}
		return core.StatusRedeemed, Nothing
	case Returned, Refunded:
		return core.StatusRedeemed, Nothing
	}
	return core.StatusNotLive, Nothing
}

// GiveBack takes the credit for a redeemed coin back from acc, once; a repeat is
// told the same, also after the refund that it made possible.
func (c *Coin) GiveBack(acc Account, digest core.Digest) (core.Status, Event) {
	own := c.Redeemer == acc && c.Digest == digest
	switch c.Phase {
	case Redeemed:
		if !own {
			return core.StatusRedeemed, Nothing
		}
		c.Phase = Returned
		return core.StatusOK, GivenBack
	case Returned:
		if !own {
			return core.StatusRedeemed, Nothing
		}
		return core.StatusOK, Nothing
	case Refunded:
		if !own || !c.WasReturned {
			return core.StatusRedeemed, Nothing
		}
		return core.StatusOK, Nothing
	}
	return core.StatusNotLive, Nothing
}

// Refund consumes a live or returned coin for acc, once; a repeat by acc is told the same.
func (c *Coin) Refund(acc Account, now int64) (core.Status, Event) {
	switch c.Phase {
	case Live:
		*c = Coin{Phase: Refunded, Refunder: acc, At: now}
		return core.StatusOK, RefundedLive
	case Returned:
		c.Phase, c.WasReturned, c.Refunder, c.At = Refunded, true, acc, now
		return core.StatusOK, RefundedReturned
	case Refunded:
		if c.Refunder == acc {
			return core.StatusOK, Nothing
		}
		return core.StatusRedeemed, Nothing
	case Redeemed:
		return core.StatusRedeemed, Nothing
	}
	return core.StatusNotLive, Nothing
}

// Consumer returns who consumed a redeemed or refunded coin: the evidence a refund shows.
func (c *Coin) Consumer() Account {
	if c.Phase == Refunded {
		return c.Refunder
	}
	return c.Redeemer
}
