package latency

import (
	"strings"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, 3 * time.Millisecond, time.Minute} {
		h.Observe(d)
	}
	for name, lines := range map[string][]string{
		"x": {
			"x_bucket{le=\"1e-05\"} 1\n", "x_bucket{le=\"0.0001\"} 2\n", "x_bucket{le=\"0.00025\"} 3\n", "x_bucket{le=\"0.0025\"} 3\n",
			"x_bucket{le=\"0.005\"} 4\n", "x_bucket{le=\"10\"} 4\n", "x_bucket{le=\"+Inf\"} 5\n", "x_sum 60.003201\n", "x_count 5\n",
		},
		`x{stage="open"}`: {"x_bucket{stage=\"open\",le=\"0.0001\"} 2\n", "x_sum{stage=\"open\"} 60.003201\n", "x_count{stage=\"open\"} 5\n"},
	} {
		var b strings.Builder
		h.Write(&b, name)
		for _, want := range lines {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, b.String())
			}
		}
	}
}
