package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

// usage is what this process used so far. What the system does not tell is zero.
type usage struct {
	cpu     time.Duration // user and system mode
	rss     int64         // bytes of memory, as of now
	written int64         // bytes sent to the disk, or to be sent
}

func used() (u usage) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return u
	}
	if t, err := p.Times(); err == nil {
		u.cpu = time.Duration((t.User + t.System) * float64(time.Second))
	}
	if m, err := p.MemoryInfo(); err == nil {
		u.rss = int64(m.RSS)
	}
	if io, err := p.IOCounters(); err == nil {
		u.written = int64(io.DiskWriteBytes)
	}
	return u
}

// idleWatch notices that the process does nothing any more.
type idleWatch struct {
	since time.Time
	cpu   time.Duration
}

// idle, called again and again, reports whether the process used less than a twentieth
// of one processor for d.
func (w *idleWatch) idle(d time.Duration) bool {
	now := time.Now()
	if !w.since.IsZero() && now.Sub(w.since) < d {
		return false
	}
	cpu := used().cpu
	quiet := !w.since.IsZero() && cpu-w.cpu < now.Sub(w.since)/20
	w.since, w.cpu = now, cpu
	return quiet
}

// machine describes what was measured on, in one line.
func machine(dir string) string {
	s := fmt.Sprintf("%s, %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if c, err := cpu.Info(); err == nil && len(c) > 0 {
		s += ", " + c[0].ModelName
	}
	if m, err := mem.VirtualMemory(); err == nil {
		s += fmt.Sprintf(", %.0f GB of memory", float64(m.Total)/1e9)
	}
	if d, err := disk.Usage(dir); err == nil {
		s += ", " + d.Fstype
	}
	return s
}
