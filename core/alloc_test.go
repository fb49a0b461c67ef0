package core

import (
	"bytes"
	"testing"

	"ecoin/core/internal/race"
)

func mustNotAllocate(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(20, f); n != 0 {
		t.Errorf("%s: %v allocations, want none", what, n)
	}
}

// TestHeaderAllocations holds SuiteX25519 to no allocation, whatever the outcome.
func TestHeaderAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	key := testX25519()
	ring, err := NewKeyring(testRSA(), key)
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	secs := make([]Secrets, 64)
	dst := make([]byte, 0, len(secs)*SuiteX25519.RecordLen())
	mustNotAllocate(t, "AppendHeader", func() { dst, err = key.Public().AppendHeader(dst[:0], &s, &secs[0]) })
	mustNotAllocate(t, "AppendHeaders", func() { dst, err = key.Public().AppendHeaders(dst[:0], &s, secs) })
	if err != nil || len(dst) != cap(dst) {
		t.Fatalf("AppendHeaders gives %d bytes (%v), want %d", len(dst), err, cap(dst))
	}

	pool, err := NewHeaderPool(key.Public(), 64)
	if err != nil {
		t.Fatal(err)
	}
	mustNotAllocate(t, "HeaderPool", func() {
		err = pool.Fill(&s)
		for pool.Len() > 0 && err == nil {
			dst, err = pool.AppendHeader(dst[:0], &s, &secs[0])
		}
	})
	if err != nil {
		t.Fatal(err)
	}

	good := dst[:SuiteX25519.RecordLen()]
	low := bytes.Clone(good)
	clear(low[BoundLen : BoundLen+32])
	records := map[string][]byte{
		"good": good, "nil": nil, "short prefix": good[:BoundLen-1], "prefix alone": good[:BoundLen],
		"cut": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "low order": low,
		"version": flip(good, 0), "suite": flip(good, 1), "kind": flip(good, 2), "zero byte": flip(good, 3),
		"key id": flip(good, 4), "enc": flip(good, BoundLen), "top bit of enc": flipTop(good, BoundLen+31),
		"ciphertext": flip(good, BoundLen+40), "tag": flip(good, len(good)-1),
	}
	var batch [][]byte
	for name, record := range records {
		var out Secrets
		var err error
		mustNotAllocate(t, "OpenHeader, "+name, func() { err = ring.OpenHeader(&s, record, &out) })
		if (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
		batch = append(batch, record)
	}
	out, ok := make([]Secrets, len(batch)), make([]bool, len(batch))
	mustNotAllocate(t, "OpenHeaders", func() { ring.OpenHeaders(&s, batch, out, ok) })
}

func flipTop(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x80
	return b
}

// TestMintAllocations: neither coins nor fingerprints, one or many, cost an allocation.
func TestMintAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	const n = 100
	m, salt := testMint(1, 2), &Salt{3}
	coins, prints := make([]Coin, 0, n), make([]Fingerprint, 0, n)
	mustNotAllocate(t, "AppendCoins", func() { coins = m.AppendCoins(coins[:0], salt, n) })
	mustNotAllocate(t, "AppendFingerprints", func() { prints = m.AppendFingerprints(prints[:0], salt, n) })
	mustNotAllocate(t, "Fingerprint", func() { prints[0] = m.Fingerprint(&coins[0]) })
	for i := range coins {
		if prints[i] != m.Fingerprint(&coins[i]) {
			t.Errorf("fingerprint %d is not that of coin %d", i, i)
		}
	}
}
