package cbc

// A MAC is the CBC-MAC of messages of two blocks under one key: the last block of their
// encryption with an IV of zeros. On messages of one length it is a pseudo-random
// function (Bellare, Kilian, Rogaway, JCSS 2000). It does not change and is safe for
// concurrent use. It is as secret as the key.
type MAC struct {
	one Schedule
	all laneKeys // the same key in every lane
}

// A MACMessage is what a MAC authenticates.
type MACMessage = [2 * BlockSize]byte

// NewMAC returns the MAC under key, which it does not retain.
func NewMAC(key *[32]byte) *MAC {
	m := new(MAC)
	m.one.Expand(key)
	for r := range m.all {
		for lane := range m.all[r] {
			m.all[r][lane] = m.one.enc[r]
		}
	}
	return m
}

// Sum sets dst to the MAC of msg.
func (m *MAC) Sum(dst *[BlockSize]byte, msg *MACMessage) { mac(&m.one, dst, msg) }

// SumMany sets dst[i] to the MAC of msgs[i], or panics if there are not as many of one
// as of the other. It works in msgs: what is there afterwards means nothing, but tells
// of the messages. dst and msgs must not overlap.
func (m *MAC) SumMany(dst [][BlockSize]byte, msgs []MACMessage) {
	if len(dst) != len(msgs) {
		panic("cbc: dst and msgs differ in length")
	}
	width := laneCount()
	var at [maxLanes]*byte
	for len(msgs) >= width {
		for lane := range width {
			at[lane] = &msgs[lane][0]
		}
		// The chain ends with the last blocks of ciphertext, which are the MACs.
		var chain [maxLanes][BlockSize]byte
		encryptLanes(&m.all, &chain, &at, &at, len(msgs[0])/BlockSize)
		copy(dst, chain[:width])
		dst, msgs = dst[width:], msgs[width:]
	}
	for i := range msgs {
		m.Sum(&dst[i], &msgs[i])
	}
}
