package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"ecoin/docs/plots"
)

// Figure is a number that was measured, or taken for granted.
type Figure struct {
	Value   float64
	Where   string // "A: 100M coins, index path: disk_bytes_per_coin"; or why it is assumed
	Assumed bool
}

// Source is a file or document that figures come from.
type Source struct {
	Letter string `json:"letter"`
	Text   string `json:"text"`
}

// Measurements is what a plan rests on. [Recorded] returns those of this repository, and
// [Measurements.UseRuns] puts runs in the place of what they measure.
type Measurements struct {
	Sources []Source

	growth growth
	bank   bankFigures

	redeems     []redeemFigure // of one machine
	loneUs      Figure         // CPU time of the bank a coin that is alone in its request
	withdrawUs  *Figure        // of a coin through the bank; nil when not measured
	processors  float64        // of the machine that the bank was measured on
	concurrency []Point
	curveWhere  string
}

// redeemFigure is a redeem through the bank with so many headers a request.
type redeemFigure struct {
	headers float64
	suite   string
	cpuUs   Figure  // CPU time of the bank's process a coin
	rate    float64 // the highest
}

// growth is what internal/ledgerscale writes.
type growth struct {
	Command string      `json:"command"`
	Machine string      `json:"machine"`
	Results []growthRow `json:"results"`
}

type growthRow struct {
	Coins        float64 `json:"coins"`
	Path         string  `json:"path"`
	LoadPerS     float64 `json:"load_coins_per_s"`
	ReopenS      float64 `json:"reopen_s"`
	IndexedS     float64 `json:"indexed_s"`
	IndexedShare float64 `json:"indexed_share"`
	CoinsPerS    float64 `json:"coins_per_s"`
	CPUUs        float64 `json:"cpu_us_per_coin"`
	CPUDrainedUs float64 `json:"cpu_drained_us_per_coin"`
	WriteAmp     float64 `json:"write_amplification"`
	DiskBytes    float64 `json:"disk_bytes_per_coin"`
	SpentBytes   float64 `json:"spent_bytes_per_coin"`
	IndexBytes   float64 `json:"index_bytes_per_coin"`
	AuditS       float64 `json:"audit_s"`
}

// bankFigures is what internal/bankscale writes.
type bankFigures struct {
	Machine string `json:"machine"`
	Command string `json:"command"`
	Closed  []struct {
		Headers   float64   `json:"headers"`
		Conns     float64   `json:"connections"`
		Rounds    []outcome `json:"rounds"`
		Transport []outcome `json:"transport"`
	} `json:"closed"`
	Handshakes []struct {
		Resumed bool    `json:"resumed"`
		PerS    float64 `json:"per_s"`
		CPUUs   float64 `json:"bank_cpu_us"`
	} `json:"handshakes"`
	Idle struct {
		Conns float64 `json:"connections"`
		Bytes float64 `json:"bytes"`
	} `json:"idle"`
}

type outcome struct {
	Coins float64 `json:"coins"`
	Took  float64 `json:"took_ns"`
	CPU   float64 `json:"bank_cpu_ns"`
}

func (o outcome) rate() float64  { return o.Coins / o.Took * 1e9 }
func (o outcome) cpuUs() float64 { return o.CPU / 1e3 / o.Coins }

// When the files of docs/plots were recorded, which they do not say themselves.
const (
	growthDate      = "26 and 27 November 2026"
	bankDate        = "27 November 2026"
	concurrencyDate = "27 November 2026"
)

