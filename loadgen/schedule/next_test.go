package schedule

import (
	"fmt"
	"testing"
	"time"
)

var examples = []string{
	"constant:1000000", "poisson:1000000", "ramp:1000000..2000000", "step:1000000,2000000", "sine:1000000+-1000000/60s",
	"trace:0,1000000\n1,2000000\n2,3000000",
}

func TestNextAllocs(t *testing.T) {
	for _, text := range examples {
		s := must(t, text).Sends(time.Hour, 1, 1, 2)
		if n := testing.AllocsPerRun(1000, func() { s.Next() }); n != 0 && !raceEnabled {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	for _, text := range examples {
		for _, workers := range []int{1, 8} {
			spec := must(b, text)
			b.Run(fmt.Sprintf("%s/workers=%d", spec.form, workers), func(b *testing.B) {
				b.ReportAllocs()
				s := spec.Sends(1000*time.Hour, 1, 0, workers)
				for b.Loop() {
					if _, ok := s.Next(); !ok {
						s = spec.Sends(1000*time.Hour, 1, 0, workers)
					}
				}
			})
		}
	}
}
