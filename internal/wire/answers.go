package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"ecoin/core"
)

// Lengths of the items of binary bodies, in bytes.
const (
	CoinLen         = 32
	RedeemRecordLen = 1 + CoinLen + 16 // status | coin | IV
	ReturnRecordLen = 1                // status
	RefundRecordLen = 1 + 8 + 16       // status | redeemed at, unix ms u64 | redeemer's account id
)

// AppendRedeemRecord appends one answer to a redeemed record. sec is used with
// StatusOK and StatusRedeemedBefore alone and may be nil otherwise.
func AppendRedeemRecord(dst []byte, st core.Status, sec *core.Secrets) []byte {
	dst = append(dst, byte(st))
	if !revealsCoin(st) {
		return append(dst, make([]byte, RedeemRecordLen-1)...)
	}
	dst = append(dst, sec.Coin[:]...)
	return append(dst, sec.IV[:]...)
}

// ParseRedeemRecord parses one answer of [RedeemRecordLen] bytes. It fills sec with
// StatusOK and StatusRedeemedBefore and clears it otherwise, on errors too.
func ParseRedeemRecord(rec []byte, sec *core.Secrets) (core.Status, error) {
	*sec = core.Secrets{}
	if len(rec) != RedeemRecordLen {
		return 0, fmt.Errorf("redeem record has %d bytes, want %d", len(rec), RedeemRecordLen)
	}
	st := core.Status(rec[0])
	switch {
	case st > core.StatusTemporary:
		return 0, fmt.Errorf("redeem record has the unknown status %d", rec[0])
	case revealsCoin(st):
		copy(sec.Coin[:], rec[1:])
		copy(sec.IV[:], rec[1+CoinLen:])
	case !allZero(rec[1:]):
		return 0, fmt.Errorf("redeem record with status %d holds more than zeros", rec[0])
	}
	return st, nil
}

// revealsCoin reports whether a redeem answer of this status holds coin and IV.
func revealsCoin(st core.Status) bool {
	return st == core.StatusOK || st == core.StatusRedeemedBefore
}

// ParseReturnStatus parses the one byte that answers a returned record: StatusOK,
// StatusNotLive, StatusRedeemed or StatusTemporary.
func ParseReturnStatus(b byte) (core.Status, error) {
	return parseSettled("return", b)
}

// parseSettled accepts the four statuses that returns and refunds have.
func parseSettled(call string, b byte) (core.Status, error) {
	switch st := core.Status(b); st {
	case core.StatusOK, core.StatusNotLive, core.StatusRedeemed, core.StatusTemporary:
		return st, nil
	}
	return 0, fmt.Errorf("%s record has status %d, which this call does not have", call, b)
}

// AppendRefundRecord appends one answer to a refunded coin. at (when the coin was
// redeemed, kept to the millisecond) and redeemer are used with StatusRedeemed
// alone; zero values mean that the evidence is no longer kept.
func AppendRefundRecord(dst []byte, st core.Status, at time.Time, redeemer [16]byte) []byte {
	dst = append(dst, byte(st))
	if st != core.StatusRedeemed {
		return append(dst, make([]byte, RefundRecordLen-1)...)
	}
	var ms uint64
	if t := at.UnixMilli(); !at.IsZero() && t > 0 {
		ms = uint64(t)
	}
	dst = binary.BigEndian.AppendUint64(dst, ms)
	return append(dst, redeemer[:]...)
}

// ParseRefundRecord parses one answer of [RefundRecordLen] bytes. at is in UTC, and
// the zero time when the record says none.
func ParseRefundRecord(rec []byte) (st core.Status, at time.Time, redeemer [16]byte, err error) {
	if len(rec) != RefundRecordLen {
		return 0, at, redeemer, fmt.Errorf("refund record has %d bytes, want %d", len(rec), RefundRecordLen)
	}
	if st, err = parseSettled("refund", rec[0]); err != nil {
		return 0, at, redeemer, err
	}
	if st != core.StatusRedeemed {
		if !allZero(rec[1:]) {
			return 0, at, redeemer, fmt.Errorf("refund record with status %d holds more than zeros", rec[0])
		}
		return st, at, redeemer, nil
	}
	ms := binary.BigEndian.Uint64(rec[1:9])
	if ms > math.MaxInt64 {
		return 0, at, redeemer, fmt.Errorf("refund record has a time beyond 63 bits")
	}
	if ms != 0 {
		at = time.UnixMilli(int64(ms)).UTC()
	}
	copy(redeemer[:], rec[9:])
	return st, at, redeemer, nil
}

// allZero reports whether b holds zeros alone. It does not run in constant time:
// it looks at bytes whose value decides between an answer and an error.
func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