// Recorded returns the measurements of this repository.
func Recorded() *Measurements {
	m := &Measurements{processors: measuredProcessors}
	var c bankFigures
	for _, f := range []struct {
		text []byte
		into any
	}{{plots.Ledger, &m.growth}, {plots.Bank, &m.bank}, {plots.Concurrency, &c}} {
		if err := json.Unmarshal(f.text, f.into); err != nil {
			panic("plan: the recorded measurements cannot be read: " + err.Error())
		}
	}
	m.Sources = []Source{
		{"A", fmt.Sprintf("docs/plots/results.json, %s (%s; %s)", growthDate, m.growth.Command, m.growth.Machine)},
		{"B", fmt.Sprintf("docs/plots/bank/results.json, %s (%s; %s)", bankDate, m.bank.Command, m.bank.Machine)},
		{"C", fmt.Sprintf("docs/plots/concurrency/results.json, %s (%s; %s)", concurrencyDate, c.Command, c.Machine)},
		{"D", "BENCHMARKS.md, \"The codec against the standard library\" and \"The bank's coins\" (the same kind of machine)"},
		{"E", "BENCHMARKS.md, \"Disk\": fio on the virtual disk of a 2-core Xeon, 22 November 2026"},
		{"F", "BENCHMARKS.md, \"A ledger in a database\": ledger/pgledger on PostgreSQL 15, 27 November 2026, its client on the same 2 cores: redeems on the machine of B; withdrawals, log and disk on an AMD EPYC whose kernel is slower"},
	}
	for _, closed := range m.bank.Closed {
		m.redeems = append(m.redeems, redeemFigure{headers: closed.Headers, suite: "x25519",
			rate: median(closed.Rounds, outcome.rate),
			cpuUs: Figure{Value: median(closed.Rounds, outcome.cpuUs),
				Where: fmt.Sprintf("B: %s headers, %s connections: bank_cpu_ns / coins, median of %d", number(closed.Headers), number(closed.Conns), len(closed.Rounds))}})
	}
	if lone, err := m.redeem(1, "x25519"); err == nil {
		m.loneUs = lone.cpuUs
	}
	for _, closed := range c.Closed {
		for _, o := range closed.Rounds {
			m.concurrency = append(m.concurrency, Point{N: closed.Conns, Rate: o.rate()})
		}
	}
	if len(c.Closed) > 0 {
		m.curveWhere = fmt.Sprintf("C: coins / took_ns of all rounds, %s headers a request", number(c.Closed[0].Headers))
	}
	return m
}

func median[T any](list []T, figure func(T) float64) float64 {
	v := make([]float64, len(list))
	for i, x := range list {
		v[i] = figure(x)
	}
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// redeem returns the figure for so many headers a request: of the greatest number measured
// that is not greater, since fewer cost more. Where the suite was not measured it is of
// another, if what opening costs in both is known.
func (m *Measurements) redeem(headers float64, suite string) (redeemFigure, error) {
	var best redeemFigure
	for _, exact := range []bool{true, false} {
		for _, r := range m.redeems {
			fits := r.suite == suite || !exact && codec[r.suite] != nil && codec[suite] != nil
			if fits && r.headers <= headers && r.headers > best.headers {
				best = r
			}
		}
		if best.headers > 0 {
			return best, nil
		}
	}
	return best, fmt.Errorf("nothing was measured of suite %s with %s headers a request or fewer: measure it with ecoin loadgen redeem --suite %s --json FILE, and give --from FILE", suite, number(headers), suite)
}

// row returns the row of a path of the ledger to plan with: the largest that was measured
// with all of the path at work and is not larger than the whole fleet.
func (g *growth) row(path string, coins float64) (growthRow, error) {
	rows := slices.DeleteFunc(slices.Clone(g.Results), func(r growthRow) bool {
		return r.Path != path || path == "index" && r.IndexedShare < 1
	})
	if len(rows) == 0 {
		return growthRow{}, fmt.Errorf("docs/plots/results.json has no row of the %s path", path)
	}
	slices.SortFunc(rows, func(a, b growthRow) int { return cmp.Compare(a.Coins, b.Coins) })
	best := rows[0]
	for _, r := range rows {
		if r.Coins <= coins {
			best = r
		}
	}
	return best, nil
}

// handshake returns the median CPU time of the bank.
func (b *bankFigures) handshake(resumed bool) Figure {
	var us []float64
	for _, h := range b.Handshakes {
		if h.Resumed == resumed {
			us = append(us, h.CPUUs)
		}
	}
	return Figure{Value: median(us, func(v float64) float64 { return v }),
		Where: fmt.Sprintf("B: handshakes, resumed %t: bank_cpu_us, median of %d", resumed, len(us))}
}
