//go:build amd64 && !purego

package sha2

import "ecoin/core/internal/cpu"

// implementations lists what this processor runs.
func implementations() []implementation {
	list := []implementation{generic}
	if cpu.SHANI {
		list = append(list, implementation{name: "shani", block: func(st *State, p []byte) {
			blockSHANI((*[8]uint32)(st), p)
		}})
	}
	if cpu.AVX512 {
		list = append(list, implementation{
			name: "avx512",
			lanes: func(st *Lanes, p *[LaneCount]*byte, n int) {
				blockLanesAVX512((*[8][LaneCount]uint32)(st), p, n)
			},
			words: func(st *Lanes, w *[16][LaneCount]uint32) {
				blockWordsAVX512((*[8][LaneCount]uint32)(st), w)
			},
		})
	}
	return list
}
