package ledger

import (
	"errors"
	"fmt"
)

// Outcomes a caller branches on. Every other error wraps a cause and means that
// the operation's fate is as its method documents.
var (
	// ErrNoAccount reports an account id or pin that was never added.
	ErrNoAccount = errors.New("ledger: no such account")
	// ErrAccountExists reports a pin that already belongs to an account.
	ErrAccountExists = errors.New("ledger: an account has this pin already")
	// ErrAccountSame is the ErrAccountExists of an account that is there already as it
	// would be added.
	ErrAccountSame = fmt.Errorf("%w, with this name and role", ErrAccountExists)
	// ErrNameTaken reports a name that another account has.
	ErrNameTaken = errors.New("ledger: an account has this name already")
	// ErrRemoved reports a change to an account that was removed.
	ErrRemoved = errors.New("ledger: the account was removed: add its key again")
	// ErrRotating reports a third pin for an account.
	ErrRotating = errors.New("ledger: the account has two pins already: drop one first")
	// ErrNoPin reports a pin that is not one of an account's two.
	ErrNoPin = errors.New("ledger: this is not one of two pins of the account")
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
	// ErrUnavailable reports a database that does not answer. Nothing happened; ask again later.
	ErrUnavailable = errors.New("ledger: the database does not answer, ask again later")
	// ErrOwnFolder reports a checkpoint into one of the folders that the ledger is in.
	ErrOwnFolder = errors.New("ledger: a checkpoint does not go into a folder of the ledger itself")
	// ErrClosed reports a call after Close.
	ErrClosed = errors.New("ledger: closed")
)
