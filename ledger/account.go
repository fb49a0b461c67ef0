package ledger

import (
	"encoding/hex"
	"fmt"
	"time"
)

// AccountID names an account for ever; it survives a change of the client's key.
// It is random and not secret. String, MarshalText and %v give 32 hex digits.
type AccountID [16]byte

func (id AccountID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns 32 lower-case hex digits.
func (id AccountID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText accepts exactly 32 hex digits of either case.
func (id *AccountID) UnmarshalText(text []byte) error {
	return unmarshalHex(id[:], text, "account id")
}

// RequestID is the idempotency key of one withdrawal, chosen by the client and
// unique within its account.
type RequestID [16]byte

// Pin is the SHA-256 of a client's SubjectPublicKeyInfo (DER): the key by which a
// connection finds its account. String, MarshalText and %v give 64 hex digits.
type Pin [32]byte

func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// MarshalText returns 64 lower-case hex digits.
func (p Pin) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, p[:]), nil }

// UnmarshalText accepts exactly 64 hex digits of either case.
func (p *Pin) UnmarshalText(text []byte) error { return unmarshalHex(p[:], text, "pin") }

func unmarshalHex(dst, text []byte, what string) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("ledger: %s has %d characters, want %d hex digits", what, len(text), hex.EncodedLen(len(dst)))
	}
	var buf [32]byte
	if _, err := hex.Decode(buf[:], text); err != nil {
		return fmt.Errorf("ledger: %s is not hex: %w", what, err)
	}
	copy(dst, buf[:])
	return nil
}

// Role says what an account may do. The ledger stores it; the bank enforces it.
type Role uint8

const (
	RoleCollector Role = 1 // withdraws and refunds
	RoleAnalyst   Role = 2 // redeems and returns
)

// String returns "collector", "analyst", or "role(N)" for anything else.
func (r Role) String() string {
	switch r {
	case RoleCollector:
		return "collector"
	case RoleAnalyst:
		return "analyst"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// ParseRole reads what String writes: "collector" or "analyst".
func ParseRole(s string) (Role, error) {
	switch s {
	case "collector":
		return RoleCollector, nil
	case "analyst":
		return RoleAnalyst, nil
	}
	return 0, fmt.Errorf("ledger: role %q is unknown, want collector or analyst", s)
}

// MarshalText returns "collector" or "analyst", an error for any other value.
func (r Role) MarshalText() ([]byte, error) {
	if _, err := ParseRole(r.String()); err != nil {
		return nil, err
	}
	return []byte(r.String()), nil
}

// State says whether an account's keys open anything.
type State uint8

const (
	Active    State = 0
	Removed   State = 1 // for good, until its key is added again; the amounts stay part of the audit
	Suspended State = 2 // until it is resumed
)

// String returns "active", "removed", "suspended", or "state(N)" for anything else.
func (s State) String() string {
	switch s {
	case Active:
		return "active"
	case Removed:
		return "removed"
	case Suspended:
		return "suspended"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Client is whose a key is and what it may do.
type Client struct {
	ID    AccountID
	Name  string // 1 to 128 bytes of UTF-8 without control characters; unique among accounts that are not removed
	Role  Role
	State State
}

// TrustChange is a change of whom to trust that some node of a shared ledger made.
type TrustChange struct {
	Account AccountID
	Dropped Pin // the key that was dropped; zero if the account's state changed, or all of it
}

// Account is a snapshot of one account. All amounts count coins since the account
// was added; only Granted can be negative.
type Account struct {
	Client
	Pin     Pin       // of its key
	OldPin  Pin       // of the key before, which works as well until it is dropped; zero if there is none
	Created time.Time // millisecond precision

	Granted  int64 // credit the operator gave, less what he took back
	Issued   int64 // coins withdrawn
	Redeemed int64 // coins redeemed, one credit each
	Returned int64 // coins redeemed and given back, one debit each
	Refunded int64 // coins refunded, one credit each
}

// Balance returns the credit left, in coins.
func (a Account) Balance() int64 {
	return a.Granted - a.Issued + a.Redeemed - a.Returned + a.Refunded
}
