package collector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ecoin/client"
	"ecoin/collector/wallet"
	"ecoin/core"
	"ecoin/internal/problem"
)

// topUpPause is how long an early top-up that failed is not tried again.
const topUpPause = 10 * time.Second

// Withdraw adds n coins to the wallet and returns how many were added: more, if
// withdrawals under way were completed first, and fewer, if the account's balance
// allows no more. After an error the wallet knows what was under way; withdrawing
// again completes it, and debits nothing twice.
func (c *Collector) Withdraw(ctx context.Context, n int) (int, error) {
	if n < 1 {
		return 0, fmt.Errorf("collector: withdraw %d coins: choose 1 or more", n)
	}
	total := 0
	for total < n {
		want := min(n-total, wallet.MaxWithdraw)
		got, err := c.withdraw(ctx, want)
		total += got
		if err != nil {
			return total, err
		}
		if got < want {
			break // the balance is used up
		}
	}
	return total, nil
}

// withdraw makes one withdrawal of n coins, or of the whole balance if that is less.
func (c *Collector) withdraw(ctx context.Context, n int) (int, error) {
	got, err := c.o.Wallet.Withdraw(ctx, c.ask, n)
	if !errors.Is(err, wallet.ErrNoCredit) {
		return got, err
	}
	account, aerr := c.o.Bank.Account(ctx)
	if aerr != nil || account.Balance <= 0 || account.Balance >= int64(n) {
		return got, fmt.Errorf("%w (refund bad coins, or have the bank's operator grant credit: ecoin trust credit NAME AMOUNT)", err)
	}
	more, err := c.o.Wallet.Withdraw(ctx, c.ask, int(account.Balance))
	return got + more, err
}

// ask is the wallet's question to the bank.
func (c *Collector) ask(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) {
	coins, err := c.o.Bank.Withdraw(ctx, key, n)
	if err == nil {
		return coins, nil
	}
	clear(coins)
	err = &bankError{err}
	var p *problem.Problem
	switch {
	case errors.As(err, &p) && p.Status == http.StatusPaymentRequired:
		return nil, fmt.Errorf("%w: %w", wallet.ErrNoCredit, err)
	case errors.As(err, &p) && p.Status == http.StatusConflict:
		return nil, fmt.Errorf("%w: %w", wallet.ErrOtherCount, err)
	case client.Definite(err):
		return nil, fmt.Errorf("%w: %w", wallet.ErrRefused, err)
	}
	return nil, err
}

// bankError is the error of a call to the bank.
type bankError struct{ err error }

func (e *bankError) Error() string { return e.err.Error() }
func (e *bankError) Unwrap() error { return e.err }

// passing reports whether err comes from the bank and will pass by itself: the bank
// could not be reached, or was too busy. A refusal for any other reason stays.
func passing(err error) bool {
	var b *bankError
	if !errors.As(err, &b) {
		return false
	}
	var p *problem.Problem
	if errors.As(err, &p) {
		return p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests || p.Status == http.StatusInsufficientStorage
	}
	return !client.Definite(err)
}

// takeCoin takes a coin for an operation, and first withdraws some if there are few.
func (c *Collector) takeCoin(ctx context.Context) (*wallet.Held, error) {
	for {
		if err := c.fill(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoCoin, err)
		}
		coin, err := c.o.Wallet.Take()
		if !errors.Is(err, wallet.ErrEmpty) {
			return coin, err
		}
		if !c.fillable() {
			return nil, fmt.Errorf("%w: %w: withdraw some", ErrNoCoin, err)
		}
		// Others were faster; one round more.
	}
}

// fillable reports whether an empty wallet need not stay so.
func (c *Collector) fillable() bool {
	return c.o.Refill > 0 || c.o.Wallet.Counts().Requests > 0
}

// fill tops the wallet up if it is low. It fails only if the wallet is empty.
func (c *Collector) fill(ctx context.Context) error {
	coins := c.o.Wallet.Counts().Coins
	switch {
	case coins == 0 && c.fillable():
		select {
		case c.topUp <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-c.topUp }()
		if c.o.Wallet.Counts().Coins > 0 {
			return nil // somebody else did it
		}
		got, err := c.refill(ctx)
		if err == nil && got == 0 {
			err = errors.New("the withdrawals under way cannot be completed: see the wallet's problems")
		}
		if got == 0 {
			return err
		}
	case coins > 0 && coins <= c.o.Low && c.o.Refill > 0 && time.Now().UnixNano() >= c.retryAt.Load():
		select {
		case c.topUp <- struct{}{}:
		default:
			return nil // somebody is at it, and there are coins meanwhile
		}
		defer func() { <-c.topUp }()
		if c.o.Wallet.Counts().Coins > c.o.Low {
			return nil
		}
		if _, err := c.refill(ctx); err != nil {
			c.retryAt.Store(time.Now().Add(topUpPause).UnixNano())
			c.log.Warn("wallet could not be topped up; going on with the coins there are", "error", err)
		}
	}
	return nil
}

// refill withdraws coins, or completes the withdrawals under way if it may do no
// more. The caller holds topUp's token.
func (c *Collector) refill(ctx context.Context) (got int, err error) {
	if c.o.Refill > 0 {
		got, err = c.withdraw(ctx, c.o.Refill)
	} else {
		got, err = c.o.Wallet.Resume(ctx, c.ask)
	}
	if got > 0 {
		c.log.Info("withdrew coins", "coins", got)
	}
	return got, err
}
