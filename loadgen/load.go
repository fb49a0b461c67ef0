package loadgen

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"

	"ecoin/internal/wire"
	"ecoin/loadgen/fault"
	"ecoin/loadgen/result"
)

// Load is one load on a stage.
type Load struct {
	Job      Job      // what does not depend on the stage: mix, schedule, sizes, shares
	Commands []string // of further workers, by a shell: "ssh gen2 ecoin loadgen worker"
	Local    int      // workers that are processes of this machine; 0 makes the load in this process
	Command  string   // how the load was asked for, for the report
	Faults   []fault.Fault

	Visit func(result.Second) // after each second; may be nil
}

// Run makes a load on a stage and returns what it showed. A finding of the audit is in
// the result; an error means that there is none.
func (s *Stage) Run(ctx context.Context, l Load) (*result.Run, error) {
	proxy, err := s.proxy(&l)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		defer proxy.Close()
	}
	jobs, coins, err := s.jobs(&l, proxy)
	if err != nil {
		return nil, err
	}
	team, err := s.team(ctx, &l, jobs)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, m := range team {
			m.close()
		}
	}()
	before, err := s.totals(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.prepareAll(ctx, team, coins); err != nil {
		return nil, err
	}

	s.o.Tell("", 0, 0)
	start := time.Now().Add(l.Job.Warmup + 100*time.Millisecond*time.Duration(1+len(team)))
	watch := s.watch(start)
	var faults []result.Fault
	var faulting sync.WaitGroup
	stop, cancel := context.WithCancel(ctx)
	if len(l.Faults) > 0 {
		faulting.Go(func() {
			var server fault.Server
			if s.bank != nil {
				server = s.bank
			}
			faults, err = fault.Run(stop, l.Faults, start, server, proxy, func(text string) { s.o.Tell(text, 0, 0) })
		})
	}
	runAll(ctx, team, start, l.Visit)
	cancel()
	faulting.Wait()
	usage := watch()
	if err != nil {
		return nil, fmt.Errorf("loadgen: faults: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var stats wire.Stats // before the audit, which refunds
	if s.bank != nil {
		if stats, err = s.admin.Stats(ctx); err != nil {
			return nil, err
		}
	}
	s.o.Tell("settling and auditing", 0, 0)
	runs := make([]*result.Run, len(team))
	if err := each(team, func(i int, m member) (err error) { runs[i], err = m.finish(ctx); return err }); err != nil {
		return nil, err
	}
	run, err := result.Merge(runs...)
	if err != nil {
		return nil, err
	}
	run.Command, run.Machine = l.Command, machine()
	if run.Setup.Target = "https://" + s.base.Bank; s.bank != nil {
		run.Setup.Target = "self-contained"
	}
	s.describe(run, usage, stats)
	for i := range faults {
		faults[i].RecoveryS = fault.Recovery(run.Seconds, faults[i].At)
	}
	run.Faults = faults
	run.Invalid = invalid(run)
	return run, s.auditBank(ctx, run, before)
}

// proxy returns the proxy that a fault schedule needs, nil for none.
func (s *Stage) proxy(l *Load) (*fault.Proxy, error) {
	if fault.NeedsServer(l.Faults) && s.bank == nil {
		return nil, errors.New("loadgen: only a bank that the load started (--self-contained) can be killed or paused")
	}
	for _, f := range l.Faults {
		if f.At >= l.Job.Duration {
			return nil, fmt.Errorf("loadgen: the fault at %v is after the end of a load of %v", f.At, l.Job.Duration)
		}
	}
	if !fault.NeedsProxy(l.Faults) {
		return nil, nil
	}
	// The proxy is on this machine, between the load and the bank.
	if len(l.Commands) > 0 {
		return nil, errors.New("loadgen: faults of the network reach local workers only: leave out --worker")
	}
	for _, w := range l.Job.Mix {
		if w.Kind == Operation {
			return nil, errors.New("loadgen: faults of the network are between the load and the bank, where operations do not pass")
		}
	}
	return fault.NewProxy(s.base.Bank)
}

// jobs cuts a load into the shares of its workers, and says how many coins they prepare.
func (s *Stage) jobs(l *Load, proxy *fault.Proxy) (jobs []*Job, coins int, err error) {
	n := max(l.Local+len(l.Commands), 1)
	if s.o.Fleet < n || s.o.Analysts < n {
		return nil, 0, fmt.Errorf("loadgen: %d workers need as many collectors and analysts at least", n)
	}
	jobs = make([]*Job, n)
	for i := range jobs {
		j := l.Job
		j.Bank, j.ServerName, j.Roots = s.base.Bank, s.base.ServerName, s.base.Roots
		j.Director, j.DirectorName, j.DirectorRoots = s.base.Director, s.base.DirectorName, s.base.DirectorRoots
		j.Suite, j.Seed = s.base.Suite, s.base.Seed
		if proxy != nil {
			j.Bank = proxy.Addr()
		}
		j.Worker, j.Workers = i, n
		first, last := s.o.Fleet*i/n, s.o.Fleet*(i+1)/n
		j.First, j.Fleet = uint32(first), last-first
		j.Analysts = s.ids[len(s.ids)*i/n : len(s.ids)*(i+1)/n]
		j.Conns = (l.Job.Conns + n - 1 - i) / n
		j.Idle = (l.Job.Idle + n - 1 - i) / n
		p, err := j.check()
		if err != nil {
			return nil, 0, err
		}
		need, err := p.needs()
		if err != nil {
			return nil, 0, err
		}
		coins += need
		jobs[i] = &j
	}
	return jobs, coins, nil
}

func (s *Stage) prepareAll(ctx context.Context, team []member, coins int) error {
	var mu sync.Mutex
	done := make([]int, len(team))
	return each(team, func(i int, m member) error {
		return m.prepare(ctx, func(d, _ int) {
			mu.Lock()
			defer mu.Unlock()
			done[i] = d
			sum := 0
			for _, n := range done {
				sum += n
			}
			s.o.Tell("withdrawing and sealing coins", sum, coins)
		})
	})
}

// runAll runs all members' shares. visit sees each second once, with what all of them did in
// it.
func runAll(ctx context.Context, team []member, start time.Time, visit func(result.Second)) {
	var mu sync.Mutex
	var heard []result.Second
	var from []int
	_ = each(team, func(_ int, m member) error {
		n := 0
		m.run(ctx, start, func(sec result.Second) {
			if visit == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if n == len(heard) {
				heard, from = append(heard, result.Second{At: sec.At}), append(from, 0)
			}
			heard[n].Add(&sec)
			if from[n]++; from[n] == len(team) {
				visit(heard[n])
				heard[n].Response = result.Latency{} // nobody looks at it again
			}
			n++
		})
		return nil
	})
}

// each calls f for all members at once and joins the errors.
func each(team []member, f func(int, member) error) error {
	errs := make([]error, len(team))
	var wg sync.WaitGroup
	for i, m := range team {
		wg.Go(func() { errs[i] = f(i, m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// usage is what the bank used during a load.
type usage struct {
	cpu     float64
	memory  int64
	seconds []float64 // CPU time in each
}

// watch looks at the bank's process once a second from start on, until the returned
// function is called.
func (s *Stage) watch(start time.Time) func() *usage {
	if s.bank == nil {
		return func() *usage { return nil }
	}
	u := &usage{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		sleepPlain(context.Background(), start)
		first, _ := s.bank.Usage()
		last := first
		for n := 1; ; n++ {
			timer := time.NewTimer(time.Until(start.Add(time.Duration(n) * time.Second)))
			ended := false
			select {
			case <-timer.C:
			case <-done:
				timer.Stop()
				ended = true
			}
			now, memory := s.bank.Usage()
			u.seconds = append(u.seconds, (now - last).Seconds())
			u.cpu, u.memory = (now - first).Seconds(), memory
			last = now
			if ended {
				return
			}
		}
	})
	return func() *usage { close(done); wg.Wait(); return u }
}

// describe fills in what the bank used.
func (s *Stage) describe(run *result.Run, u *usage, stats wire.Stats) {
	if u == nil {
		return
	}
	total := run.Total()
	run.Server = &result.Server{CPU: u.cpu, MemoryBytes: u.memory, DiskBytes: stats.DiskBytes, Live: stats.Live,
		CPUUs:      u.cpu * 1e6 / float64(max(total.Coins, 1)),
		CPURequest: u.cpu * 1e6 / float64(max(total.OK, 1)),
	}
	for i := range min(len(u.seconds), len(run.Seconds)) {
		run.Seconds[i].CPU = u.seconds[i]
	}
}

// auditBank holds what the accounts gained against what the load knows, and asks the bank
// for its own audit.
func (s *Stage) auditBank(ctx context.Context, run *result.Run, before totals) error {
	a := run.Audit
	after, err := s.totals(ctx)
	if err != nil {
		return err
	}
	compareAccounts(before, after, a)
	if s.admin != nil {
		own, err := s.admin.Audit(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("loadgen: the bank's own audit: %w", err)
		case !own.OK:
			a.Bank = fmt.Sprintf("%v", own.Problems)
			a.Problems = append(a.Problems, "the bank's own audit found: "+a.Bank)
		default:
			a.Bank = fmt.Sprintf("ok: granted %d = balances %d + live %d + returned %d + under way %d", own.Granted, own.Balances, own.Live, own.Returned, own.Pending)
		}
	}
	a.OK = len(a.Problems) == 0
	return nil
}

func machine() string {
	name := "unknown processor"
	if info, err := cpu.Info(); err == nil && len(info) > 0 {
		name = info[0].ModelName
	}
	return fmt.Sprintf("%s, %s/%s, %d processors, %s", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), name)
}
