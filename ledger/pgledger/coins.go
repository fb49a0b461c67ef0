package pgledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/ledger"
	"ecoin/ledger/internal/life"
)

// Redeem consumes coins for acc and sets one status each; see [ledger.Ledger.Redeem],
// also for its errors. A redeem whose first answer was lost on the way from the database
// is told core.StatusRedeemedBefore.
//
// Beyond those errors there is ledger.ErrUnavailable, after which nothing happened, and
// any other, after which that is not known: ask again with the same digests.
func (l *Ledger) Redeem(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error {
	checkOut("Redeem", len(coins), len(out))
	c := &call{op: opRedeem, account: acc, coins: coins}
	if err := l.submit(ctx, c); err != nil || len(coins) == 0 {
		return err
	}
	copy(out, c.status)
	l.events.outcomes.Redeemed(out)
	return nil
}

// Return gives coins back that acc redeemed; see [ledger.Ledger.Return], and Redeem for
// the errors.
func (l *Ledger) Return(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error {
	checkOut("Return", len(coins), len(out))
	c := &call{op: opReturn, account: acc, coins: coins}
	if err := l.submit(ctx, c); err != nil || len(coins) == 0 {
		return err
	}
	copy(out, c.status)
	l.events.outcomes.Settled(out)
	return nil
}

// Refund consumes live or returned coins for acc; see [ledger.Ledger.Refund], and Redeem
// for the errors.
func (l *Ledger) Refund(ctx context.Context, acc ledger.AccountID, coins []core.Fingerprint, out []ledger.Refund) error {
	checkOut("Refund", len(coins), len(out))
	c := &call{op: opRefund, account: acc, coins: make([]ledger.Redemption, len(coins)), states: make([]life.Coin, len(coins))}
	for i, fp := range coins {
		c.coins[i].Fingerprint = fp
	}
	if err := l.submit(ctx, c); err != nil || len(coins) == 0 {
		return err
	}
	for i, status := range c.status {
		out[i] = ledger.Refund{Status: status}
		if status == core.StatusRedeemed {
			out[i].At, out[i].Redeemer = time.UnixMilli(c.states[i].At), c.states[i].Consumer()
		}
	}
	l.events.outcomes.Settled(c.status)
	return nil
}

func checkOut(method string, coins, out int) {
	if coins != out {
		panic(fmt.Sprintf("pgledger: %s of %d coins with room for %d outcomes", method, coins, out))
	}
}

// submit runs a call: all that can refuse it as a whole comes first.
func (l *Ledger) submit(ctx context.Context, c *call) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	n := len(c.coins)
	if n == 0 {
		return nil
	}
	if n > ledger.MaxCall {
		return fmt.Errorf("pgledger: %d coins in one call, at most %d are allowed", n, ledger.MaxCall)
	}
	if err := l.checkAccount(ctx, c.account); err != nil {
		return err
	}
	c.status = make([]core.Status, n)
	c.done = make(chan struct{})
	if err := l.queue.put(c); err != nil {
		l.events.overloads.Add(1)
		return err
	}
	<-c.done
	return c.err
}

// checkAccount returns ledger.ErrNoAccount unless the account exists, removed or not. An
// account exists for ever, so one that was found is not looked for again soon.
func (l *Ledger) checkAccount(ctx context.Context, id ledger.AccountID) error {
	known := &l.known[binary.BigEndian.Uint16(id[:])%uint16(len(l.known))]
	if k := known.Load(); k != nil && *k == id {
		return nil
	}
	err := l.repeat(ctx, l.lookups, "look for an account", nil, func(ctx context.Context, c *pgx.Conn) error {
		var found bool
		if err := c.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM account WHERE id = $1)`, [16]byte(id)).Scan(&found); err != nil {
			return err
		}
		if !found {
			return outcome{ledger.ErrNoAccount}
		}
		return nil
	})
	if err == nil {
		known.Store(&id)
	}
	return err
}
