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
	slots  []uint32               // hash table, a power of two; 0 marks a free slot, see slot
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

// hash returns the end of fp: the first bits are the same in the whole shard, these are not.
func hash(fp *core.Fingerprint) uint64 { return binary.BigEndian.Uint64(fp[8:]) }

// home returns the slot at which a search for fp begins.
func (d *delta) home(fp *core.Fingerprint) int { return int(hash(fp)) & (len(d.slots) - 1) }

// touch reads where a search for fp begins.
func (d *delta) touch(fp *core.Fingerprint) uint64 { return uint64(d.slots[d.home(fp)]) }

// slot returns where fp stands in slots, or the free slot where it would. A slot has 1 + the
// position of a coin in as many bits as there are slots for, and bits of its hash in those
// that are left: nearly all other coins are passed by without a look at them.
func (d *delta) slot(fp *core.Fingerprint) int {
	mask, tag := len(d.slots)-1, uint32(hash(fp)>>32)
	for i := d.home(fp); ; i = (i + 1) & mask {
		s := d.slots[i]
		if s == 0 || (s^tag)&^uint32(mask) == 0 && d.at(int(s)&mask-1).fp == *fp {
			return i
		}
	}
}

// get returns the change of a coin, or nil. It is valid until the next note.
func (d *delta) get(fp *core.Fingerprint) *changed {
	if d == nil || d.n == 0 {
		return nil
	}
	return d.in(d.slot(fp))
}

// in returns the coin that a slot has, or nil.
func (d *delta) in(slot int) *changed {
	if s := int(d.slots[slot]); s != 0 {
		return d.at(s&(len(d.slots)-1) - 1)
	}
	return nil
}

// put lets a slot have the coin at a position.
func (d *delta) put(slot, i int) {
	mask := uint32(len(d.slots) - 1)
	d.slots[slot] = uint32(hash(&d.at(i).fp)>>32)&^mask | uint32(i+1)
}

// note records that a coin changed from before, whose record is in window from, to
// after, whose record is in window to.
func (d *delta) note(fp *core.Fingerprint, before life.Phase, from uint32, after *life.Coin, to uint32) {
	slot := d.slot(fp)
	if c := d.in(slot); c != nil {
		c.coin, c.window = *after, to
		return
	}
	if d.n == len(d.chunks)*chunkCoins {
		d.chunks = append(d.chunks, new([chunkCoins]changed))
	}
	*d.at(d.n) = changed{fp: *fp, before: before, from: from, window: to, coin: *after}
	d.put(slot, d.n)
	d.n++
	if d.n > len(d.slots)*3/4 {
		d.slots = make([]uint32, 2*len(d.slots))
		for i := range d.n {
			d.put(d.slot(&d.at(i).fp), i)
		}
	}
}
