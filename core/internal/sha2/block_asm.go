//go:build amd64 && !purego

package sha2

import "ecoin/core/internal/cpu"

// What the processor runs. Tests and GODEBUG turn it off.
var (
	haveSHANI  = cpu.SHANI
	haveAVX512 = cpu.AVX512
)

func block(st *State, p []byte) {
	if haveSHANI {
		blockSHANI((*[8]uint32)(st), p)
		return
	}
	blockGeneric(st, p)
}

func blockLanes(st *Lanes, p *[LaneCount]*byte, n int) {
	if haveAVX512 {
		blockLanesAVX512((*[8][LaneCount]uint32)(st), p, n)
		return
	}
	blockLanesGeneric(st, p, n)
}

func blockWords(st *Lanes, w *[16][LaneCount]uint32) {
	if haveAVX512 {
		blockWordsAVX512((*[8][LaneCount]uint32)(st), w)
		return
	}
	blockWordsGeneric(st, w)
}
