//go:build !amd64 || purego

package sha2

const (
	haveSHANI  = false
	haveAVX512 = false
)

func block(st *State, p []byte) { blockGeneric(st, p) }

func blockLanes(st *Lanes, p *[LaneCount]*byte, n int) { blockLanesGeneric(st, p, n) }

func blockWords(st *Lanes, w *[16][LaneCount]uint32) { blockWordsGeneric(st, w) }
