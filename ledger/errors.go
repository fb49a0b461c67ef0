package ledger

import "errors"

// Outcomes a caller branches on. Every other error wraps a cause and means that
// the operation's fate is as its method documents.
var (
	// ErrNoAccount reports an account id or pin that was never added.
	ErrNoAccount = errors.New("ledger: no such account")
	// ErrAccountExists reports a pin that already belongs to an active account.
	ErrAccountExists = errors.New("ledger: an active account has this pin already")
	// ErrInsufficient reports a withdrawal, or a negative grant, above the balance.
	ErrInsufficient = errors.New("ledger: balance is not sufficient")
	// ErrGrantLimit reports a grant that takes what an account was granted in all
	// beyond 10^15 coins, in either direction.
	ErrGrantLimit = errors.New("ledger: an account is granted at most 1000000000000000 coins in all")
	// ErrRequestMismatch reports a request id used before with another number of coins.
	ErrRequestMismatch = errors.New("ledger: request id was used before with another number of coins")
	// ErrLowDisk reports that new coins are refused because the disk is nearly full.
	ErrLowDisk = errors.New("ledger: disk is nearly full, no coins are issued until space is freed")
	// ErrOverload reports a full queue. Nothing happened; ask again later.
	ErrOverload = errors.New("ledger: too much work is waiting, ask again later")
	// ErrClosed reports a call after Close.
	ErrClosed = errors.New("ledger: closed")
)
