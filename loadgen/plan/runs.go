package plan

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ecoin/internal/figure"
	"ecoin/loadgen/result"
)

// NamedRun is a run and the file that it was read from.
type NamedRun struct {
	File string
	Run  *result.Run
}

// UseRuns puts runs of "ecoin loadgen --json" in the place of what they measure: the CPU
// time of redeemed and withdrawn coins, redeemed ones at the highest rate among the runs,
// and, of a closed model, the rates of the concurrency curve. No redeem of another machine
// is left beside those of runs. Bytes, handshakes and idle connections stay those of this
// repository. Runs that are invalid, and those whose audit failed, are refused, except with
// allowInvalid; those that no plan can be made from always are.
func (m *Measurements) UseRuns(runs []NamedRun, allowInvalid bool) error {
	figures := map[int]map[setup][]redeemFigure{} // of redeems, by headers a request
	var withdraws []float64
	var withdrawBatch, curveBatch int
	var curve []Point
	var files []string
	for _, named := range runs {
		r := named.Run
		if err := usable(r, allowInvalid); err != nil {
			return fmt.Errorf("%s: %s", named.File, figure.Printable(err.Error())) // text of strangers
		}
		batch := r.Setup.Batch
		files = append(files, figure.Printable(fmt.Sprintf("%s (%s; %s; %s)", filepath.Base(named.File), r.Started.UTC().Format("2 January 2006"), r.Command, r.Machine)))
		if r.Generator.CoresHave > 0 {
			m.processors = float64(r.Generator.CoresHave)
		}
		if r.Kinds[0].Name == "withdraw" {
			if withdrawBatch != 0 && withdrawBatch != batch {
				return fmt.Errorf("%s: runs that withdraw %d and %d coins a request: give those of one number", named.File, withdrawBatch, batch)
			}
			withdrawBatch = batch
			withdraws = append(withdraws, r.Server.CPUUs)
			continue
		}
		if r.Server != nil {
			if figures[batch] == nil {
				figures[batch] = map[setup][]redeemFigure{}
			}
			s := setup{r.Setup.Suite, r.Setup.Model, r.Setup.Conns, r.Setup.Rate}
			figures[batch][s] = append(figures[batch][s], redeemFigure{headers: float64(batch), suite: r.Setup.Suite, rate: r.GoodRate(), cpuUs: Figure{Value: r.Server.CPUUs}})
		}
		if r.Setup.Model == "closed" {
			if curveBatch != 0 && curveBatch != batch {
				return fmt.Errorf("%s: closed runs with %d and with %d headers a request do not make one curve: give those of one number", named.File, curveBatch, batch)
			}
			curveBatch = batch
			curve = append(curve, Point{N: float64(r.Setup.Conns), Rate: r.GoodRate()})
		}
	}
	if len(files) == 0 {
		return nil
	}
	m.Sources = append(m.Sources, Source{"R", strings.Join(files, "; ")})
	if len(figures) > 0 {
		m.redeems = nil // of another machine
	}
	for _, batch := range slices.Sorted(maps.Keys(figures)) {
		best, err := highest(figures[batch])
		if err != nil {
			return err
		}
		best.cpuUs.Where = fmt.Sprintf("R: redeem, %d a request, at the highest rate: server.cpu_us_per_coin, %s", batch, best.cpuUs.Where)
		m.redeems = append(m.redeems, best)
		if batch == 1 {
			m.loneUs = best.cpuUs
		}
	}
	if withdraws != nil {
		m.withdrawUs = &Figure{Value: median(withdraws, func(v float64) float64 { return v }), Where: fmt.Sprintf("R: withdraw, %d a request: server.cpu_us_per_coin, median of %d", withdrawBatch, len(withdraws))}
	}
	if curve != nil {
		m.concurrency, m.curveWhere = curve, fmt.Sprintf("R: coins / took_s of %d closed runs, %d headers a request", len(curve), curveBatch)
	}
	return nil
}

// setup is what tells runs apart that are not repetitions of each other.
type setup struct {
	suite, model string
	conns        int
	rate         float64
}

// highest returns the medians of the runs of the setup that reached the highest rate: at
// lower ones a coin costs more CPU time, which says nothing of what a machine can do.
func highest(runs map[setup][]redeemFigure) (best redeemFigure, err error) {
	for _, list := range runs {
		rate := median(list, func(r redeemFigure) float64 { return r.rate })
		us := median(list, func(r redeemFigure) float64 { return r.cpuUs.Value })
		if rate > best.rate || rate == best.rate && us > best.cpuUs.Value {
			best = redeemFigure{headers: list[0].headers, suite: list[0].suite, rate: rate, cpuUs: Figure{Value: us, Where: fmt.Sprintf("median of %d", len(list))}}
		}
	}
	for s := range runs {
		if s.suite != best.suite {
			return best, fmt.Errorf("runs of suites %q and %q with %s headers a request: give those of one suite", min(s.suite, best.suite), max(s.suite, best.suite), number(best.headers))
		}
	}
	return best, nil
}

// usable says why no plan can be made from a run.
func usable(r *result.Run, allowInvalid bool) error {
	switch {
	case len(r.Invalid) > 0 && !allowInvalid:
		return fmt.Errorf("the run is INVALID (%s): repeat it with a generator that keeps up, or plan from it all the same with --allow-invalid", strings.Join(r.Invalid, "; "))
	case r.Audit != nil && !r.Audit.OK && !allowInvalid:
		return fmt.Errorf("the run's audit failed (%s): find out why first, or plan from it all the same with --allow-invalid", strings.Join(r.Audit.Problems, "; "))
	case len(r.Faults) > 0:
		return fmt.Errorf("the run had faults on purpose (%s): plan from one without", r.Faults[0].What)
	case len(r.Kinds) != 1 || r.Kinds[0].Name != "redeem" && r.Kinds[0].Name != "withdraw":
		return fmt.Errorf("the run is of workload %q: a plan is made from runs of redeem or of withdraw alone", r.Setup.Workload)
	case r.Setup.Batch < 1 || r.Setup.Batch > 10_000:
		return fmt.Errorf("the run has %d coins a request: a request has 1 to 10,000", r.Setup.Batch)
	case r.Kinds[0].Coins <= 0 || !(r.GoodRate() > 0) || r.GoodRate() > 1e15:
		return errors.New("the run moved no coins: there is nothing to plan from")
	case r.Setup.Model != "open" && r.Setup.Model != "closed":
		return fmt.Errorf("the run is of model %q: open or closed is known", r.Setup.Model)
	case r.Setup.Conns < 1:
		return fmt.Errorf("the run had %d connections: at least one is needed", r.Setup.Conns)
	case r.Server == nil && (r.Setup.Model != "closed" || r.Kinds[0].Name != "redeem"):
		return errors.New("the run does not know the bank's CPU time: let ecoin loadgen start the bank (--self-contained); only closed runs of redeem are of use without, for the concurrency curve")
	case r.Server != nil && !(r.Server.CPUUs > 0 && r.Server.CPUUs < 1e9):
		return fmt.Errorf("the run says that a coin took the bank %v us of CPU time: repeat it, longer", r.Server.CPUUs)
	}
	return nil
}
