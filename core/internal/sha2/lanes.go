package sha2

// LaneCount is the number of messages that BlockLanes and BlockWords take at once.
const LaneCount = 16

// Lanes is sixteen states, by word: word w of the state of lane l is at [w][l].
type Lanes [8][LaneCount]uint32

// Get returns the state of one lane. Like Set it is written out, because a loop takes
// twice as long.
func (st *Lanes) Get(lane int) State {
	return State{
		st[0][lane], st[1][lane], st[2][lane], st[3][lane],
		st[4][lane], st[5][lane], st[6][lane], st[7][lane],
	}
}

// Set replaces the state of one lane.
func (st *Lanes) Set(lane int, s *State) {
	st[0][lane], st[1][lane], st[2][lane], st[3][lane] = s[0], s[1], s[2], s[3]
	st[4][lane], st[5][lane], st[6][lane], st[7][lane] = s[4], s[5], s[6], s[7]
}

// Wide reports whether BlockLanes and BlockWords work on all lanes at once. If not,
// they take as long as sixteen blocks without vector instructions.
func Wide() bool { return haveAVX512 }

// BlockLanes compresses n blocks of BlockSize bytes, one after the other from each
// pointer, into the lane of the same index. Every pointer must have as many bytes
// behind it; several may be the same. p stays as it is.
func BlockLanes(st *Lanes, p *[LaneCount]*byte, n int) {
	if n > 0 {
		blockLanes(st, p, n)
	}
}

// BlockWords compresses one block into each lane. Word t of the block of lane l is
// w[t][l], as a number: what is big-endian in bytes.
func BlockWords(st *Lanes, w *[16][LaneCount]uint32) { blockWords(st, w) }
