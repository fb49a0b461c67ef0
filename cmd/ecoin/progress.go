package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far long work is. One step is under way at a time: begin, any
// number of add, end. The methods may be called by several goroutines.
type progress interface {
	// begin starts a step of total units, bytes if unit is empty; a total of 0 is not
	// known.
	begin(step string, total int64, unit string)
	add(n int64)
	end()
}

// newProgress shows a bar on a terminal, and a plain line every few seconds elsewhere.
func newProgress(w io.Writer) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &barProgress{w: w}
	}
	return &lineProgress{w: w, every: 5 * time.Second}
}

type barProgress struct {
	w   io.Writer
	bar *progressbar.ProgressBar
}

func (p *barProgress) begin(step string, total int64, unit string) {
	if total <= 0 {
		total = -1
	}
	p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(step),
		progressbar.OptionShowBytes(total > 0 && unit == ""), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerType(14), progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish())
}

func (p *barProgress) add(n int64) { _ = p.bar.Add64(n) } // a terminal that is gone is no reason to stop
func (p *barProgress) end()        { _ = p.bar.Finish() }

type lineProgress struct {
	w     io.Writer
	every time.Duration

	mu          sync.Mutex // guards the rest, and the writing
	step, unit  string
	done, total int64
	began       time.Time
	stop        chan struct{} // closed by end
	ended       chan struct{} // closed by the goroutine
}

func (p *lineProgress) begin(step string, total int64, unit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step, p.unit, p.done, p.total, p.began = step, unit, 0, total, time.Now()
	p.stop, p.ended = make(chan struct{}), make(chan struct{})
	go p.tell(p.stop, p.ended)
}

func (p *lineProgress) tell(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			p.line(now)
		}
	}
}

func (p *lineProgress) line(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	amount := func(n int64) string { return fmt.Sprintf("%d %s", n, p.unit) }
	if p.unit == "" {
		amount = size
	}
	text := now.Sub(p.began).Round(time.Second).String()
	switch {
	case p.total > 0:
		text = fmt.Sprintf("%s of %s, %d %%", amount(p.done), amount(p.total), p.done*100/p.total)
	case p.done > 0:
		text = fmt.Sprintf("%s, %s", amount(p.done), text)
	}
	fmt.Fprintf(p.w, "%s: %s\n", p.step, text)
}

func (p *lineProgress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
}

func (p *lineProgress) end() {
	close(p.stop)
	<-p.ended
}
