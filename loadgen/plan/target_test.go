package plan

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestTargetRefuses gives each field values that are too small, too large, broken, or none.
func TestTargetRefuses(t *testing.T) {
	nan := math.NaN()
	for flag, c := range map[string]struct {
		set func(*Target, float64)
		bad []float64
	}{
		"devices":                   {func(t *Target, v float64) { t.Devices = v }, []float64{0, -1, 1.5, 2e15, nan, math.Inf(1)}},
		"coins":                     {func(t *Target, v float64) { t.Coins = v }, []float64{0, -1, 0.5, 2e15, nan}},
		"operations-per-device-day": {func(t *Target, v float64) { t.Operations = v }, []float64{0, -1, 1e10, nan}},
		"replicas":                  {func(t *Target, v float64) { t.Replicas = v }, []float64{0, 2.5, 10, nan}},
		"batch":                     {func(t *Target, v float64) { t.Batch = v }, []float64{0, 1001, 1.5, nan}},
		"peak":                      {func(t *Target, v float64) { t.Peak = v }, []float64{0.5, 1001, nan}},
		"utilisation":               {func(t *Target, v float64) { t.Utilisation = v }, []float64{0, 1.1, -1, nan}},
		"connects-per-device-day":   {func(t *Target, v float64) { t.Connects = v }, []float64{-1, 86401, nan}},
		"resumed":                   {func(t *Target, v float64) { t.Resumed = v }, []float64{-0.1, 1.1, nan}},
		"hold-seconds":              {func(t *Target, v float64) { t.Hold = v }, []float64{-1, 86401, nan}},
		"connections-per-node":      {func(t *Target, v float64) { t.ConnsPerNode = v }, []float64{0, 1.5, 1e8, nan}},
		"coins-per-withdrawal":      {func(t *Target, v float64) { t.CoinsPerRequest = v }, []float64{0, 1.5, 10_001, nan}},
		"analysts":                  {func(t *Target, v float64) { t.Analysts = v }, []float64{0, 1.5, 1e10, nan}},
		"payload":                   {func(t *Target, v float64) { t.Payload = v }, []float64{-1, 0.5, 1 << 21, nan}},
		"spent-window":              {func(t *Target, v float64) { t.SpentWindow = time.Duration(v * float64(time.Second)) }, []float64{0, -1, 59, 400 * 86400}},
		"refill-days":               {func(t *Target, v float64) { t.RefillDays = v }, []float64{0, -1, 10_001, nan}},
		"disk-fill":                 {func(t *Target, v float64) { t.DiskFill = v }, []float64{0, 1.1, nan}},
		"memory-share":              {func(t *Target, v float64) { t.MemoryShare = v }, []float64{0, 1.1, nan}},
		"core-speed":                {func(t *Target, v float64) { t.CoreSpeed = v }, []float64{0, 101, nan}},
		"disk-speed":                {func(t *Target, v float64) { t.DiskSpeed = v }, []float64{0, 101, nan}},
	} {
		for _, v := range c.bad {
			target := target(t)
			c.set(&target, v)
			if err := target.Validate(); err == nil || !strings.Contains(err.Error(), "--"+flag+" is ") || !strings.Contains(err.Error(), "give a ") {
				t.Errorf("--%s of %v: %v", flag, v, err)
			}
		}
	}
	if err := (&Target{}).Validate(); err == nil {
		t.Error("an empty target is valid")
	}
}
