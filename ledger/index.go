package ledger

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"sync/atomic"

	"ecoin/core"
)

// index is the exact set of a shard's live coins, in memory: 16 bytes a coin and about
// a third more for free slots. It is a hash table without a hash function, since
// fingerprints are pseudorandom: their leading bits choose a table, the next the slot
// at which a search begins. A table grows by an eighth at a time and is cut in two
// when it is large, so no operation copies more than maxTableSlots slots.
//
// Its memory is outside of Go's heap, where a gigabyte of it would let another
// gigabyte of garbage pile up between collections. Only one goroutine uses an index.
type index struct {
	budget *budget
	shift  int // leading bits that all its coins share
	depth  int // leading bits after those that choose a table
	tables []*table
	zero   bool // whether the fingerprint of zeros is in it; its slots would look free
	n      int64
	sum    uint64 // of mix over all coins, see check
}

// table holds the coins that begin with some bits. A coin stands at its home slot or
// in the run of used slots behind it. Homes are where lines of the processor's cache
// begin: nine of ten coins stand in the line that their search reads first.
type table struct {
	depth int // leading bits its coins share, after the shard's
	slots []slot
	free  func() // gives the memory back
	n     int
	sum   uint64
}

// slot is a fingerprint as two big-endian numbers; zeros mark a free one.
//
// An array of two would be the same bytes, but the compiler keeps arrays in memory:
// reading one as a whole just after its halves were written stalls the processor until
// all reads before are done, and then touch waits for memory coin by coin.
type slot struct{ high, low uint64 }

const (
	minTableSlots = 256
	maxTableSlots = 1 << 17
	lineSlots     = 4 // in 64 bytes, a line of most processors' caches
	// overhang is how many slots follow the last home slot.
	overhang = 256
	slotSize = 16
)

// errIndexFull is returned when the memory for all indexes is used up.
var errIndexFull = errors.New("ledger: no memory left for the index")

// budget is the memory that all indexes may use together.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

// newIndex returns an empty index for coins that share their first shift bits, with
// tables for about n of them.
func newIndex(b *budget, shift int, n int64) (*index, error) {
	x := &index{budget: b, shift: shift}
	homes := max(n+n/2, minTableSlots)
	for homes > maxTableSlots {
		homes = (homes + 1) / 2
		x.depth++
	}
	var err error
	if x.tables, err = x.newTables(1<<x.depth, x.depth, int(homes)); err != nil {
		return nil, err
	}
	return x, nil
}

// newTables returns n tables with so many homes each.
func (x *index) newTables(n, depth, homes int) ([]*table, error) {
	size := int64(n) * int64(homes+overhang) * slotSize
	if !x.budget.take(size) {
		return nil, errIndexFull
	}
	slots, free, err := allocSlots(n, homes+overhang)
	if err != nil {
		x.budget.used.Add(-size)
		return nil, err
	}
	tables := make([]*table, n)
	for i := range tables {
		tables[i] = &table{depth: depth, slots: slots[i], free: func() { free(i) }}
	}
	return tables, nil
}

func (x *index) newTable(depth, homes int) (*table, error) {
	tables, err := x.newTables(1, depth, homes)
	if err != nil {
		return nil, err
	}
	return tables[0], nil
}

func (x *index) freeTable(t *table) {
	x.budget.used.Add(-int64(len(t.slots)) * slotSize)
	t.free()
	t.slots = nil
}

// close gives all memory back; the index must not be used any more.
func (x *index) close() {
	for t := range x.each {
		x.freeTable(t)
	}
	x.tables = nil
}

// each calls yield for every table once.
func (x *index) each(yield func(*table) bool) {
	for i := 0; i < len(x.tables); {
		t := x.tables[i]
		i += 1 << (x.depth - t.depth)
		if !yield(t) {
			return
		}
	}
}

func toSlot(fp *core.Fingerprint) slot {
	return slot{binary.BigEndian.Uint64(fp[:]), binary.BigEndian.Uint64(fp[8:])}
}

// mix spreads a coin over 64 bits for sums that tell sets apart.
func (s slot) mix() uint64 {
	h, l := bits.Mul64(s.high^0x9e3779b97f4a7c15, s.low|1)
	return h ^ l ^ s.low // the lowest bit of s.low is not in the product
}

// table returns the table of s.
func (x *index) table(s slot) *table {
	return x.tables[s.high<<x.shift>>(64-x.depth)] // a shift by 64 gives 0
}

// home returns the slot at which a search for s begins, the first of a line; homes keep
// the order of coins.
func (x *index) home(t *table, s slot) int {
	h, _ := bits.Mul64(s.high<<x.shift<<t.depth, uint64(len(t.slots)-overhang))
	return int(h &^ (lineSlots - 1))
}

