package ledger

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"ecoin/core"
)

func toFingerprint(s slot) (fp core.Fingerprint) {
	binary.BigEndian.PutUint64(fp[:], s.high)
	binary.BigEndian.PutUint64(fp[8:], s.low)
	return fp
}

// indexModel is an index beside a map that says what it must hold.
type indexModel struct {
	x     *index
	coins map[slot]bool
}

func newIndexModel(t testing.TB, limit int64, shift int, n int64) *indexModel {
	t.Helper()
	x, err := newIndex(&budget{limit: limit}, shift, n)
	if err != nil {
		t.Fatal(err)
	}
	return &indexModel{x: x, coins: make(map[slot]bool)}
}

// insert returns whether the index took a coin that it does not have.
func (m *indexModel) insert(t rapid.TB, s slot) bool {
	t.Helper()
	fp := toFingerprint(s)
	err := m.x.insert(&fp)
	if err != nil && !errors.Is(err, errIndexFull) {
		t.Fatal(err)
	}
	if err == nil {
		m.coins[s] = true
	}
	return err == nil
}

func (m *indexModel) remove(s slot) {
	fp := toFingerprint(s)
	m.x.remove(&fp)
	delete(m.coins, s)
}

// check compares everything.
func (m *indexModel) check(t rapid.TB) {
	t.Helper()
	var sum uint64
	for s := range m.coins {
		if fp := toFingerprint(s); !m.x.has(&fp) {
			t.Fatalf("%x is not in it", fp)
		}
		sum += s.mix()
	}
	if m.x.n != int64(len(m.coins)) || m.x.sum != sum {
		t.Fatalf("%d coins with sum %x, want %d with %x", m.x.n, m.x.sum, len(m.coins), sum)
	}
	stand, bytes := 0, int64(0)
	for table := range m.x.each {
		bytes += int64(len(table.slots)) * slotSize
		if !table.check() {
			t.Fatal("a table does not hold what it counts")
		}
		if table.slots[len(table.slots)-1] != (slot{}) {
			t.Fatal("no free slot ends a table")
		}
		for i, s := range table.slots {
			if s == (slot{}) {
				continue
			}
			stand++
			if m.x.table(s) != table || m.x.home(table, s) > i {
				t.Fatalf("%x stands where no search meets it", s)
			}
		}
	}
	if m.x.zero {
		stand++
	}
	if stand != len(m.coins) {
		t.Fatalf("%d coins stand in the tables, want %d", stand, len(m.coins))
	}
	if used := m.x.budget.used.Load(); used != bytes || used > m.x.budget.limit {
		t.Fatalf("%d bytes are counted as used, %d are, %d may be", used, bytes, m.x.budget.limit)
	}
}

// TestIndex compares an index with a map. Coins share homes, ends of tables and tables;
// some indexes have little memory.
func TestIndex(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 8).Draw(t, "shift")
		limit := rapid.SampledFrom([]int64{16 << 10, 40 << 10, 1 << 20}).Draw(t, "limit")
		x, err := newIndex(&budget{limit: limit}, shift, 10)
		if err != nil {
			t.Fatal(err)
		}
		defer x.close()
		m := &indexModel{x: x, coins: make(map[slot]bool)}
		prefix := uint64(0xa5) >> (8 - shift) << (64 - shift)
		coin := func() slot {
			var lead uint64
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				lead = uint64(rapid.IntRange(0, 5).Draw(t, "near")) << 50 // few homes, at the beginning
			case 1:
				lead = ^uint64(rapid.IntRange(0, 5).Draw(t, "near") << 50) // at the end
			default:
				lead = rapid.Uint64().Draw(t, "lead")
			}
			return slot{prefix | lead>>shift, uint64(rapid.IntRange(0, 40).Draw(t, "last"))}
		}
		var order []slot
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		t.Repeat(map[string]func(*rapid.T){
			"one": func(t *rapid.T) {
				s := coin()
				fp := toFingerprint(s)
				if x.has(&fp) != m.coins[s] {
					t.Fatalf("has %x: %v", fp, !m.coins[s])
				}
				if m.coins[s] {
					m.remove(s)
				} else if m.insert(t, s) {
					order = append(order, s)
				}
			},
			"many": func(t *rapid.T) {
				for range rapid.IntRange(1, 400).Draw(t, "n") {
					s := slot{prefix | rng.Uint64()>>shift, rng.Uint64()}
					if !m.insert(t, s) {
						return
					}
					order = append(order, s)
				}
			},
			"fewer": func(t *rapid.T) {
				for range min(len(order), rapid.IntRange(1, 300).Draw(t, "n")) {
					i := rng.IntN(len(order))
					s := order[i]
					order[i] = order[len(order)-1]
					order = order[:len(order)-1]
					if m.coins[s] {
						m.remove(s)
					}
				}
			},
			"": func(t *rapid.T) { m.check(t) },
		})
	})
}

