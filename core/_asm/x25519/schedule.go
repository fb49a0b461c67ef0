package main

import "fmt"

// interleave merges blocks that do not depend on each other, each in its own order,
// so that they end together: a block of n operations places one in every total/n.
func interleave(blocks ...*block) []*op {
	total, next := 0, make([]int, len(blocks))
	for _, b := range blocks {
		total += len(b.ops)
	}
	out := make([]*op, 0, total)
	for len(out) < total {
		// The block that is most behind its share goes on.
		best, behind := -1, 0.0
		for i, b := range blocks {
			if next[i] == len(b.ops) {
				continue
			}
			if done := float64(next[i]) / float64(len(b.ops)); best < 0 || done < behind {
				best, behind = i, done
			}
		}
		out = append(out, blocks[best].ops[next[best]])
		next[best]++
	}
	return out
}

// assign gives every value of a region a register below limit, and returns them by
// value id. A sum of products keeps the register of its accumulator.
func assign(ops []*op, pinned map[int]int, limit int) map[int]int {
	last := map[int]int{}
	for i, o := range ops {
		for _, s := range o.srcs {
			last[s.id] = i
		}
	}
	regs := map[int]int{}
	for id, r := range pinned {
		regs[id] = r
	}
	var free []int
	for r := limit - 1; r >= 0; r-- {
		free = append(free, r)
	}
	release := func(s *value, i int) {
		if _, isPinned := pinned[s.id]; !isPinned && last[s.id] == i {
			free = append(free, regs[s.id])
			delete(last, s.id)
		}
	}
	for i, o := range ops {
		for _, s := range o.srcs {
			if _, ok := regs[s.id]; !ok {
				panic(fmt.Sprintf("operation %d uses a value of another region", i))
			}
		}
		if o.code.destroys() {
			acc := o.srcs[0]
			if last[acc.id] != i {
				panic(fmt.Sprintf("operation %d destroys an accumulator that is needed later", i))
			}
			regs[o.dst.id] = regs[acc.id]
			for _, s := range o.srcs[1:] {
				release(s, i)
			}
		} else {
			for _, s := range o.srcs {
				release(s, i)
			}
			if o.dst != nil {
				if len(free) == 0 {
					panic(fmt.Sprintf("operation %d finds no free register", i))
				}
				regs[o.dst.id] = free[len(free)-1]
				free = free[:len(free)-1]
			}
		}
		if o.dst != nil {
			if _, used := last[o.dst.id]; !used {
				panic(fmt.Sprintf("operation %d makes a value that nothing uses", i))
			}
		}
	}
	return regs
}

// destroys reports whether the result takes the place of the first source.
func (c opcode) destroys() bool {
	switch c {
	case opLo, opHi, opLookup, opFMA, opFMAOver, opWithExponent:
		return true
	}
	return false
}
