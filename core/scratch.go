package core

import (
	"fmt"
	"log/slog"

	"ecoin/core/internal/cbc"
	"ecoin/core/internal/hmac256"
	"ecoin/core/internal/hpke"
)

// Scratch is working memory that a caller lends to the functions of this package.
// Its zero value is ready; the first batch takes more memory, which later ones use
// again. One goroutine may use it at a time, and a copy must not be used. Every
// function clears the secrets it put there before it returns; Wipe clears the rest.
type Scratch struct {
	plain  [secretsLen]byte                 // header plaintext
	hpke   hpke.Scratch                     // SuiteX25519 and SuiteXWing
	label  [len(headerInfo) + BoundLen]byte // OAEP label; not secret
	info   macKeyInfo
	macKey [hmac256.Size]byte
	tag    [TagLen]byte

	hmac    hmac256.Scratch
	hmacKey hmac256.Key
	aes     cbc.Schedule

	headers  *headerBatch  // from the first batch on; 74 kB
	payloads *payloadBatch // the same; 22 kB
}

// Wipe clears s and gives back the memory for batches.
func (s *Scratch) Wipe() { *s = Scratch{} }

// Format implements fmt.Formatter: it prints "redacted".
func (Scratch) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Scratch) LogValue() slog.Value { return logRedacted() }
