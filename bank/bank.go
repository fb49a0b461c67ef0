// Package bank holds the rules of the bank: who may withdraw, redeem, return and
// refund, what a body may hold, and what its answer is. It turns the bodies of the
// API (docs/PROTOCOL.md, "Bank") into one batch for the cryptography and one batch
// for the ledger, and their outcomes into the answer's bytes. It knows no HTTP.
//
// The guarantee: an answer says what the ledger made durable, and nothing else. A
// coin and its IV leave the bank with the statuses "redeemed now" and "redeemed
// before by you" alone; every other record is filled with zeros.
//
// Start with [New] and [Bank.Redeem].
package bank

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// Errors a caller branches on. Malformed bodies are wire.ErrEmpty, wire.ErrTooMany,
// wire.ErrLength and core.ErrFormat; the ledger's own errors come through wrapped.
var (
	// ErrRole reports a call that the account's role does not allow.
	ErrRole = errors.New("this account's role does not allow the call")
	// ErrCount reports a withdrawal of fewer than 1 or more than wire.MaxWithdraw coins.
	ErrCount = fmt.Errorf("a withdrawal takes from 1 to %d coins", wire.MaxWithdraw)
)

// Ledger is the accounting the bank needs. Every method is safe for concurrent use,
// keeps none of its arguments after it returned, and returns nil only after what it
// reports is durable. An error means that the call as a whole was refused and out is
// not filled; a fault of single coins is their core.StatusTemporary.
type Ledger interface {
	// Withdraw debits n coins and makes live those that salt gives. It returns the
	// salt that counts: the one stored under id by an earlier call, if there was one.
	Withdraw(ctx context.Context, acc ledger.AccountID, id ledger.RequestID, salt core.Salt, n int) (core.Salt, error)
	// Redeem consumes coins for acc and sets one status each; len(out) = len(coins).
	Redeem(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error
	// Return gives coins back that acc redeemed and sets one status each.
	Return(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error
	// Refund consumes live or returned coins for acc and sets one outcome each.
	Refund(ctx context.Context, acc ledger.AccountID, coins []core.Fingerprint, out []ledger.Refund) error
	// Account returns the account as it is now.
	Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error)
	// Audit scans the whole ledger.
	Audit(ctx context.Context) (ledger.Audit, error)
}

// Options configures New. All but URL is required.
type Options struct {
	Ledger Ledger
	Keys   *core.Keyring // keys that open headers
	Mint   *core.Mint    // makes coins and fingerprints; the ledger must use the same
	URL    string        // where clients reach this bank, announced with its keys

	// MaxCoins bounds the coins of calls under way: above it, and before it for an
	// account that has more under way than is left free, calls are ErrBusy. At least
	// 20,000; 0 means 49,152. It should be less than what the ledger lets wait.
	MaxCoins int

	Rate      int // coins a second that an account may do; 0 means no limit
	RateBurst int // coins that it may do at once after a rest; 0 means Rate, and at least 10,000
}

// Bank applies the rules. All methods are safe for concurrent use, except Close.
type Bank struct {
	ledger  Ledger
	mint    *core.Mint
	url     string
	keys    atomic.Pointer[core.Keyring]
	batches sync.Pool // of *batch
	room    *room
	opener  *opener
	stages  stages
}

// New returns a bank, or an error that names what o lacks. Close ends its workers.
func New(o Options) (*Bank, error) {
	switch {
	case o.Ledger == nil:
		return nil, errors.New("bank: no ledger given")
	case o.Mint == nil:
		return nil, errors.New("bank: no mint given")
	case o.Keys == nil:
		return nil, errors.New("bank: no keyring given")
	}
	room, err := newRoom(o)
	if err != nil {
		return nil, err
	}
	b := &Bank{ledger: o.Ledger, mint: o.Mint, url: o.URL, room: room}
	b.keys.Store(o.Keys)
	b.opener = newOpener(b)
	return b, nil
}

// Close ends the bank's workers. No call may be under way or follow.
func (b *Bank) Close() { b.opener.close() }

// SetKeys replaces the keyring. A header that is not opened yet and is sealed for a key
// that is gone no longer opens.
func (b *Bank) SetKeys(keys *core.Keyring) {
	if keys == nil {
		panic("bank: SetKeys without a keyring")
	}
	b.keys.Store(keys)
}

// Keys lists the public keys that headers may be sealed for.
func (b *Bank) Keys() wire.Keys {
	public := b.keys.Load().Public()
	out := wire.Keys{Keys: make([]wire.Key, len(public))}
	for i, k := range public {
		out.Keys[i] = wire.Key{
			Suite:     k.Suite().String(),
			KeyID:     k.ID().String(),
			PublicKey: base64.StdEncoding.EncodeToString(k.Bytes()),
			URL:       b.url,
		}
	}
	return out
}

// Account returns the caller's own account as it is now. Any role may ask.
func (b *Bank) Account(ctx context.Context, acc ledger.Client) (wire.Account, error) {
	a, err := b.ledger.Account(ctx, acc.ID)
	if err != nil {
		return wire.Account{}, fmt.Errorf("bank: account: %w", err)
	}
	return wire.Account{
		ID: a.ID.String(), Name: a.Name, Role: a.Role.String(),
		Balance: a.Balance(), Granted: a.Granted, Issued: a.Issued,
		Redeemed: a.Redeemed, Returned: a.Returned, Refunded: a.Refunded,
	}, nil
}

// Audit scans the ledger, as of one moment and while it works on; see
// ledger.Audit for what it compares.
func (b *Bank) Audit(ctx context.Context) (wire.Audit, error) {
	a, err := b.ledger.Audit(ctx)
	if err != nil {
		return wire.Audit{}, fmt.Errorf("bank: audit: %w", err)
	}
	return wire.Audit{
		OK: a.OK(), Problems: append([]string{}, a.Problems...), Damaged: append([]int{}, a.Damaged...),
		Accounts: int64(a.Accounts), Live: a.Live, Returned: a.Returned, Pending: a.Pending,
		Granted: a.Granted, Balances: a.Balances,
		Issued: a.Issued, Redeemed: a.Redeemed, Refunded: a.Refunded,
	}, nil
}

// require returns ErrRole unless acc has the role.
func require(acc ledger.Client, role ledger.Role) error {
	if acc.Role != role {
		return ErrRole
	}
	return nil
}
