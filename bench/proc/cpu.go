// Package proc reads from /proc what processes and processors use: of a server with all
// its children, of our own processes, of everything. It works on Linux alone.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, which Linux fixes at a hundredth of a second for
// programs on all its processors.
const tick = 10 * time.Millisecond

// stat is of one process. Times of children count those that ended and were waited for.
type stat struct {
	parent        int
	own, children time.Duration
}

// parseStat parses /proc/PID/stat: proc(5).
func parseStat(b []byte) (s stat, err error) {
	end := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	if end < 0 {
		return s, errors.New("proc: a stat file without a name")
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 15 {
		return s, fmt.Errorf("proc: a stat file with %d fields after the name", len(f))
	}
	if s.parent, err = strconv.Atoi(f[1]); err != nil {
		return s, fmt.Errorf("proc: parent: %w", err)
	}
	var t [4]int64
	for i := range t { // utime, stime, cutime, cstime
		if t[i], err = strconv.ParseInt(f[11+i], 10, 64); err != nil {
			return s, fmt.Errorf("proc: CPU times: %w", err)
		}
	}
	s.own, s.children = time.Duration(t[0]+t[1])*tick, time.Duration(t[2]+t[3])*tick
	return s, nil
}

// all reads the stat of every process. One that ends meanwhile is left out.
func all() (map[int]stat, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(names) == 0 {
		return nil, errors.New("proc: no processes in /proc")
	}
	out := make(map[int]stat, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if out[pid], err = parseStat(b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tree returns pid and all that descends from it, of those in list.
func tree(list map[int]stat, pid int) []int {
	children := map[int][]int{}
	for p, s := range list {
		children[s.parent] = append(children[s.parent], p)
	}
	out := []int{pid}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// CPU returns the CPU time of processes and of all their descendants so far, those
// included that ended.
func CPU(pids ...int) (sum time.Duration, err error) {
	list, err := all()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		if _, ok := list[pid]; !ok {
			return 0, fmt.Errorf("proc: process %d has ended", pid)
		}
		for _, p := range tree(list, pid) {
			sum += list[p].own + list[p].children
		}
	}
	return sum, nil
}

// Memory returns the memory of processes and their descendants in bytes: resident pages,
// of which each counts once however many share it.
func Memory(pids ...int) (sum int64, err error) {
	list, err := all()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		for _, p := range tree(list, pid) {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
			if err != nil {
				if p == pid {
					return 0, fmt.Errorf("proc: memory: %w", err)
				}
				continue // it has ended
			}
			sum += parsePss(b)
		}
	}
	return sum, nil
}

// parsePss returns the proportional set size of a smaps_rollup file, in bytes.
func parsePss(b []byte) int64 {
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}
