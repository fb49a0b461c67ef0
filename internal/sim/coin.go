package sim

import (
	"fmt"
	"slices"

	"ecoin/core"
)

// opKind is what a client asks for.
type opKind uint8

const (
	redeem opKind = iota
	giveBack
	refund
	withdraw
	grant
	addAccount
	removeAccount
	look // at an account
)

func (k opKind) String() string {
	return [...]string{"redeem", "return", "refund", "withdraw", "grant", "add", "remove", "look"}[k]
}

// phase is where a coin stands, as the contract tells it.
type phase uint8

const (
	never phase = iota // never issued
	live
	redeemed
	returned
	refunded
	forgotten // redeemed or refunded longer ago than the spent window
)

func (p phase) String() string {
	return [...]string{"never issued", "live", "redeemed", "returned", "refunded", "forgotten"}[p]
}

// state is a coin as the contract tells it, written apart from the ledger's own.
type state struct {
	phase    phase
	redeemer int // account + 1, 0 for nobody; kept in later phases
	digest   core.Digest
	refunder int   // account + 1
	at       int64 // of the last redeem or refund, unix ms
}

// outcome is what a client is told about a coin.
type outcome struct {
	status core.Status
	by     int   // account + 1, with a refund that came too late
	at     int64 // unix ms
}

// step returns what one operation on a coin leads to and what is answered.
func (s state) step(kind opKind, acc int, digest core.Digest, now int64) (state, outcome) {
	who := acc + 1
	mine := s.redeemer == who && s.digest == digest
	if s.phase == never || s.phase == forgotten {
		return s, outcome{status: core.StatusNotLive}
	}
	switch kind {
	case redeem:
		switch {
		case s.phase == live:
			return state{phase: redeemed, redeemer: who, digest: digest, at: now}, outcome{status: core.StatusOK}
		case s.phase == redeemed && mine:
			return s, outcome{status: core.StatusRedeemedBefore}
		}
		return s, outcome{status: core.StatusRedeemed}
	case giveBack:
		switch {
		case s.phase == live:
			return s, outcome{status: core.StatusNotLive}
		case !mine:
			return s, outcome{status: core.StatusRedeemed}
		case s.phase == redeemed:
			s.phase = returned
		}
		return s, outcome{status: core.StatusOK}
	}
	switch s.phase {
	case live, returned:
		s.phase, s.refunder, s.at = refunded, who, now
	case refunded:
		if s.refunder != who {
			return s, outcome{core.StatusRedeemed, s.refunder, s.at}
		}
	case redeemed:
		return s, outcome{core.StatusRedeemed, s.redeemer, s.at}
	}
	return s, outcome{status: core.StatusOK}
}

// owed returns what the coin means for the books of an account.
func (s state) owed(acc int) (b books) {
	if s.redeemer == acc+1 {
		b.redeemed = 1
		if s.phase == returned || s.refunder != 0 {
			b.returned = 1
		}
	}
	if s.refunder == acc+1 {
		b.refunded = 1
	}
	return b
}

// coin is what clients know about one coin: the states that no answer rules out.
// There is more than one only after an answer was lost, or after the spent window.
type coin struct {
	index   int
	secret  core.Coin
	fp      core.Fingerprint
	shard   int
	belief  []state
	headers [2]header // two operations that a collector might have used it for
}

// header is a record with the coin in it; bytes is nil until the bank is to open it.
type header struct {
	digest core.Digest
	iv     core.IV
	bytes  []byte
}

// learn takes in an answer. It returns an error if the answer contradicts all that
// clients were told before.
func (c *coin) learn(kind opKind, acc int, digest core.Digest, now int64, got outcome) error {
	var next []state
	var want []outcome
	for _, s := range c.belief {
		to, out := s.step(kind, acc, digest, now)
		want = append(want, out)
		if out == got && !slices.Contains(next, to) {
			next = append(next, to)
		}
	}
	if len(next) == 0 {
		return fmt.Errorf("coin %d: %v by account %d was answered %v; clients know the coin as %v, want %v",
			c.index, kind, acc, got, c.belief, want)
	}
	c.belief = next
	return nil
}

// lose takes in that an operation may have happened or not.
func (c *coin) lose(kind opKind, acc int, digest core.Digest, now int64) {
	for _, s := range c.belief {
		if to, _ := s.step(kind, acc, digest, now); !slices.Contains(c.belief, to) {
			c.belief = append(c.belief, to)
		}
	}
}

// age takes in that the ledger may have forgotten the coin.
func (c *coin) age(now, window int64) {
	for _, s := range c.belief {
		if (s.phase == redeemed || s.phase == refunded) && now-s.at >= window {
			s.phase = forgotten
			if !slices.Contains(c.belief, s) {
				c.belief = append(c.belief, s)
			}
		}
	}
}

// certain reports whether clients know the coin's state, but for forgetting, and for
// when it came about, which no answer tells who did it.
func (c *coin) certain() bool {
	first := c.belief[0]
	for _, s := range c.belief[1:] {
		if s.phase == forgotten {
			s.phase = first.phase
		}
		s.at = first.at
		if s != first {
			return false
		}
	}
	return true
}
