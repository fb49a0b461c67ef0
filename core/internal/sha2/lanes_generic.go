package sha2

import "unsafe"

func blockLanesGeneric(st *Lanes, p *[LaneCount]*byte, n int) {
	for lane, first := range p {
		s := st.Get(lane)
		blockGeneric(&s, unsafe.Slice(first, n*BlockSize))
		st.Set(lane, &s)
		clear(s[:])
	}
}

func blockWordsGeneric(st *Lanes, w *[16][LaneCount]uint32) {
	var one [16]uint32
	for lane := range LaneCount {
		for t := range w {
			one[t] = w[t][lane]
		}
		s := st.Get(lane)
		compress(&s, &one)
		st.Set(lane, &s)
		clear(s[:])
	}
	clear(one[:])
}
