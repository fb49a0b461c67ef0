package core

import (
	"fmt"
	"log/slog"
	"slices"
	"unsafe"

	"golang.org/x/crypto/chacha20"

	"ecoin/core/internal/cbc"
	"ecoin/core/internal/hmac256"
)

// A Mint makes a bank's coins and their fingerprints. It is safe for concurrent
// use and prints as "redacted". The two keys are the bank's deepest secrets: with
// the issue key and a salt anybody makes the coins of that withdrawal, and without
// the fingerprint key a ledger cannot be matched with coins.
type Mint struct {
	issueKey    hmac256.Key
	fingerprint *cbc.MAC
}

// NewMint returns a mint of the two keys, which it copies.
func NewMint(issueKey, fingerprintKey *[32]byte) *Mint {
	m := &Mint{fingerprint: cbc.NewMAC(fingerprintKey)}
	m.issueKey.Set(new(hmac256.Scratch), issueKey[:])
	return m
}

// Fingerprint returns the AES-256-CBC-MAC of c, with a zero IV. On input of fixed
// length, here two blocks, CBC-MAC is a PRF (Bellare, Kilian, Rogaway, JCSS 2000).
func (m *Mint) Fingerprint(c *Coin) (f Fingerprint) {
	m.fingerprint.Sum((*[16]byte)(&f), (*[32]byte)(c))
	return f
}

// AppendCoins appends the first n coins of the withdrawal with this salt: 32 bytes
// each of the ChaCha20 keystream (RFC 8439, nonce and counter zero) under
// HMAC-SHA256(issue key, salt). The same salt gives the same coins, and a smaller
// n a beginning of them. A negative n panics.
func (m *Mint) AppendCoins(dst []Coin, salt *Salt, n int) []Coin {
	checkCount(n)
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	stream := m.stream(salt)
	draw(&stream, bytesOf(dst[start:]))
	stream = chacha20.Cipher{}
	return dst
}

// fingerprintChunk is how many coins AppendFingerprints has at a time: a multiple of the
// lanes that package cbc works in.
const fingerprintChunk = 64

// AppendFingerprints appends the fingerprints of the coins that AppendCoins gives
// for the same salt and n. None of the coins stays. A negative n panics.
func (m *Mint) AppendFingerprints(dst []Fingerprint, salt *Salt, n int) []Fingerprint {
	checkCount(n)
	start := len(dst)
	dst = slices.Grow(dst, n)[:start+n]
	stream := m.stream(salt)
	var coins [fingerprintChunk]cbc.MACMessage
	for rest := dst[start:]; len(rest) > 0; {
		prints := rest[:min(len(rest), len(coins))]
		some := coins[:len(prints)]
		// The key stream comes by way of dst, in two halves at the end: with the tag
		// purego chacha20 moves its arguments to the heap, where dst is already.
		room := bytesOf(rest)
		for b := bytesOf(some); len(b) > 0; {
			half := room[:min(len(room), len(b))]
			draw(&stream, half)
			b = b[copy(b, half):]
		}
		m.fingerprint.SumMany(unsafe.Slice((*[16]byte)(&prints[0]), len(prints)), some)
		rest = rest[len(prints):]
	}
	clear(coins[:])
	stream = chacha20.Cipher{}
	return dst
}

// bytesOf returns the memory of s, whose elements are arrays of bytes.
func bytesOf[T Coin | Fingerprint | cbc.MACMessage](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(*new(T))))
}

// draw sets b to the next bytes of the key stream.
func draw(stream *chacha20.Cipher, b []byte) {
	clear(b)
	stream.XORKeyStream(b, b)
}

func checkCount(n int) {
	if n < 0 {
		panic(fmt.Sprintf("core: mint of %d coins", n))
	}
}

// stream returns the keystream of a withdrawal, which the caller clears. One salt
// serves one withdrawal, so the nonce need not vary.
func (m *Mint) stream(salt *Salt) chacha20.Cipher {
	var s hmac256.Scratch // stays on the stack, and clear
	var key [chacha20.KeySize]byte
	var nonce [chacha20.NonceSize]byte
	m.issueKey.Sum(&s, &key, salt[:])
	c, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	clear(key[:])
	if err != nil {
		panic("core: " + err.Error()) // the only errors are wrong lengths
	}
	out := *c
	*c = chacha20.Cipher{}
	return out
}

// Format implements fmt.Formatter: it prints "redacted".
func (Mint) Format(f fmt.State, _ rune) { formatRedacted(f) }

// LogValue implements slog.LogValuer: it logs "redacted".
func (Mint) LogValue() slog.Value { return logRedacted() }
