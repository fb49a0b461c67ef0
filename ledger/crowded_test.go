package ledger

import (
	"math/rand/v2"
	"testing"
)

// TestIndexCrowded fills tables with coins that nearly share a home, where no run can
// grow: at the end, so that a table must grow or be cut, and just before the middle, so
// that the lower half of a cut has no room for them. However many sizes are tried, the
// memory of all but the last is given back.
func TestIndexCrowded(t *testing.T) {
	t.Parallel()
	const largest = maxTableSlots * 2 / 3 // coins that make the first table as large as one may be
	bytes := func(homes int) int64 { return int64(homes+overhang) * slotSize }
	for _, c := range []struct {
		name   string
		room   int64  // coins that the first table is made for
		within uint64 // distance of the coins from the middle, and from the end
		middle int    // coins before the middle
		end    int    // coins at the end
		limit  int64
		fit    bool // whether all of them find a place
	}{
		{"a table grows", 10, 1 << 55, 0, 290, 1 << 24, true},
		{"a table grows until memory ends", 10, 1, 0, 262, 1 << 17, false},
		{"a table is cut", largest, 1 << 49, 280, 280, 1 << 26, true},
		{"a table is cut until memory ends", largest, 1, 262, 262, 1 << 24, false},
		{"memory for one half of a cut", largest, 1, 0, 262, bytes(maxTableSlots) + bytes(maxTableSlots*9/16) + 1000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newIndexModel(t, c.limit, 0, c.room)
			before := len(m.x.tables[0].slots)
			rng := rand.New(rand.NewPCG(5, 2))
			refused := 0
			for i := range c.middle + c.end {
				edge := ^uint64(0)
				if i < c.middle {
					edge >>= 1
				}
				if !m.insert(t, slot{edge - rng.Uint64N(c.within), rng.Uint64()}) {
					refused++
				}
			}
			m.check(t)
			if (refused == 0) != c.fit {
				t.Errorf("%d coins were refused", refused)
			}
			if grown := len(m.x.tables[0].slots) > before || m.x.depth > 0; c.fit && !grown {
				t.Error("nothing grew")
			}
			m.x.close()
			if used := m.x.budget.used.Load(); used != 0 {
				t.Errorf("%d bytes are used after close", used)
			}
		})
	}
}
