package server

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ecoin/ledger"
)

// randomID is an id as the ledger draws them, the same for the same n.
func randomID(n int) (id ledger.AccountID) {
	r := rand.New(rand.NewPCG(uint64(n), 5))
	binary.LittleEndian.PutUint64(id[:], r.Uint64())
	binary.LittleEndian.PutUint64(id[8:], r.Uint64())
	return id
}

// TestHeavyTable: among 20,000 accounts that move a little, ten that move much are
// found in their order, and no count is outside what its error allows.
func TestHeavyTable(t *testing.T) {
	table := new(heavyTable)
	exact := map[ledger.AccountID]int64{}
	count := func(id ledger.AccountID, n int64) {
		exact[id] += n
		table.add(id, fmt.Sprint(id), n)
	}
	var total int64
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		n := 1 + r.Int64N(3)
		count(randomID(1000+i%20_000), n)
		total += n
		if heavy := i % 10; i%10_000 < 5_000 {
			n := int64(heavy + 2)
			count(randomID(heavy), n)
			total += n
		}
	}
	found := map[ledger.AccountID]bool{}
	table.each(func(c heavyCount) {
		if found[c.id] || c.name != fmt.Sprint(c.id) {
			t.Errorf("account %v is there twice, or as %q", c.id, c.name)
		}
		found[c.id] = true
		if want := exact[c.id]; want > c.coins || want < c.coins-c.surplus {
			t.Errorf("account %v: %d coins, error %d, really %d", c.id, c.coins, c.surplus, want)
		}
	})
	if len(found) != heavySets*heavyWays {
		t.Errorf("%d accounts in the table, want it full", len(found))
	}
	for heavy := range 10 {
		if id := randomID(heavy); exact[id] > 2*total/(heavySets*heavyWays) && !found[id] {
			t.Errorf("an account with %d of %d coins is not in the table", exact[id], total)
		}
	}
}

func TestHeavyAccounts(t *testing.T) {
	start := time.Unix(1000, 0)
	a := newHeavyAccounts(start)
	account := func(n int, name string) *ledger.Client { return &ledger.Client{ID: randomID(n), Name: name} }
	want := func(what string, since time.Time, want ...string) {
		t.Helper()
		top, from := a.top(3)
		var got []string
		for _, c := range top {
			got = append(got, fmt.Sprint(c.name, " ", c.coins))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || !from.Equal(since) {
			t.Errorf("%s: %v since %v, want %v since %v", what, got, from, want, since)
		}
	}
	want("nothing", start)
	a.add(account(1, "one"), 5)
	a.add(account(2, "two"), 7)
	a.add(account(3, "three"), 0)
	a.turn(start.Add(heavyPeriod - 1))
	want("first period", start, "two 7", "one 5")
	second := start.Add(heavyPeriod)
	a.turn(second)
	a.add(account(1, "one, renamed"), 4)
	for i := range 3 {
		a.add(account(4+i, "small"), 1)
	}
	want("second period", start, "one, renamed 9", "two 7", "small 1")
	a.turn(second.Add(heavyPeriod))
	want("third period", second, "one, renamed 4", "small 1", "small 1")
	a.turn(second.Add(2 * heavyPeriod))
	want("fourth period", second.Add(heavyPeriod))

	// Of a crowd, each with 2 coins, none may stand before one with 11, though some have
	// 12 at most.
	a.add(account(7, "eleven"), 11)
	for i := range 5000 {
		a.add(account(100+i, "small"), 2)
	}
	if top, _ := a.top(1); top[0].name != "eleven" || top[0].certain() != 11 {
		t.Errorf("first of a crowd: %+v", top)
	}
}

// TestHeavyAllocs: counting is part of every call.
func TestHeavyAllocs(t *testing.T) {
	a := newHeavyAccounts(time.Now())
	one := &ledger.Client{ID: randomID(1), Name: "one"}
	if n := testing.AllocsPerRun(1000, func() { a.add(one, 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkHeavyAccounts counts calls of many accounts in turn, the worst case: each
// replaces another.
func BenchmarkHeavyAccounts(b *testing.B) {
	for _, accounts := range []int{1, 1 << 16} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			a := newHeavyAccounts(time.Now())
			of := make([]ledger.Client, accounts)
			for i := range of {
				of[i] = ledger.Client{ID: randomID(i), Name: "x"}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.add(&of[i&(accounts-1)], 100)
			}
		})
	}
}
