//go:build !amd64 || purego

package x25519

var lanesImpl = implTwin

func ladder8(p *ladderPoint, _ *workSpace, swaps *[scalarBits]uint8, _ int) {
	ladder8Generic(p, swaps)
}

func multiply8(dst, x, y *fe8, _ *workSpace) { multiply8Generic(dst, x, y) }

func comb8(r *combResult, _ *workSpace, p, q *combTable, digits *[combDigits][laneCount]uint8) {
	comb8Generic(r, p, q, digits)
}
