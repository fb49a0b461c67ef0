package proc

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Meter tells our processes, this one and its descendants, from all others. It is a
// harness.Meter.
type Meter struct{}

// Usage returns CPU time so far: of others' processes (without the time that interrupts
// take, which nobody can be charged with), stolen by the hypervisor, and of all
// processors, idle or not.
func (Meter) Usage() (others, stolen, all time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, 0, err
	}
	busy, stolen, all, err := parseMachine(string(b))
	if err != nil {
		return 0, 0, 0, err
	}
	ours, err := CPU(os.Getpid())
	return busy - ours, stolen, all, err
}

// parseMachine parses the first line of /proc/stat: proc(5).
func parseMachine(text string) (busy, stolen, all time.Duration, err error) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, 0, errors.New("proc: /proc/stat does not begin with a line of all processors")
	}
	var t [8]time.Duration // user, nice, system, idle, iowait, irq, softirq, steal
	for i := range t {
		n, err := strconv.ParseInt(f[1+i], 10, 64)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("proc: /proc/stat: %w", err)
		}
		t[i] = time.Duration(n) * tick
		all += t[i]
	}
	return t[0] + t[1] + t[2], t[7], all, nil
}

// Load returns the load average of the last minute, 0 when it is not known.
func (Meter) Load() float64 {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}

// Machine describes this machine in a line.
func Machine() string {
	name := "unknown processor"
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			name = strings.TrimSpace(v)
			break
		}
	}
	return fmt.Sprintf("%s, %d processors, %s/%s, %s", name, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
