package loadgen

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"ecoin/loadgen/result"
)

// selfCheck watches the generator itself.
type selfCheck struct {
	proc   *process.Process
	start  time.Time
	cpu    float64
	delay  float64
	ready  *metrics.Float64Histogram
	gcs    int64
	pauses time.Duration
	done   result.Generator
}

// begin starts to watch at the moment of the first counted send.
func (s *selfCheck) begin(ctx context.Context, start time.Time) {
	sleepPlain(ctx, start)
	s.start = start
	s.proc, _ = process.NewProcess(int32(os.Getpid())) // nil: then there are no figures of the process
	s.cpu = s.processCPU()
	s.delay, s.ready = runDelay(), runnable()
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	s.gcs, s.pauses = gc.NumGC, gc.PauseTotal
}

func (s *selfCheck) processCPU() float64 {
	if s.proc == nil {
		return 0
	}
	t, err := s.proc.Times()
	if err != nil {
		return 0
	}
	return t.User + t.System
}

func (s *selfCheck) end() {
	g := &s.done
	took := time.Since(s.start).Seconds()
	g.CPU = s.processCPU() - s.cpu
	g.RunDelay = max(runDelay()-s.delay, 0)
	g.RunnableP99 = 1e3 * quantileSince(s.ready, runnable(), .99)
	g.Cores = g.CPU / math.Max(took, 1e-3)
	g.CoresHave = runtime.NumCPU()
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	g.GCs = gc.NumGC - s.gcs
	g.GCPauseAll = float64((gc.PauseTotal - s.pauses).Microseconds()) / 1e3
	for i := range min(int(g.GCs), len(gc.Pause)) {
		g.GCPauseMax = max(g.GCPauseMax, float64(gc.Pause[i].Microseconds())/1e3)
	}
	if s.proc != nil {
		if m, err := s.proc.MemoryInfo(); err == nil {
			g.MemoryBytes = int64(m.RSS)
		}
	}
	if g.MemoryBytes == 0 {
		sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
		metrics.Read(sample)
		g.MemoryBytes = int64(sample[0].Value.Uint64())
	}
}

func (s *selfCheck) report(g *result.Generator) {
	lag, connect := g.Lag, g.Connect
	*g = s.done
	g.Lag, g.Connect = lag, connect
}

// The limits beyond which the figures of a run describe the generator.
const (
	mostLag   = time.Millisecond       // of one send in a hundred,
	mostShare = 0.1                    // and of the response time of one in a hundred
	mostPause = 100 * time.Millisecond // of garbage collection
)

// invalid says why a run's figures would be the generator's.
func invalid(run *result.Run) (why []string) {
	g := &run.Generator
	total := run.Total()
	lag, response := g.Lag.Quantile(.99), total.Response.Quantile(.99)
	if run.Setup.Model == "open" && lag > mostLag && lag.Seconds() > mostShare*response.Seconds() {
		why = append(why, fmt.Sprintf("the generator sent one in a hundred more than %v late, of a p99 of %v: it has too little processor time, or the rate is too high for it", lag.Round(10*time.Microsecond), response.Round(10*time.Microsecond)))
	}
	// Answers that wait for a thread or a processor look late, too.
	waits := max(g.RunnableP99, 1e3*g.RunDelay/float64(max(total.Sent, 1)))
	if wait := time.Duration(waits * 1e6); wait > mostLag && wait.Seconds() > mostShare*response.Seconds() {
		why = append(why, fmt.Sprintf("the generator waited up to %v for a processor, of a p99 of %v: other processes need it, or the rate is too high for it", wait.Round(10*time.Microsecond), response.Round(10*time.Microsecond)))
	}
	if p := time.Duration(g.GCPauseMax * 1e6); p > mostPause {
		why = append(why, fmt.Sprintf("garbage collection stopped the generator for %v", p))
	}
	for _, e := range run.Errors {
		if e.Reason == usedUp {
			why = append(why, "the prepared coins were used up before the end")
		}
	}
	if total.Sent == 0 {
		why = append(why, "nothing was sent")
	}
	return why
}

// usedUp is the reason of a request that found no coin.
const usedUp = "the prepared coins are used up"
