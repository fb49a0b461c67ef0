// Package core holds the cryptography of ecoin: coins, the keys of a bank, and
// the envelopes that carry one operation from a collector to an analyst and its
// answer back. It is pure: no I/O but the system's random source, no goroutine,
// no global state.
//
// # The guarantee
//
// Whoever does not hold the coin learns nothing from an envelope but its length,
// suite and key id, and cannot make one that opens. A reply opens only for the
// operation whose request it answers. A header opens only with the bank key it
// names. Every failed open, whatever its cause, is the one value [ErrOpen]: the
// MAC is checked in constant time over every byte before the tag, then the
// payload is decrypted, then the padding is checked without branches.
//
// # Where to start
//
// A collector calls [PublicKey.AppendHeader] and [AppendRequest], later
// [OpenReply]. An analyst calls [ParseRequest], has the bank open the record that
// [Request.AppendRecord] gives, and calls [Request.Open] and
// [Request.AppendReply]. A bank calls [Keyring.OpenHeaders] and a [Mint].
//
// # Bytes
//
// Integers are big-endian.
//
//	prefix   version 1 | suite 1 | kind 1 | zero 1 | key id 8 | ciphertext length 4
//	request  prefix 16 | header (fixed by the suite) | ciphertext 16*n | tag 32
//	reply    prefix 16 | reply IV 16                 | ciphertext 16*n | tag 32
//	record   prefix[0:12] | header
//
// The header is the coin and the request IV, 48 bytes, sealed for the bank: by
// HPKE (RFC 9180) with info "ecoin/v1 header" and aad prefix[0:12], or by
// RSAES-OAEP (RFC 8017) with label "ecoin/v1 header" | prefix[0:12]. The payload
// is AES-256-CBC (NIST SP 800-38A) under the coin itself with PKCS#7 padding
// (RFC 5652 section 6.3). The tag is HMAC-SHA256 under
// HKDF-Expand(coin, "ecoin/v1 mac" | suite | kind | request IV, 32) (RFC 5869).
// docs/PROTOCOL.md says the same for other languages; testdata/golden.txt holds
// worked values, made by the openssl command alone.
//
// # Memory
//
// Functions named Append and the two Opens append to dst and return the extended
// slice, as the built-in append does: dst[:0] reuses memory and nil works. On an
// error they return dst as it was given. There is one aliasing rule: no input may
// overlap dst[len(dst):cap(dst)], the memory the output is written to; an input
// that does is a programming error and panics. Inputs may share memory with
// dst[:len(dst)] and with each other.
//
// A [Scratch] belongs to the caller and serves one goroutine at a time. Its
// secret parts are cleared before each call returns. Objects of crypto/rsa and
// crypto/mlkem keep copies of keys until the garbage collector takes them, and
// arithmetic leaves traces on the stack; that memory is outside this package's reach.
//
// Headers of [SuiteX25519] and payloads are sealed and opened without allocation, one
// or many, good or bad, when dst has room for what is appended. (The first batch of a
// Scratch makes memory that later ones use again, and the first payload of more than
// 128 bytes a hash where the processor has no instructions for SHA-256.) With
// [SuiteXWing] each header costs the two allocations that crypto/mlkem makes.
//
// # Many at once
//
// [Keyring.OpenHeaders], [PublicKey.AppendHeaders], [OpenRequests], [AppendRequests],
// [OpenReplies] and [AppendReplies] take batches and work on eight or sixteen messages
// at a time where the processor can. The first batch that is sealed for a key makes a
// table of 100 kB in about 2 ms. A [HeaderPool] moves the work of a header to before its coin is spent.
package core
