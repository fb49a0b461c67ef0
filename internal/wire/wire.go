// Package wire is the bank API's bytes on both sides of the connection: paths,
// header names, limits, body codecs and JSON types. docs/PROTOCOL.md describes the
// same for writers of other clients.
//
// Parsers are strict: a length that is off by one, a status the call does not
// have, or a byte that should be zero and is not, is an error. Errors name the
// place and the reason, and never hold a coin.
package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// Paths of the bank's API.
const (
	PathWithdraw = "/v1/withdraw" // POST ?n=N, Idempotency-Key
	PathRedeem   = "/v1/redeem"   // POST records
	PathReturn   = "/v1/return"   // POST records
	PathRefund   = "/v1/refund"   // POST coins
	PathAccount  = "/v1/account"  // GET
	PathKeys     = "/v1/keys"     // GET
	PathOpenAPI  = "/v1/openapi.yaml"
)

// Names and media types in requests and answers.
const (
	HeaderIdempotencyKey = "Idempotency-Key" // 32 hexadecimal digits
	ParamCount           = "n"               // query parameter of PathWithdraw

	TypeBinary = "application/octet-stream"
	TypeJSON   = "application/json"
)

// Limits of one call.
const (
	MaxBatch    = 1000  // records or coins in one redeem, return or refund
	MaxWithdraw = 10000 // coins in one withdrawal
)

// Errors of whole request bodies, for errors.Is. A malformed record is none of
// them: its error wraps core.ErrFormat.
var (
	ErrEmpty   = errors.New("the body is empty: send at least one item")
	ErrTooMany = fmt.Errorf("the body holds more than %d items: split it", MaxBatch)
	ErrLength  = errors.New("the body has the wrong length")
)

// ParseIdempotencyKey parses the value of [HeaderIdempotencyKey]: exactly 32
// hexadecimal digits in either case.
func ParseIdempotencyKey(s string) (id [16]byte, err error) {
	if len(s) != 2*len(id) {
		return id, fmt.Errorf("%s has %d characters, want 32 hexadecimal digits", HeaderIdempotencyKey, len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return [16]byte{}, fmt.Errorf("%s holds a character that is not a hexadecimal digit", HeaderIdempotencyKey)
	}
	return id, nil
}

// FormatIdempotencyKey returns id as 32 lower-case hexadecimal digits.
func FormatIdempotencyKey(id [16]byte) string { return hex.EncodeToString(id[:]) }

// ParseCount parses the number of coins of a withdrawal: a plain decimal number
// from 1 to [MaxWithdraw], without sign, space or leading zero.
func ParseCount(s string) (int, error) {
	if s == "" {
		return 0, fmt.Errorf("parameter %s is missing: ask for 1 to %d coins", ParamCount, MaxWithdraw)
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxWithdraw || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("parameter %s must be a whole number from 1 to %d, in plain decimal digits", ParamCount, MaxWithdraw)
	}
	return n, nil
}
