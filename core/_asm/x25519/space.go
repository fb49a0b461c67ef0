package main

import "fmt"

// constants are the numbers that a routine needs in all lanes: some in registers for
// as long as it runs, the others in memory.
type constants struct {
	registers []*constReg
	words     []*slot
}

// A constReg is a constant in a register.
type constReg struct {
	value
	word uint64
}

func (c *constants) register(word uint64) *constReg {
	r := &constReg{value: *newValue(word, false), word: word}
	c.registers = append(c.registers, r)
	return r
}

// word returns a constant in memory, the same one for the same number.
func (c *constants) word(name string, w uint64) *slot {
	for _, s := range c.words {
		if s.word == w && s.name == name {
			return s
		}
	}
	s := &slot{name: name, constant: true, offsetBytes: 8 * len(c.words), word: w, max: w}
	c.words = append(c.words, s)
	return s
}

// The work space that the caller lends.
const (
	workType  = "*[36][5][8]uint64"
	workBytes = 36 * limbs * 64
)

// A space lays numbers out in memory, 64 bytes a limb.
type space struct {
	base string // the register that points to it
	size int
}

func (s *space) number(name string) *number {
	n := new(number)
	for i := range n {
		n[i] = &slot{name: fmt.Sprintf("%s[%d]", name, i), base: s.base, offsetBytes: s.size}
		s.size += 64
	}
	return n
}

// declare states bounds that a loop or the caller keeps: of limbs 0 to 3, and of limb
// 4. The former may be carried.
func (n *number) declare(low, high uint64, carried bool) *number {
	for i, s := range n {
		s.declared = true
		s.max, s.carried = low, carried
		if i == limbs-1 {
			s.max, s.carried = high, false
		}
	}
	return n
}

// declarePacked states that n is packed, limb 4 at most high.
func (n *number) declarePacked(high uint64) *number { return n.declare(mask52, high, false) }
