package loadgen

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/result"
)

// A worker makes one process's share of a load: prepare, run, finish, close, in this
// order, by one goroutine.
type worker struct {
	plan                            *plan
	analysts, collectors, directors *fleet.Pool
	redeems                         *redeems
	withdraws                       *withdraws
	refunds                         *refunds
	operations                      *operations
	engine                          *engine
	started                         time.Time
	took                            time.Duration
	self                            selfCheck

	mu       sync.Mutex // guards the rest
	problems []string
	proved   int64 // coins of which the bank says what the load believes
	refunded int64 // of them live ones, which are refunded by that
}

// newWorker checks a job. It does not connect yet.
func newWorker(j *Job) (*worker, error) {
	p, err := j.check()
	if err != nil {
		return nil, err
	}
	w := &worker{plan: p}
	w.engine = &engine{plan: p, rec: newRecorder(), sleep: sleep}
	options := fleet.PoolOptions{Connected: w.engine.rec.connect, Address: p.Bank, Name: p.ServerName, Roots: p.roots, Seed: p.seed, Requests: p.Wake, Resume: p.Resume}
	options.Role, options.Idle, options.Sessions = roleAnalyst, 2*p.Conns, 4*len(p.Analysts)
	w.analysts = fleet.NewPool(options)
	options.Role, options.Idle, options.Sessions = roleCollector, p.Idle, maxSessions
	w.collectors = fleet.NewPool(options)
	if p.directorRoots != nil {
		options.Address, options.Name, options.Roots = p.Director, p.DirectorName, p.directorRoots
		options.Role, options.Idle = "device", 2*p.Conns
		w.directors = fleet.NewPool(options)
	}
	return w, nil
}

// maxSessions is how many collectors keep a TLS session; about 3 KiB each.
const maxSessions = 50_000

// prepare withdraws the coins that the load takes, and seals them.
func (w *worker) prepare(ctx context.Context, tell progress) error {
	all, err := w.plan.needs()
	if err != nil {
		return err
	}
	before := 0
	counted := tell
	tell = func(done, _ int) {
		if counted != nil {
			counted(before+done, all)
		}
	}
	for _, kind := range w.plan.Mix {
		n, err := w.plan.need(kind.Kind)
		if err != nil {
			return err
		}
		switch kind.Kind {
		case Redeem:
			key, err := w.key(ctx)
			if err != nil {
				return err
			}
			b, err := w.stock(ctx, n, wire.MaxWithdraw, key, nil, tell)
			if err != nil {
				return err
			}
			w.redeems = newRedeems(w.plan, b, w.analysts)
			w.engine.doers[Redeem] = w.redeems
		case Withdraw:
			w.withdraws = newWithdraws(w.plan, w.collectors)
			w.engine.doers[Withdraw] = w.withdraws
		case Refund:
			b, err := w.stock(ctx, n, w.plan.Batch, nil, nil, tell)
			if err != nil {
				return err
			}
			w.refunds = newRefunds(w.plan, b, w.collectors)
			w.engine.doers[Refund] = w.refunds
		case Operation:
			key, err := w.key(ctx)
			if err != nil {
				return err
			}
			ivs := make([]core.IV, n)
			b, err := w.stock(ctx, n, wire.MaxWithdraw, key, ivs, tell)
			if err != nil {
				return err
			}
			w.operations = newOperations(w.plan, b, ivs, key, w.directors)
			w.engine.doers[Operation] = w.operations
		case Null:
			w.engine.doers[Null] = newNulls(w.plan, w.analysts)
		}
		before += n
	}
	return w.greet(ctx)
}

// greet connects the analysts before the load, so that the first second is not all
// handshakes, and has each ask something, because a server closes a connection that says nothing.
func (w *worker) greet(ctx context.Context) error {
	if w.redeems == nil && w.engine.doers[Null] == nil || w.plan.Wake > 0 {
		return nil
	}
	deadline := time.Now().Add(time.Minute + 10*time.Millisecond*time.Duration(w.plan.Conns))
	made := make([]*fleet.Conn, w.plan.Conns)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range made {
		g.Go(func() (err error) {
			if made[i], err = w.analysts.Get(ctx, w.plan.Analysts[i%len(w.plan.Analysts)].Index, deadline); err != nil {
				return fmt.Errorf("loadgen: an analyst cannot connect to %s: %w", w.plan.Bank, err)
			}
			if _, err := made[i].Get(wire.PathKeys, deadline); err != nil {
				return fmt.Errorf("loadgen: an analyst gets no answer from %s: %w", w.plan.Bank, err)
			}
			return nil
		})
	}
	err := g.Wait()
	for _, c := range made {
		if c != nil {
			w.analysts.Put(c)
		}
	}
	return err
}

