package core

import (
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func testMint(issue, fingerprint byte) *Mint {
	return NewMint(&[32]byte{issue}, &[32]byte{fingerprint})
}

// TestFingerprintTwin computes CBC-MAC with the CBC mode of crypto/cipher.
func TestFingerprintTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		coin := Coin(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "coin"))
		block, err := aes.NewCipher(key[:])
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 32)
		cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(out, coin[:])
		if got := NewMint(new([32]byte), &key).Fingerprint(&coin); got != Fingerprint(out[16:]) {
			t.Fatalf("fingerprint %v, want %x", got, out[16:])
		}
	})
}

// TestMintedCoins: all different, a longer withdrawal starts like a shorter one,
// fingerprints are those of the coins, dst is kept and its rubbish ignored.
func TestMintedCoins(t *testing.T) {
	m, salt := testMint(1, 2), &Salt{3}
	const n = 1000
	coins := m.AppendCoins(nil, salt, n)
	seen := make(map[Coin]bool)
	for _, c := range coins {
		seen[c] = true
	}
	if len(seen) != n || seen[Coin{}] {
		t.Fatalf("%d different coins of %d", len(seen), n)
	}
	for _, k := range []int{0, 1, 2, 3, fingerprintChunk - 1, fingerprintChunk, fingerprintChunk + 1, 2*fingerprintChunk + 15, 999, 1000} {
		first := Coin{0xff}
		dst := slices.Repeat([]Coin{{0xee}}, k+2)
		dst[0] = first
		got := m.AppendCoins(dst[:1], salt, k)
		if len(got) != k+1 || &got[0] != &dst[0] || got[0] != first || !slices.Equal(got[1:], coins[:k]) || dst[k+1] != (Coin{0xee}) {
			t.Errorf("%d coins are not the first of %d, in place", k, n)
		}
		room := slices.Repeat([]Fingerprint{{0xee}}, k+2)
		f := m.AppendFingerprints(room[:1], salt, k)
		if len(f) != k+1 || &f[0] != &room[0] || f[0] != (Fingerprint{0xee}) || room[k+1] != (Fingerprint{0xee}) {
			t.Fatalf("%d fingerprints, want %d, in place", len(f)-1, k)
		}
		for i := range k {
			if f[i+1] != m.Fingerprint(&coins[i]) {
				t.Fatalf("fingerprint %d of %d is not that of its coin", i, k)
			}
		}
	}
}

func TestMintKeysAndSaltsMatter(t *testing.T) {
	type pair struct {
		c Coin
		f Fingerprint
	}
	draw := func(m *Mint, salt Salt) pair {
		return pair{m.AppendCoins(nil, &salt, 1)[0], m.AppendFingerprints(nil, &salt, 1)[0]}
	}
	base := draw(testMint(1, 2), Salt{3})
	if otherSalt := draw(testMint(1, 2), Salt{31: 3}); otherSalt.c == base.c || otherSalt.f == base.f {
		t.Error("the salt does not matter")
	}
	if otherIssue := draw(testMint(9, 2), Salt{3}); otherIssue.c == base.c || otherIssue.f == base.f {
		t.Error("the issue key does not matter")
	}
	if otherF := draw(testMint(1, 9), Salt{3}); otherF.c != base.c || otherF.f == base.f {
		t.Error("the fingerprint key must change fingerprints and nothing else")
	}
	issue, fingerprint := [32]byte{1}, [32]byte{2}
	m := NewMint(&issue, &fingerprint)
	clear(issue[:])
	clear(fingerprint[:])
	if draw(m, Salt{3}) != base {
		t.Error("the mint changes with the caller's keys")
	}
}

func TestMintRefusesNegativeCounts(t *testing.T) {
	m := testMint(1, 2)
	mustPanic(t, "coins", "core: mint of -1 coins", func() { m.AppendCoins(make([]Coin, 5), new(Salt), -1) })
	mustPanic(t, "fingerprints", "core: mint of -1 coins", func() { m.AppendFingerprints(make([]Fingerprint, 5), new(Salt), -1) })
}
