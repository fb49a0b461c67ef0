package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/collector/source"
	"ecoin/core"
)

// A Source gives readings in batches. Next returns io.EOF after the last; it is
// called by one goroutine at a time.
type Source interface {
	Next(ctx context.Context) (source.Batch, error)
}

// RunOptions configure Run. Sources, Analyses and Visit are required.
type RunOptions struct {
	Sources  []Source
	Analyses []string      // each batch goes through every one of them
	Visit    func(Outcome) // called for each operation as it ends, one at a time

	Parallel int           // operations under way at once; 0 means 1
	Count    int           // operations in all; 0 means until the sources end
	Interval time.Duration // least time between the beginnings of two operations

	// Grace is how long operations that are under way may go on when ctx ends; after
	// that they are cut off and their coins become bad. 0 means 5 s.
	Grace time.Duration

	// MaxPause bounds the pause after failures. From the third failure in a row
	// on, no operation begins for a while, 100 ms at first and twice as long each
	// time, so that a broken director does not use up every coin. 0 means 10 s.
	MaxPause time.Duration
}

const (
	patience   = 3 // failures in a row before the first pause
	firstPause = 100 * time.Millisecond
	maxWorkers = 1024
)

// An Outcome is how one operation ended.
type Outcome struct {
	Analysis string
	Batch    string // for people: where the readings come from
	Rows     int
	Result   Result
	Err      error // of Do; Result is zero then
}

// Run sends the batches of all sources through all analyses, until the sources end,
// Count operations have been made, or ctx ends; the last is no error. It returns when
// the operations that were under way have ended.
//
// A failed operation is visited, and not repeated. An operation for which the bank
// cannot be asked for a coin, or is too busy, waits for it without a visit. If the
// bank refuses, or the wallet is empty and Refill is not set, that error ends Run, as
// an error of a source does.
func (c *Collector) Run(ctx context.Context, o RunOptions) error {
	if err := o.setDefaults(); err != nil {
		return err
	}
	if c.o.Wallet.Counts().Requests > 0 {
		if _, err := c.o.Wallet.Resume(ctx, c.ask); err != nil {
			c.log.Warn("an unfinished withdrawal could not be completed yet", "error", err)
		}
	}
	operations, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() {
		_ = sleep(operations, o.Grace)
		cut()
	})()

	r := &run{c: c, o: o, jobs: make(chan job), brake: brake{max: o.MaxPause}}
	workers, wctx := errgroup.WithContext(ctx) // wctx ends when a worker gives up
	var sourceErr error
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		defer close(r.jobs)
		sourceErr = r.produce(wctx)
	}()
	for range o.Parallel {
		workers.Go(func() error { return r.work(wctx, operations) })
	}
	err := workers.Wait()
	<-produced
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		err = nil
	}
	return errors.Join(err, sourceErr)
}

func (o *RunOptions) setDefaults() error {
	if len(o.Sources) == 0 || len(o.Analyses) == 0 || o.Visit == nil {
		return errors.New("collector: sources, analyses and a visitor are required")
	}
	for _, name := range o.Analyses {
		if !core.ValidName(name) {
			return fmt.Errorf("collector: analysis %.80q: a name is 1 to %d of a-z 0-9 . _ -, first a letter or digit", name, core.MaxNameLen)
		}
	}
	if o.Parallel < 0 || o.Parallel > maxWorkers || o.Count < 0 || o.Interval < 0 || o.Grace < 0 || o.MaxPause < 0 {
		return fmt.Errorf("collector: parallel is 0 to %d, and nothing may be negative", maxWorkers)
	}
	o.Parallel = cmp.Or(o.Parallel, 1)
	o.Grace = cmp.Or(o.Grace, 5*time.Second)
	o.MaxPause = cmp.Or(o.MaxPause, 10*time.Second)
	return nil
}

type run struct {
	c     *Collector
	o     RunOptions
	jobs  chan job // closed when the sources have ended
	brake brake

	visiting sync.Mutex // held while Visit runs
}

type job struct {
	analysis string
	batch    source.Batch
}

// produce runs all sources at once, because one may wait for its next sample while
// another has data, and turns their batches into jobs. When ctx ends it returns nil.
func (r *run) produce(ctx context.Context) error {
	sources, stop := context.WithCancel(ctx)
	defer stop()
	h := &hand{run: r, enough: stop}
	g, gctx := errgroup.WithContext(sources)
	for _, s := range r.o.Sources {
		g.Go(func() error {
			for {
				batch, err := s.Next(gctx)
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err == nil {
					err = h.out(gctx, batch)
				}
				if err != nil {
					return err
				}
			}
		})
	}
	err := g.Wait()
	if sources.Err() != nil && errors.Is(err, sources.Err()) {
		return nil
	}
	return err
}

// hand hands jobs out to the workers, one after the other.
type hand struct {
	run    *run
	enough func() // ends the sources

	mu   sync.Mutex // held by the source whose batch is handed out; guards the fields below
	made int
	next time.Time // not earlier
}

func (h *hand) out(ctx context.Context, batch source.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, analysis := range h.run.o.Analyses {
		if err := sleep(ctx, time.Until(h.next)); err != nil {
			return err
		}
		select {
		case h.run.jobs <- job{analysis, batch}:
		case <-ctx.Done():
			return ctx.Err()
		}
		h.next = time.Now().Add(h.run.o.Interval)
		if h.made++; h.made == h.run.o.Count {
			h.enough()
		}
	}
	return nil
}

// work does one job after the other. ctx ends when there shall be no new one,
// operations when the present one is cut off.
func (r *run) work(ctx, operations context.Context) error {
	for j := range r.jobs {
		if err := sleep(ctx, r.brake.pause()); err != nil {
			return err
		}
		result, err := r.do(ctx, operations, j)
		var used *Failure
		if err != nil && !errors.As(err, &used) && !errors.Is(err, ErrTooLarge) {
			return err
		}
		r.brake.report(used == nil)
		r.visiting.Lock()
		r.o.Visit(Outcome{j.analysis, j.batch.Name, j.batch.Rows, result, err})
		r.visiting.Unlock()
	}
	return nil
}

// do is Do, again and again as long as the bank cannot be asked for a coin or a key.
func (r *run) do(ctx, operations context.Context, j job) (Result, error) {
	wait := firstPause
	for {
		result, err := r.c.Do(operations, j.analysis, j.batch.CSV)
		if err == nil || !passing(err) {
			return result, err
		}
		r.c.log.Warn("an operation waits for the bank", "error", err, "again_in", wait)
		if err := sleep(ctx, wait); err != nil {
			return Result{}, err
		}
		wait = min(2*wait, r.o.MaxPause)
	}
}

// brake makes workers pause after failures in a row.
type brake struct {
	max time.Duration

	mu    sync.Mutex
	inRow int
}

func (b *brake) report(ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inRow++; ok {
		b.inRow = 0
	}
}

func (b *brake) pause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inRow < patience {
		return 0
	}
	return min(b.max, firstPause<<min(b.inRow-patience, 20))
}

// sleep waits, or returns ctx's error as soon as that ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