// search returns the slot of s, or the free slot that ends the search. There always is
// one, see insertInto.
func (x *index) search(t *table, s slot) (i int, found bool) {
	for i = x.home(t, s); ; i++ {
		switch t.slots[i] {
		case s:
			return i, true
		case slot{}:
			return i, false
		}
	}
}

// has reports whether a coin is in the index.
func (x *index) has(fp *core.Fingerprint) bool {
	s := toSlot(fp)
	if s == (slot{}) {
		return x.zero
	}
	_, found := x.search(x.table(s), s)
	return found
}

// touch reads where a search for the coin begins.
func (x *index) touch(fp *core.Fingerprint) uint64 {
	s := toSlot(fp)
	t := x.table(s)
	return t.slots[x.home(t, s)].high
}

// insert adds a coin that is not in the index. After errIndexFull it was not added,
// and the index is as it was before.
func (x *index) insert(fp *core.Fingerprint) error {
	s := toSlot(fp)
	if s == (slot{}) {
		x.zero = true
		x.n++
		x.sum += s.mix()
		return nil
	}
	for {
		t := x.table(s)
		if t.n < (len(t.slots)-overhang)*4/5 && x.insertInto(t, s) {
			x.n++
			x.sum += s.mix()
			return nil
		}
		if err := x.grow(t); err != nil {
			return err
		}
	}
}

// insertInto returns false if the table has no room behind the home of s. One free
// slot always remains at the end.
func (x *index) insertInto(t *table, s slot) bool {
	i, _ := x.search(t, s)
	if i == len(t.slots)-1 {
		return false
	}
	t.slots[i] = s
	t.n++
	t.sum += s.mix()
	return true
}

// remove takes out a coin that is in the index. The coins behind it move up, so that
// no search ends at the freed slot too early.
func (x *index) remove(fp *core.Fingerprint) {
	s := toSlot(fp)
	x.n--
	x.sum -= s.mix()
	if s == (slot{}) {
		x.zero = false
		return
	}
	t := x.table(s)
	i, _ := x.search(t, s)
	for j := i + 1; t.slots[j] != (slot{}); j++ {
		if x.home(t, t.slots[j]) <= i {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
	t.n--
	t.sum -= s.mix()
}

// grow replaces a table by a larger one, or by two.
func (x *index) grow(t *table) error {
	homes := len(t.slots) - overhang
	if homes >= maxTableSlots {
		return x.split(t)
	}
	for bigger := homes + max(homes/8, minTableSlots); ; bigger += bigger / 8 {
		to, err := x.newTable(t.depth, bigger)
		if err != nil {
			return err
		}
		if x.move(t, to, to) {
			x.replace(t, to, to)
			return nil
		}
		x.freeTable(to) // crowded at its end; the next size spreads it differently
	}
}

func (x *index) split(t *table) error {
	for homes := (len(t.slots) - overhang) * 9 / 16; ; homes += homes / 8 {
		low, err := x.newTable(t.depth+1, homes)
		if err != nil {
			return err
		}
		high, err := x.newTable(t.depth+1, homes)
		if err != nil {
			x.freeTable(low)
			return err
		}
		if x.move(t, low, high) {
			if t.depth == x.depth {
				x.double()
			}
			x.replace(t, low, high)
			return nil
		}
		x.freeTable(low)
		x.freeTable(high)
	}
}

// move copies the coins of t into low and high, by their first bit after t's.
func (x *index) move(t, low, high *table) bool {
	for _, s := range t.slots {
		if s == (slot{}) {
			continue
		}
		to := low
		if s.high<<x.shift<<t.depth>>63 == 1 {
			to = high
		}
		if !x.insertInto(to, s) {
			return false
		}
	}
	return true
}

// double lets one more bit choose a table.
func (x *index) double() {
	tables := make([]*table, 2*len(x.tables))
	for i, t := range x.tables {
		tables[2*i], tables[2*i+1] = t, t
	}
	x.tables = tables
	x.depth++
}

// replace puts low and high, which may be the same, in the places of t.
func (x *index) replace(t, low, high *table) {
	first := -1
	n := 1 << (x.depth - t.depth)
	for i := 0; i < len(x.tables); i++ {
		if x.tables[i] == t {
			first = i
			break
		}
	}
	for i := range n {
		if i < n/2 || low == high {
			x.tables[first+i] = low
		} else {
			x.tables[first+i] = high
		}
	}
	x.freeTable(t)
}

// check counts a table's coins anew and compares them with the running count and sum:
// what was inserted and removed is what stands there.
func (t *table) check() bool {
	n, sum := 0, uint64(0)
	for _, s := range t.slots {
		if s != (slot{}) {
			n++
			sum += s.mix()
		}
	}
	return n == t.n && sum == t.sum
}
