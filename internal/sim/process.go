package sim

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing/synctest"
	"time"

	"ecoin/ledger"
)

const dir = "data/ledger"

// process is one life of the ledger, in a bubble of its own: synctest tells when all
// of its goroutines wait, and only then the world goes on. That is what makes runs
// alike.
type process struct {
	w      *world
	disk   *disk
	l      *ledger.Ledger
	now    atomic.Int64 // unix ms, for the ledger
	fatal  chan error   // errors given to Fatal; whoever called it waits for ever
	harm   bool         // the disk may fail
	turned bool         // no window is due
}

// ending says how a process ended.
type ending struct {
	disk  *disk // for the next one
	clean bool  // no goroutine is left
}

func (p *process) options(d *disk) ledger.Options {
	o := ledger.Options{
		Mint:             p.w.mint.AppendFingerprints,
		SpentWindow:      spentWindow,
		WithdrawalWindow: withdrawalWindow,
		CacheBytes:       1 << 20,
		BallastBytes:     -1,
		Now:              func() time.Time { return time.UnixMilli(p.now.Load()) },
		Logger:           slog.New(slog.NewTextHandler(io.Discard, nil)),
		FS:               d,
		Fatal: func(err error) {
			p.fatal <- err
			select {}
		},
	}
	p.w.variant.set(&o)
	return o
}

// advance moves the clock of the world and of the ledger.
func (p *process) advance(d time.Duration) {
	p.w.advance(d)
	p.turned = false
	p.now.Store(p.w.nowMs())
}

// quiet waits until nothing goes on any more, and reports whether the process died
// instead. It must not wait any longer than that: the goroutines of a dead process
// may hold locks for ever, which synctest does not count as waiting.
func (p *process) quiet() (dead bool) {
	done := make(chan struct{})
	go func() {
		synctest.Wait()
		close(done)
	}()
	return p.wait("background work", done)
}

// wait waits for done, and reports whether the process died instead.
func (p *process) wait(what any, done <-chan struct{}) (dead bool) {
	select {
	case <-done:
	case err := <-p.fatal:
		p.died(err)
		return true
	case <-time.After(24 * time.Hour): // of the bubble: nothing has gone on for long
		violated("%v: never answered", what)
	}
	select {
	case err := <-p.fatal:
		p.died(err)
		return true
	default:
		return false
	}
}

func (p *process) died(err error) {
	if !p.harm {
		violated("Fatal was called although the disk is well: %v", err)
	}
}

// undisturbed waits until a call is answered and all is quiet.
func (p *process) undisturbed(o *op) {
	if p.wait(o, o.done) || p.quiet() {
		violated("%v: the process died undisturbed", o)
	}
}

// rest lets time go by for what waits for its time in the background, and reports
// whether the process died.
func (p *process) rest() (dead bool) {
	done := make(chan struct{})
	time.AfterFunc(12*time.Second, func() { close(done) })
	return p.wait("time", done) || p.quiet()
}

// dead ends a process that called Fatal.
func (p *process) dead() *ending {
	l := p.w.nextLoss()
	p.w.trace.add("fatal; the disk keeps %v", l)
	im := p.disk.image(l)
	p.disk.kill()
	return &ending{disk: im}
}

// closed ends a process whose disk image was taken: nobody hears what it still does.
func (p *process) closed(im *disk) *ending {
	if err := p.l.Close(); err != nil {
		violated("Close: %v", err)
	}
	return &ending{disk: im, clean: true}
}

// boot opens the ledger under a trap, which may be nil. The ending is nil if the
// ledger is open and well.
func (p *process) boot(t *trap) *ending {
	p.now.Store(p.w.nowMs())
	p.disk.arm(t)
	if t != nil {
		p.w.trace.add("open, and %v %s %q %d", t.action, t.op, t.class, t.n)
	}
	done := make(chan struct{})
	var err error
	go func() {
		p.l, err = ledger.Open(dir, p.options(p.disk))
		close(done)
	}()
	if p.wait("open", done) || err == nil && p.quiet() {
		violated("open: fatal")
	}
	p.disk.arm(nil)
	switch caught := t != nil && t.caught(); {
	case err != nil && caught && t.action == fail:
		p.w.trace.add("open failed")
		return &ending{disk: p.disk.image(loss{percent: 100})}
	case err != nil:
		violated("open: %v", err)
	case caught && t.action == cut:
		p.w.trace.add("power lost, the disk keeps %v", t.loss)
		return p.closed(t.image)
	}
	return nil
}

// String tells what is kept.
func (l loss) String() string {
	how := "any sectors"
	if l.prefix {
		how = "a first part"
	}
	return fmt.Sprintf("%d%% of the rest, %s", l.percent, how)
}
