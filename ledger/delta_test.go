package ledger

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// TestDelta compares a delta with a map, while it grows and after it was emptied. Coins
// share homes, and some of them all that a slot has of a coin.
func TestDelta(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := newDelta()
		want := make(map[core.Fingerprint]changed)
		check := func() {
			if d.n != len(want) {
				t.Fatalf("%d coins, want %d", d.n, len(want))
			}
			for fp, c := range want {
				if got := d.get(&fp); got == nil || *got != c {
					t.Fatalf("%x is %v, want %v", fp, got, c)
				}
			}
		}
		coin := func() (fp core.Fingerprint) {
			fp[0] = byte(rapid.IntRange(0, 3).Draw(t, "beginning"))
			tag, end := rapid.IntRange(0, 20).Draw(t, "tag"), rapid.IntRange(0, 200).Draw(t, "end")
			binary.BigEndian.PutUint32(fp[8:], uint32(tag)<<27)
			binary.BigEndian.PutUint32(fp[12:], uint32(end))
			return fp
		}
		for range rapid.IntRange(1, 3).Draw(t, "uses") {
			for range rapid.IntRange(0, 3000).Draw(t, "coins") {
				fp, before := coin(), life.Phase(rapid.IntRange(0, 4).Draw(t, "before"))
				if _, known := want[fp]; !known && d.get(&fp) != nil {
					t.Fatalf("%x is in it", fp)
				}
				after := life.Coin{Phase: life.Redeemed, At: rapid.Int64().Draw(t, "at")}
				from, to := rapid.Uint32().Draw(t, "from"), rapid.Uint32().Draw(t, "to")
				d.note(&fp, before, from, &after, to)
				c, known := want[fp]
				if !known {
					c = changed{fp: fp, before: before, from: from}
				}
				c.coin, c.window = after, to
				want[fp] = c
			}
			check()
			d.reset()
			clear(want)
			check()
		}
	})
}
