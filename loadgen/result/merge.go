package result

import (
	"cmp"
	"errors"
	"slices"
)

// Merge adds the runs of several workers that made one load together: counts and
// histograms add up, seconds are put beside each other by the worker's own clock from its
// start. What is said of the whole load once (Command, Machine, Started, Setup) is taken from the
// first. Server, Faults, Checks and Invalid are left to the caller, who knows them.
func Merge(runs ...*Run) (*Run, error) {
	if len(runs) == 0 {
		return nil, errors.New("result: nothing to merge")
	}
	out := &Run{Format: Format, Command: runs[0].Command, Machine: runs[0].Machine, Started: runs[0].Started, Setup: runs[0].Setup}
	out.Setup.Workers, out.Setup.Rate, out.Setup.Conns, out.Setup.Fleet = 0, 0, 0, 0
	for _, r := range runs {
		if r.Setup.Workload != out.Setup.Workload || r.Setup.Model != out.Setup.Model {
			return nil, errors.New("result: runs of different loads")
		}
		out.Took = max(out.Took, r.Took)
		out.Setup.Workers += max(r.Setup.Workers, 1)
		out.Setup.Rate += r.Setup.Rate
		out.Setup.Conns += r.Setup.Conns
		out.Setup.Fleet += r.Setup.Fleet
		for i := range r.Kinds {
			out.AddKind(&r.Kinds[i])
		}
		out.addSeconds(r.Seconds)
		for _, e := range r.Errors {
			out.AddError(e)
		}
		out.Generator.add(&r.Generator)
		if r.Audit != nil {
			if out.Audit == nil {
				out.Audit = &Audit{OK: true}
			}
			out.Audit.add(r.Audit)
		}
	}
	if t := out.Total(); t.Sent > 0 {
		out.Generator.CPUUs = out.Generator.CPU * 1e6 / float64(t.Sent)
	}
	return out, nil
}

// AddKind adds k to the requests of its name.
func (r *Run) AddKind(k *Kind) {
	i, found := slices.BinarySearchFunc(r.Kinds, k.Name, func(k Kind, name string) int { return cmp.Compare(k.Name, name) })
	if !found {
		r.Kinds = slices.Insert(r.Kinds, i, Kind{Name: k.Name})
	}
	r.Kinds[i].Add(k)
}

// Add adds the counts and durations of o.
func (k *Kind) Add(o *Kind) {
	k.Planned += o.Planned
	k.Sent += o.Sent
	k.Skipped += o.Skipped
	k.OK += o.OK
	k.Refused += o.Refused
	k.Failed += o.Failed
	k.Coins += o.Coins
	k.Response.Merge(&o.Response)
	k.Service.Merge(&o.Service)
}

func (r *Run) addSeconds(all []Second) {
	for i := range all {
		if i == len(r.Seconds) {
			r.Seconds = append(r.Seconds, Second{At: all[i].At})
		}
		r.Seconds[i].Add(&all[i])
	}
}

// Add adds what another worker did in the same second.
func (s *Second) Add(o *Second) {
	s.Planned += o.Planned
	s.OK += o.OK
	s.Refused += o.Refused
	s.Failed += o.Failed
	s.Coins += o.Coins
	s.InFlight += o.InFlight
	s.CPU += o.CPU
	s.LagMaxUs = max(s.LagMaxUs, o.LagMaxUs)
	s.Response.Merge(&o.Response)
}

// AddError adds e.Count errors.
func (r *Run) AddError(e Error) {
	i, found := slices.BinarySearchFunc(r.Errors, e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason))
	})
	if !found {
		r.Errors = slices.Insert(r.Errors, i, Error{Kind: e.Kind, Reason: e.Reason})
	}
	r.Errors[i].Count += e.Count
}

func (g *Generator) add(o *Generator) {
	g.CPU += o.CPU
	g.Cores += o.Cores
	g.CoresHave = max(g.CoresHave, o.CoresHave)
	g.GCs += o.GCs
	g.GCPauseMax = max(g.GCPauseMax, o.GCPauseMax)
	g.GCPauseAll += o.GCPauseAll
	g.RunnableP99 = max(g.RunnableP99, o.RunnableP99)
	g.RunDelay += o.RunDelay
	g.MemoryBytes += o.MemoryBytes
	g.Connects += o.Connects
	g.Resumed += o.Resumed
	g.Lag.Merge(&o.Lag)
	g.Connect.Merge(&o.Connect)
}

func (a *Audit) add(o *Audit) {
	a.OK = a.OK && o.OK
	a.Problems = append(a.Problems, o.Problems...)
	a.Issued += o.Issued
	a.Redeemed += o.Redeemed
	a.Refunded += o.Refunded
	a.Live += o.Live
	a.Proved += o.Proved
	a.Refunds += o.Refunds
	a.ByFleet += o.ByFleet
	a.DoubleSpends += o.DoubleSpends
	a.DoubleSpendsRefused += o.DoubleSpendsRefused
	a.Retries += o.Retries
	a.RetriesSame += o.RetriesSame
	a.BadHeaders += o.BadHeaders
	a.BadHeadersRefused += o.BadHeadersRefused
	a.Unanswered += o.Unanswered
	a.UnansweredSettled += o.UnansweredSettled
}