// TestIndexSplits grows an index over several tables and empties it again.
func TestIndexSplits(t *testing.T) {
	t.Parallel()
	m := newIndexModel(t, 1<<30, 4, 0)
	n := 3 * maxTableSlots
	if raceEnabled {
		n = 2 * maxTableSlots
	}
	rng := rand.New(rand.NewPCG(1, 2))
	coin := func() slot { return slot{7<<60 | rng.Uint64()>>4, rng.Uint64()} }
	for range n {
		m.insert(t, coin())
	}
	m.check(t)
	tables := 0
	for table := range m.x.each {
		tables++
		if len(table.slots)-overhang > maxTableSlots*9/8 {
			t.Errorf("a table has %d slots", len(table.slots))
		}
	}
	if tables < 4 && !raceEnabled || tables < 2 {
		t.Errorf("%d tables", tables)
	}
	if used := m.x.budget.used.Load(); used > int64(n)*slotSize*9/4 {
		t.Errorf("%d bytes for %d coins", used, n)
	}
	for range 1000 {
		if fp := toFingerprint(coin()); m.x.has(&fp) {
			t.Fatalf("%x is in it", fp)
		}
	}
	for s := range m.coins {
		m.remove(s)
	}
	m.check(t)
	m.x.close()
	if used := m.x.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are used after close", used)
	}
}

// TestIndexDeepTables splits one table again and again, while its neighbours stay as
// they are.
func TestIndexDeepTables(t *testing.T) {
	t.Parallel()
	m := newIndexModel(t, 1<<30, 0, maxTableSlots*2/3)
	rng := rand.New(rand.NewPCG(3, 2))
	for ones := 0; ones < 4; {
		lead := ^(^uint64(0) >> ones)
		m.insert(t, slot{lead | rng.Uint64()>>ones, rng.Uint64()})
		if m.x.depth > ones {
			ones++
		}
	}
	m.check(t)
	tables := 0
	for range m.x.each {
		tables++
	}
	if tables != 5 || len(m.x.tables) != 16 {
		t.Errorf("%d tables in %d places", tables, len(m.x.tables))
	}
	m.x.close()
	if used := m.x.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are used after close", used)
	}
}

// TestIndexFull fills an index up: what it refuses is not in it, what it has stays, and
// it takes coins again once others are gone.
func TestIndexFull(t *testing.T) {
	t.Parallel()
	for limit, planned := range map[int64]int64{
		(minTableSlots + overhang) * slotSize: 0,
		30_000:                                0,
		1 << 20:                               0,
		4_800_000:                             maxTableSlots * 2 / 3, // one half of a split fits, two do not
	} {
		m := newIndexModel(t, limit, 0, planned)
		rng := rand.New(rand.NewPCG(uint64(limit), 3))
		var refused slot
		for {
			if refused = (slot{rng.Uint64(), rng.Uint64()}); !m.insert(t, refused) {
				break
			}
		}
		m.check(t)
		if fp := toFingerprint(refused); m.x.has(&fp) {
			t.Errorf("limit %d: a refused coin is in it", limit)
		}
		n := len(m.coins)
		if n < minTableSlots*3/4 || int64(n)*slotSize > limit {
			t.Errorf("limit %d: %d coins", limit, n)
		}
		for s := range m.coins {
			if m.remove(s); len(m.coins) <= n/2 {
				break
			}
		}
		if !m.insert(t, refused) {
			t.Errorf("limit %d: half empty and full", limit)
		}
		m.check(t)
		m.x.close()
		if used := m.x.budget.used.Load(); used != 0 {
			t.Errorf("limit %d: %d bytes are used after close", limit, used)
		}
	}
}

// TestIndexSameHome gives coins one home until memory ends: at the last home the room
// behind it does, and no larger table helps. The index stays as it was.
func TestIndexSameHome(t *testing.T) {
	t.Parallel()
	for _, lead := range []uint64{1, 1 << 63, ^uint64(0)} {
		m := newIndexModel(t, 32<<10, 0, 0)
		var n uint64
		for m.insert(t, slot{lead, n}) {
			n++
		}
		m.check(t)
		if n < overhang-1 || lead == ^uint64(0) && n >= 2*overhang {
			t.Errorf("home of %x: %d coins", lead, n)
		}
		for s := range m.coins { // in random order: the coins behind move up
			m.remove(s)
			if len(m.coins)%16 == 0 {
				m.check(t)
			}
		}
		m.x.close()
	}
}

// TestIndexSums flips each bit of coins: a sum of them must tell.
func TestIndexSums(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	for range 1000 {
		s := slot{rng.Uint64(), rng.Uint64()}
		for bit := range 128 {
			flipped := s
			if bit < 64 {
				flipped.high ^= 1 << bit
			} else {
				flipped.low ^= 1 << (bit - 64)
			}
			if flipped.mix() == s.mix() {
				t.Fatalf("%x and %x have the same sum", s, flipped)
			}
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := &budget{limit: 10}
	if !b.take(10) || b.take(1) || b.used.Load() != 10 {
		t.Errorf("%d of 10 used", b.used.Load())
	}
}
