package main

import (
	"fmt"
	"math"
)

// A spiller fits regions into few registers: where they do not suffice, the value whose
// next use is farthest away (Belady) waits in memory. Constants wait there from the
// start. So the same operations serve the sixteen registers of AVX2 as the 32 of
// AVX-512, and the interpreter runs what comes out like any other region.
type spiller struct {
	constants *constants
	pinned    map[int]int // have registers of their own
	registers int
	from      space // its end is where slots for what waits begin
}

// region returns ops with the loads and stores that it takes for no more values to be
// in registers at once than there are.
func (s *spiller) region(ops []*op) []*op {
	r := &spilled{spiller: s, now: map[int]*value{}, home: map[int]*slot{}, uses: map[int][]int{}, end: s.from.size}
	stored := map[*slot]bool{}
	for i, o := range ops {
		for _, v := range o.srcs {
			r.uses[v.id] = append(r.uses[v.id], i)
		}
		if o.code == opStore {
			stored[o.mem] = true
		}
	}
	for _, k := range s.constants.registers {
		r.home[k.id] = s.constants.word("register", k.word)
	}
	for i, o := range ops {
		// What stays in memory is loaded where it is used.
		if o.code == opLoad && !o.mem.table && !stored[o.mem] {
			r.home[o.dst.id] = o.mem
			continue
		}
		r.operation(i, o)
	}
	return r.out
}

// spilled is a region in the making. Values go by the ids that they have in the
// original.
type spilled struct {
	*spiller
	out  []*op
	now  map[int]*value // those in registers, under what name
	home map[int]*slot  // where else a value is
	uses map[int][]int  // still to come, by operation
	end  int            // of the slots in use
	free []int          // offsets of slots that no value needs any more
}

func (r *spilled) operation(i int, o *op) {
	o, folded := r.fold(o)
	keep := map[int]bool{}
	for _, v := range o.srcs {
		keep[v.id] = true
	}
	for _, v := range o.srcs {
		if r.now[v.id] == nil && !r.isPinned(v) {
			r.makeRoom(keep)
			loaded := v.like()
			r.out = append(r.out, &op{code: opLoad, dst: loaded, mem: r.home[v.id]})
			r.now[v.id] = loaded
		}
	}
	written := *o
	written.srcs = nil
	for _, v := range o.srcs {
		if !r.isPinned(v) {
			v = r.now[v.id]
		}
		written.srcs = append(written.srcs, v)
	}
	if o.code.destroys() {
		// The accumulator's register is the result's. A copy of it may be at home.
		acc := o.srcs[0]
		r.used(i, acc)
		if len(r.uses[acc.id]) > 0 && r.home[acc.id] == nil {
			panic(fmt.Sprintf("operation %d destroys an accumulator that is needed later", i))
		}
		delete(r.now, acc.id)
		for _, v := range o.srcs[1:] {
			r.used(i, v)
		}
	} else {
		for _, v := range o.srcs {
			r.used(i, v)
		}
		if o.dst != nil {
			r.makeRoom(keep)
		}
	}
	if o.dst != nil {
		r.now[o.dst.id] = o.dst
	}
	r.out = append(r.out, &written)
	if folded != nil {
		r.used(i, folded) // not before: the room made for the result could be its slot
	}
}

// fold returns o with a source that is only at home, and that nothing uses after it, taken
// from there by the instruction itself; and that source, nil if there is none.
func (r *spilled) fold(o *op) (with *op, source *value) {
	if o.mem != nil {
		return o, nil
	}
	last := len(o.srcs) - 1
	fits := func(k int) bool {
		v := o.srcs[k]
		return r.now[v.id] == nil && !r.isPinned(v) && len(r.uses[v.id]) == 1
	}
	var at int
	switch o.code {
	case opAdd:
		if at = last; !fits(at) {
			at = 0
		}
	case opSub, opAnd, opMul32, opFloatAdd, opFloatSub:
		at = last
	default:
		return o, nil
	}
	if !fits(at) {
		return o, nil
	}
	source = o.srcs[at]
	folded := *o
	folded.srcs = []*value{o.srcs[last-at]}
	folded.mem = r.home[source.id]
	return &folded, source
}

func (r *spilled) isPinned(v *value) bool {
	_, ok := r.pinned[v.id]
	return ok
}

// used crosses the use of v in operation i off. After the last one its register and its
// slot are free.
func (r *spilled) used(i int, v *value) {
	uses := r.uses[v.id]
	for len(uses) > 0 && uses[0] == i {
		uses = uses[1:]
	}
	r.uses[v.id] = uses
	if len(uses) > 0 {
		return
	}
	delete(r.now, v.id)
	if home := r.home[v.id]; home != nil && home.name == spillName {
		r.free = append(r.free, home.offsetBytes)
	}
	delete(r.home, v.id)
}

// makeRoom leaves a register free. Those in keep stay.
func (r *spilled) makeRoom(keep map[int]bool) {
	if len(r.now) < r.registers {
		return
	}
	victim, farthest := -1, -1
	for id := range r.now {
		if keep[id] {
			continue
		}
		next := math.MaxInt
		if uses := r.uses[id]; len(uses) > 0 {
			next = uses[0]
		}
		if next > farthest || next == farthest && id < victim {
			victim, farthest = id, next
		}
	}
	if victim < 0 {
		panic("an operation needs more registers than there are")
	}
	if r.home[victim] == nil {
		v := r.now[victim]
		at := r.slot()
		r.out = append(r.out, &op{code: opStore, srcs: []*value{v}, mem: at})
		at.max, at.carried, at.float, at.offset = v.max, v.carried, v.float, v.offset
		r.home[victim] = at
	}
	delete(r.now, victim)
}

const spillName = "spilled"

func (r *spilled) slot() *slot {
	s := &slot{name: spillName, base: r.from.base}
	if n := len(r.free); n > 0 {
		s.offsetBytes = r.free[n-1]
		r.free = r.free[:n-1]
		return s
	}
	s.offsetBytes = r.end
	r.end += 64
	if r.end > workBytes {
		panic("more values wait than there is work space")
	}
	return s
}