// books are the prepared coins.
func (w *worker) books() (all []*book) {
	if w.redeems != nil {
		all = append(all, w.redeems.book)
	}
	if w.refunds != nil {
		all = append(all, w.refunds.book)
	}
	if w.operations != nil {
		all = append(all, w.operations.book)
	}
	return all
}

// key asks the bank for its public key of the plan's suite.
func (w *worker) key(ctx context.Context) (*core.PublicKey, error) {
	c, err := w.collectors.Get(ctx, w.plan.First, time.Now().Add(w.plan.Timeout))
	if err != nil {
		return nil, fmt.Errorf("loadgen: connect to %s: %w", w.plan.Bank, err)
	}
	defer w.collectors.Put(c)
	r, err := c.Get(wire.PathKeys, time.Now().Add(w.plan.Timeout))
	if err != nil {
		return nil, fmt.Errorf("loadgen: ask %s for its keys: %w", w.plan.Bank, err)
	}
	var keys wire.Keys
	if r.Status != http.StatusOK || json.Unmarshal(r.Body, &keys) != nil {
		return nil, fmt.Errorf("loadgen: %s answers %d when asked for its keys", w.plan.Bank, r.Status)
	}
	for _, k := range keys.Keys {
		if s, err := core.ParseSuite(k.Suite); err != nil || s != w.plan.suite {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(k.PublicKey)
		if err != nil {
			return nil, errors.New("loadgen: the bank's key does not decode")
		}
		return core.ParsePublicKey(w.plan.suite, b)
	}
	return nil, fmt.Errorf("loadgen: the bank has no key of the suite %v", w.plan.suite)
}

// run makes the load; its first counted send is planned for start, its warm-up before that.
// visit is called after each second.
func (w *worker) run(ctx context.Context, start time.Time, visit func(result.Second)) {
	w.started = start
	var storms sync.WaitGroup
	stop, cancel := context.WithCancel(ctx)
	storms.Go(func() { w.self.begin(stop, start) })
	for _, at := range w.plan.Storm {
		storms.Go(func() { w.storm(stop, start.Add(time.Duration(at*float64(time.Second)))) })
	}
	w.engine.run(ctx, start, visit)
	cancel()
	storms.Wait()
	w.took = min(time.Since(start), w.plan.Duration)
	w.self.end()
}

// storm drops all idle connections at a moment, and has their clients connect again, all at once.
func (w *worker) storm(ctx context.Context, at time.Time) {
	if sleepPlain(ctx, at); ctx.Err() != nil {
		return
	}
	for _, p := range []*fleet.Pool{w.collectors, w.analysts} {
		p.Reconnect(ctx, w.plan.Timeout)
	}
}

// finish settles and audits, and returns what the load showed.
func (w *worker) finish(ctx context.Context) (*result.Run, error) {
	p := w.plan
	run := &result.Run{Format: result.Format, Started: w.started, Took: w.took.Seconds()}
	w.engine.rec.finish(run)
	run.Setup = result.Setup{
		Workload: p.workload(), Model: "open", Suite: p.Suite, Batch: p.Batch, Conns: p.Conns,
		Fleet: p.Fleet, Workers: 1, WarmupS: p.Warmup.Seconds(), Target: "https://" + p.Bank,
	}
	if p.Closed {
		run.Setup.Model = "closed"
	} else {
		run.Setup.Schedule = p.schedule.String()
		run.Setup.Rate = p.schedule.Mean(p.Duration) / float64(p.Workers)
	}
	g := &run.Generator
	w.self.report(g)
	for _, pool := range []*fleet.Pool{w.analysts, w.collectors, w.directors} {
		if pool != nil {
			connects, resumed := pool.Counts()
			g.Connects += connects
			g.Resumed += resumed
		}
	}
	total := run.Total()
	g.CPUUs = g.CPU * 1e6 / float64(max(total.Sent, 1))
	run.Audit = w.audit(ctx)
	return run, nil
}

// workload describes the mix.
func (p *plan) workload() string {
	if len(p.Mix) == 1 {
		return p.Mix[0].Kind.String()
	}
	s := "mix"
	for _, w := range p.Mix {
		s += fmt.Sprintf(" %v:%d", w.Kind, w.Weight)
	}
	return s
}

// close closes all connections and wipes the coins.
func (w *worker) close() {
	for _, p := range []*fleet.Pool{w.analysts, w.collectors, w.directors} {
		if p != nil {
			p.Close()
		}
	}
	for _, b := range w.books() {
		b.wipe()
	}
}
