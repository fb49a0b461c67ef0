package core

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A Coin is 256 secret random bits: the payment for one operation and the
// AES-256 key of its payload.
//
// Coins, IVs, Salts, Secrets, PrivateKeys, Keyrings, Mints, HeaderPools and Scratches
// print as "redacted" with the verbs of package fmt and in package slog. The first five
// refuse to be marshaled as text or JSON, the others have no exported fields; take
// the bytes (c[:]) where they are truly meant. Two gaps cannot be closed from here.
// Package fmt calls no methods on unexported fields: a struct that holds a secret in
// one needs a Format method of its own. And it calls none for %w, which go vet
// refuses for anything but an error.
type Coin [32]byte

// An IV is the unpredictable 128-bit initialization vector of one request's
// CBC payload. It also enters the MAC keys of the request and of its reply.
type IV [16]byte

// A Salt is the 256-bit random input from which a [Mint] derives the coins of
// one withdrawal. Who holds the salt and the issue key holds the coins.
type Salt [32]byte

// Secrets is the plaintext of a header, 48 bytes on the wire: coin | IV.
type Secrets struct {
	Coin Coin
	IV   IV
}

const secretsLen = len(Coin{}) + len(IV{})

// put writes coin | IV to b.
func (s *Secrets) put(b *[secretsLen]byte) {
	copy(b[:32], s.Coin[:])
	copy(b[32:], s.IV[:])
}

// get reads coin | IV from b.
func (s *Secrets) get(b *[secretsLen]byte) {
	copy(s.Coin[:], b[:32])
	copy(s.IV[:], b[32:])
}

const redacted = "redacted"

// errSecret is what marshaling a secret returns. An error rather than the word
// "redacted": a wallet written that way would lose its coins without a sound.
var errSecret = errors.New("core: secret values are not marshaled; take their bytes if that is truly meant")

func formatRedacted(f fmt.State)   { _, _ = io.WriteString(f, redacted) }
func logRedacted() slog.Value      { return slog.StringValue(redacted) }
func textRefused() ([]byte, error) { return nil, errSecret }

// Format implements fmt.Formatter: it prints "redacted".
func (Coin) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Coin) LogValue() slog.Value { return logRedacted() }

// MarshalText returns an error; a coin is secret.
func (Coin) MarshalText() ([]byte, error) { return textRefused() }

// Format implements fmt.Formatter: it prints "redacted".
func (IV) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (IV) LogValue() slog.Value { return logRedacted() }

// MarshalText returns an error; an IV is secret.
func (IV) MarshalText() ([]byte, error) { return textRefused() }

// Format implements fmt.Formatter: it prints "redacted".
func (Salt) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Salt) LogValue() slog.Value { return logRedacted() }

// MarshalText returns an error; a salt is secret.
func (Salt) MarshalText() ([]byte, error) { return textRefused() }

// Format implements fmt.Formatter: it prints "redacted".
func (Secrets) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Secrets) LogValue() slog.Value { return logRedacted() }

// MarshalText returns an error; the content of a header is secret.
func (Secrets) MarshalText() ([]byte, error) { return textRefused() }
