package core

import "fmt"

// Status is a bank's answer for one coin or header, one byte on the wire.
type Status uint8

const (
	StatusOK             Status = 0 // redeemed, refunded or returned now
	StatusRedeemedBefore Status = 1 // redeemed before by the caller with this same header: a retry
	StatusNotOpen        Status = 2 // the header does not open
	StatusNotLive        Status = 3 // no such live coin; for a return, nothing kept
	StatusRedeemed       Status = 4 // redeemed already; for a return, by somebody else
	StatusTemporary      Status = 5 // nothing happened; ask again
)

// String returns a short description for people.
func (s Status) String() string {
	switch s {
	case StatusOK:
		return "ok"
	case StatusRedeemedBefore:
		return "redeemed before by the caller"
	case StatusNotOpen:
		return "header does not open"
	case StatusNotLive:
		return "not live"
	case StatusRedeemed:
		return "already redeemed"
	case StatusTemporary:
		return "temporary failure"
	}
	return fmt.Sprintf("status %d", uint8(s))
}
