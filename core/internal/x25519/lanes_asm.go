//go:build amd64 && !purego

package x25519

import "ecoin/core/internal/cpu"

// lanesImpl is how this processor computes in eight lanes. Tests change it.
var lanesImpl = func() implementation {
	switch {
	case cpu.IFMA:
		return implIFMA
	case cpu.AVX512:
		return implFMA
	case cpu.AVX2:
		return implAVX2
	}
	return implTwin
}()

// ladder8 climbs from the points p[0] to their products p[1] / p[2] in so many lanes, the
// first ones. In the others p[2] is any numbers, not zero unless a point there makes it so.
func ladder8(p *ladderPoint, w *workSpace, swaps *[scalarBits]uint8, lanes int) {
	switch lanesImpl {
	case implIFMA:
		ladder8IFMA(p, w, swaps)
	case implFMA:
		ladder8FMA(p, w, swaps)
	case implAVX2:
		p[2] = fe8{{1, 1, 1, 1, 1, 1, 1, 1}} // where it does not write
		ladder8AVX2(p, w, swaps, uint64(lanes))
	default:
		ladder8Generic(p, swaps)
	}
}

func multiply8(dst, x, y *fe8, w *workSpace) {
	switch lanesImpl {
	case implIFMA:
		multiply8IFMA(dst, x, y, w)
	case implFMA:
		multiply8FMA(dst, x, y, w)
	case implAVX2:
		multiply8AVX2(dst, x, y, w)
	default:
		multiply8Generic(dst, x, y)
	}
}

func comb8(r *combResult, w *workSpace, p, q *combTable, digits *[combDigits][laneCount]uint8) {
	switch lanesImpl {
	case implIFMA:
		comb8IFMA(r, w, p, q, digits)
	case implFMA:
		comb8FMA(r, w, p, q, digits)
	case implAVX2:
		comb8AVX2(r, w, p, q, digits)
	default:
		comb8Generic(r, p, q, digits)
	}
}
