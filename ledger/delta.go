package ledger

import (
	"encoding/binary"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// delta is what a shard changed and Pebble does not have yet: the last state of every
// coin that changed, beside the one before the first change. It is written by the
// shard's committer; once it is frozen, nobody writes to it, and the committer and the
// flusher read it together.
type delta struct {
	n      int                    // coins
	chunks []*[chunkCoins]changed // of coins, in order of the first change
	slots  []uint32               // hash table: 1 + position of a coin, 0 for free; a power of two
}

// chunkCoins is how many coins a delta gets memory for at a time. What it has it keeps, and
// never copies.
const chunkCoins = 1 << 10

// changed is one coin of a delta.
type changed struct {
	fp     core.Fingerprint
	before life.Phase // its record in Pebble, once the delta before this is there
	from   uint32     // the window of that record
	window uint32     // the window of its record now, if it has one
	coin   life.Coin
}

func newDelta() *delta { return &delta{slots: make([]uint32, 1024)} }

func (d *delta) reset() {
	d.n = 0
	clear(d.slots)
}

// at returns the coin at a position.
func (d *delta) at(i int) *changed { return &d.chunks[i/chunkCoins][i%chunkCoins] }

// home returns the slot at which a search for fp begins.
func (d *delta) home(fp *core.Fingerprint) int {
	// The leading bits are the same in the whole shard, the last ones are not.
	return int(binary.BigEndian.Uint64(fp[8:])) & (len(d.slots) - 1)
}

// touch reads where a search for fp begins.
func (d *delta) touch(fp *core.Fingerprint) uint64 { return uint64(d.slots[d.home(fp)]) }

// slot returns where fp stands in slots, or the free slot where it would.
func (d *delta) slot(fp *core.Fingerprint) int {
	mask := len(d.slots) - 1
	for i := d.home(fp); ; i = (i + 1) & mask {
		at := d.slots[i]
		if at == 0 || d.at(int(at-1)).fp == *fp {
			return i
		}
	}
}

// get returns the change of a coin, or nil. It is valid until the next note.
func (d *delta) get(fp *core.Fingerprint) *changed {
	if d == nil || d.n == 0 {
		return nil
	}
	if at := d.slots[d.slot(fp)]; at != 0 {
		return d.at(int(at - 1))
	}
	return nil
}

// note records that a coin changed from before, whose record is in window from, to
// after, whose record is in window to.
func (d *delta) note(fp *core.Fingerprint, before life.Phase, from uint32, after *life.Coin, to uint32) {
	i := d.slot(fp)
	if at := d.slots[i]; at != 0 {
		c := d.at(int(at - 1))
		c.coin, c.window = *after, to
		return
	}
	if d.n == len(d.chunks)*chunkCoins {
		d.chunks = append(d.chunks, new([chunkCoins]changed))
	}
	*d.at(d.n) = changed{fp: *fp, before: before, from: from, window: to, coin: *after}
	d.n++
	d.slots[i] = uint32(d.n)
	if d.n > len(d.slots)*3/4 {
		d.slots = make([]uint32, 2*len(d.slots))
		for at := range d.n {
			d.slots[d.slot(&d.at(at).fp)] = uint32(at + 1)
		}
	}
}
