package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ecoin/collector/wallet"
	"ecoin/core"
	"ecoin/internal/wire"
)

// RefundOptions configure Refund. The zero value is the harmless one.
type RefundOptions struct {
	// All gives back the coins that were never used as well: the wallet is empty
	// of usable coins afterwards. For a device that is retired.
	All bool

	// Forget removes the coins that the bank did not refund, because it knows them
	// no more or because somebody redeemed them. An analyst that redeemed one and
	// could not serve it may still return it; then its credit is lost.
	Forget bool
}

// A Refunded is what became of one bad coin.
type Refunded struct {
	Coin   string // name of its file in the wallet
	Status core.Status

	// With core.StatusRedeemed: who redeemed it and when, as the bank has it. Zero
	// once the bank no longer keeps that evidence.
	At       time.Time
	Redeemer [16]byte // account id

	Kept bool // the coin is still in the wallet, for another try
}

// Refund asks the bank about every bad coin and calls visit, which may be nil, for
// each. The credit of those that are live, or were returned by an analyst, comes
// back, and their files are removed. The others stay (see RefundOptions.Forget),
// and the next Refund asks about them again.
//
// It stops at the first failed call to the bank. Nothing is lost then: a coin whose
// refund was answered into the void is refunded once, and asked for again. One
// refund runs at a time.
func (c *Collector) Refund(ctx context.Context, o RefundOptions, visit func(Refunded)) error {
	c.refunded.Lock()
	defer c.refunded.Unlock()
	var resumed error
	if o.All {
		// Coins that are on their way belong to all of them.
		if _, resumed = c.o.Wallet.Resume(ctx, c.ask); resumed != nil {
			resumed = fmt.Errorf("collector: coins of an unfinished withdrawal are not refunded yet: %w", resumed)
		}
		if _, err := c.o.Wallet.Retire(); err != nil {
			return errors.Join(err, resumed)
		}
	}
	for after := ""; ; {
		coins, err := c.o.Wallet.Bad(after, wire.MaxBatch)
		if err != nil || len(coins) == 0 {
			return errors.Join(err, resumed)
		}
		after = coins[len(coins)-1].Name
		if err := c.refundBatch(ctx, coins, o.Forget, visit); err != nil {
			return errors.Join(err, resumed)
		}
	}
}

// refundBatch refunds up to wire.MaxBatch coins, and wipes them.
func (c *Collector) refundBatch(ctx context.Context, bad []wallet.BadCoin, forget bool, visit func(Refunded)) error {
	coins := make([]core.Coin, len(bad))
	for i := range bad {
		coins[i] = bad[i].Coin
		clear(bad[i].Coin[:])
	}
	answers, err := c.o.Bank.Refund(ctx, coins)
	clear(coins)
	if err != nil {
		return fmt.Errorf("collector: refund of %d coins: %w; ask again", len(bad), err)
	}
	if len(answers) != len(bad) {
		return fmt.Errorf("collector: refund of %d coins: the bank answered for %d", len(bad), len(answers))
	}
	var done []string
	for i, a := range answers {
		r := Refunded{Coin: bad[i].Name, Status: a.Status, At: a.At, Redeemer: a.Redeemer, Kept: true}
		switch a.Status {
		case core.StatusOK:
			r.Kept = false
		case core.StatusNotLive, core.StatusRedeemed:
			r.Kept = !forget
		}
		if !r.Kept {
			done = append(done, r.Coin)
		}
		if visit != nil {
			visit(r)
		}
	}
	return c.o.Wallet.Remove(done...)
}
