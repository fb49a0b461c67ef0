package core

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Fingerprint is a bank's name for a coin: a keyed hash that a [Mint] makes.
// Without the fingerprint key it reveals nothing of the coin.
type Fingerprint [16]byte

// String returns 32 lower-case hex digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// A Digest is the first 16 bytes of the SHA-256 of a record. It tells a retry of
// one header from another header around the same coin.
type Digest [16]byte

// String returns 32 lower-case hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// RecordDigest returns the digest of one record, as [CutRecord] gives it.
func RecordDigest(record []byte) Digest {
	sum := sha256.Sum256(record)
	return Digest(sum[:len(Digest{})])
}

// A KeyID names a bank's public key on the wire: the first 8 bytes of
// SHA-256(suite | public key), the key as [PublicKey.Bytes] gives it.
type KeyID [8]byte

// String returns 16 lower-case hex digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

func makeKeyID(s Suite, publicKey []byte) KeyID {
	h := sha256.New()
	h.Write([]byte{byte(s)})
	h.Write(publicKey)
	return KeyID(h.Sum(nil)[:len(KeyID{})])
}
