package plan

import (
	"fmt"
	"math"
	"time"

	"ecoin/core"
)

// Target is what a plan is for, and what it takes for granted. Its tags are those of
// flags (alecthomas/kong), so that defaults and explanations stand in one place. The zero
// value is none: every field has to be filled in.
type Target struct {
	Devices         float64 `json:"devices" help:"Devices with an account." default:"1e9"`
	Coins           float64 `json:"coins_per_device" help:"Live coins of a device." default:"1000"`
	Operations      float64 `json:"operations_per_device_day" name:"operations-per-device-day" help:"Operations of a device a day, each of which redeems a coin; as many coins are withdrawn." default:"24"`
	Suite           string  `json:"suite" help:"Suite of the headers: x25519, xwing or rsa3072." default:"x25519"`
	Replicas        float64 `json:"replicas" help:"Copies of everything that is stored." default:"3"`
	Batch           float64 `json:"headers_per_request" help:"Headers of a redeem request, as it arrives at one bank." default:"100"`
	Peak            float64 `json:"peak_over_mean" help:"Rate at the peak over the mean rate." default:"3"`
	Utilisation     float64 `json:"utilisation" help:"Share of a node's highest rate that the peak may take." default:"0.5"`
	Connects        float64 `json:"connects_per_device_day" name:"connects-per-device-day" help:"Times a device connects to its bank a day." default:"1"`
	Resumed         float64 `json:"resumed_share" help:"Share of the connects that resume a session." default:"0"`
	Hold            float64 `json:"hold_s" name:"hold-seconds" help:"Seconds a device's connection lives; the bank ends idle ones after 90." default:"90"`
	ConnsPerNode    float64 `json:"connections_per_node" name:"connections-per-node" help:"Most connections of a node (--max-conns of its bank)." default:"1e5"`
	CoinsPerRequest float64 `json:"coins_per_withdrawal" name:"coins-per-withdrawal" help:"Coins of a withdrawal." default:"100"`
	Analysts        float64 `json:"analysts" help:"Analysts, who share the operations." default:"100"`
	Payload         float64 `json:"payload_bytes" help:"Bytes of a reading, and of its result, as directors relay them." default:"1024"`

	SpentWindow time.Duration `json:"spent_window_ns" help:"How long spent records are kept, at least (--spent-window of the bank)." default:"1h"`
	RefillDays  float64       `json:"refill_days" help:"Days in which all coins of the fleet can be withdrawn anew, beside the operations." default:"30"`
	DiskFill    float64       `json:"disk_fill" help:"Share of the disks that may be full." default:"0.7"`
	MemoryShare float64       `json:"memory_share" help:"Share of a node's memory for index and connections; the rest is for the page cache and the system." default:"0.8"`
	CoreSpeed   float64       `json:"core_speed" help:"Speed of a planned core over one of the measured machine." default:"1"`
	DiskSpeed   float64       `json:"disk_speed" help:"Speed of a planned disk over that of the measured machine." default:"1"`
}

// Validate says what is wrong with a target.
func (t *Target) Validate() error {
	const most = 1e15
	for _, f := range []struct {
		flag      string
		value     float64
		low, high float64
		whole     bool
	}{
		{"devices", t.Devices, 1, most, true},
		{"coins", t.Coins, 1, most, true},
		{"operations-per-device-day", t.Operations, 1e-6, 1e9, false},
		{"replicas", t.Replicas, 1, 9, true},
		{"batch", t.Batch, 1, 1000, true},
		{"peak", t.Peak, 1, 1000, false},
		{"utilisation", t.Utilisation, 0.01, 1, false},
		{"connects-per-device-day", t.Connects, 0, 86400, false},
		{"resumed", t.Resumed, 0, 1, false},
		{"hold-seconds", t.Hold, 0, 86400, false},
		{"connections-per-node", t.ConnsPerNode, 1, 1e7, true},
		{"coins-per-withdrawal", t.CoinsPerRequest, 1, 10_000, true},
		{"analysts", t.Analysts, 1, 1e9, true},
		{"payload", t.Payload, 0, 1 << 20, true},
		{"spent-window", t.SpentWindow.Seconds(), 60, 366 * 86400, false},
		{"refill-days", t.RefillDays, 0.01, 10_000, false},
		{"disk-fill", t.DiskFill, 0.01, 1, false},
		{"memory-share", t.MemoryShare, 0.01, 1, false},
		{"core-speed", t.CoreSpeed, 0.01, 100, false},
		{"disk-speed", t.DiskSpeed, 0.01, 100, false},
	} {
		switch {
		case !(f.value >= f.low && f.value <= f.high):
			return fmt.Errorf("--%s is %v: give a number from %s to %s", f.flag, f.value, number(f.low), number(f.high))
		case f.whole && f.value != math.Trunc(f.value):
			return fmt.Errorf("--%s is %v: give a whole number", f.flag, f.value)
		}
	}
	if _, err := core.ParseSuite(t.Suite); err != nil {
		return fmt.Errorf("--suite: %w", err)
	}
	return nil
}
