package loadgen

import (
	"math"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
)

// runnable returns how long goroutines that could run have waited so far, in seconds.
func runnable() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return sample[0].Value.Float64Histogram()
}

// quantileSince returns a quantile of what came into a histogram between two readings, the
// lower bound of its bucket; 0 for nothing.
func quantileSince(before, after *metrics.Float64Histogram, q float64) float64 {
	if before == nil || after == nil || len(before.Counts) != len(after.Counts) {
		return 0
	}
	total := uint64(0)
	for i := range after.Counts {
		total += after.Counts[i] - before.Counts[i]
	}
	rank, seen := uint64(math.Ceil(q*float64(total))), uint64(0)
	for i := range after.Counts {
		seen += after.Counts[i] - before.Counts[i]
		if total > 0 && seen >= rank {
			return max(after.Buckets[i], 0)
		}
	}
	return 0
}

// runDelay returns how long the threads of this process that could run have waited for a
// processor, in seconds; 0 where the system does not tell.
func runDelay() (sum float64) {
	files, _ := filepath.Glob("/proc/self/task/*/schedstat") // the pattern is a good one
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if f := strings.Fields(string(b)); len(f) == 3 { // running, waiting, slices
			if ns, err := strconv.ParseFloat(f[1], 64); err == nil {
				sum += ns / 1e9
			}
		}
	}
	return sum
}
