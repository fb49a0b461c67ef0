package sha2

import "testing"

// BenchmarkBlock compresses 4 KiB of one message.
func BenchmarkBlock(b *testing.B) {
	for _, impl := range implementations() {
		if impl.block == nil {
			continue
		}
		b.Run("impl="+impl.name, func(b *testing.B) {
			p := make([]byte, 64*BlockSize)
			st := Init()
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				impl.block(&st, p)
			}
			perCompression(b, len(p)/BlockSize)
		})
	}
}

// BenchmarkBlockLanes compresses 4 KiB of each lane.
func BenchmarkBlockLanes(b *testing.B) {
	const blocks = 64
	for _, impl := range implementations() {
		if impl.lanes == nil {
			continue
		}
		b.Run("impl="+impl.name, func(b *testing.B) {
			var st Lanes
			var p [LaneCount]*byte
			for lane := range p {
				p[lane] = &make([]byte, blocks*BlockSize)[0]
			}
			b.SetBytes(LaneCount * blocks * BlockSize)
			b.ReportAllocs()
			for b.Loop() {
				impl.lanes(&st, &p, blocks)
			}
			perCompression(b, LaneCount*blocks)
		})
	}
}

// perCompression reports the time of one block of one message.
func perCompression(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/compression")
}
