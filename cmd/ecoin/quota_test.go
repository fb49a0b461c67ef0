package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// quota holds processes to a share of a processor: a cgroup of Linux, version 1 or 2, which
// root may make.
type quota struct {
	t   *testing.T
	dir string

	mu    sync.Mutex
	looks []look // by time
}

// look is what the system says of a group at some moment.
type look struct {
	at      time.Time
	periods int // in which it had work
	waited  int // of them: its quota was used up, and it had to wait
}

const (
	cgroups = "/sys/fs/cgroup"

	periodUs = 100_000
)

// newQuota makes the group, without processes, for that many percent of a processor. It is removed when the test ends; what was
// started after it, and ends with the test, has ended by then. Where it cannot be made, the
// test is skipped.
func newQuota(t *testing.T, percent int) *quota {
	t.Helper()
	q, err := makeQuota(t, percent*periodUs/100)
	if err != nil {
		skip(t, fmt.Sprintf("a CPU quota takes root, and a %s that can be written: %v", cgroups, err))
	}
	return q
}

func makeQuota(t *testing.T, us int) (*quota, error) {
	root, limits := filepath.Join(cgroups, "cpu"), [][2]string{{"cpu.cfs_period_us", fmt.Sprint(periodUs)}, {"cpu.cfs_quota_us", fmt.Sprint(us)}}
	if _, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers")); err == nil { // version 2
		root, limits = cgroups, [][2]string{{"cpu.max", fmt.Sprintf("%d %d", us, periodUs)}}
		if err := shareOut(t, root); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(root, "ecoin-test-")
	if err != nil {
		return nil, err
	}
	q := &quota{t: t, dir: dir}
	var looking sync.WaitGroup
	looking.Go(func() { q.watch(t.Context()) })
	t.Cleanup(func() {
		looking.Wait()
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	for _, l := range limits {
		err = errors.Join(err, q.write(l[0], l[1]))
	}
	return q, err
}

// shareOut has the groups in a group of version 2 be given processor time, until the test ends.
func shareOut(t *testing.T, dir string) error {
	parent := &quota{dir: dir}
	const control = "cgroup.subtree_control"
	b, err := os.ReadFile(filepath.Join(dir, control))
	if err != nil || slices.Contains(strings.Fields(string(b)), "cpu") {
		return err
	}
	if err := parent.write(control, "+cpu"); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := parent.write(control, "-cpu"); err != nil {
			t.Error(err)
		}
	})
	return nil
}

// write writes one of the group's files, which the system has made.
func (q *quota) write(name, text string) error {
	f, err := os.OpenFile(filepath.Join(q.dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// hold puts a process with all its threads into the group.
func (q *quota) hold(p *proc) {
	q.t.Helper()
	if err := q.write("cgroup.procs", fmt.Sprint(p.cmd.Process.Pid)); err != nil {
		q.t.Fatal(err)
	}
}

// watch looks at the group ten times a second.
func (q *quota) watch(ctx context.Context) {
	for tick := time.NewTicker(periodUs * time.Microsecond); ctx.Err() == nil; {
		l := look{at: time.Now()}
		b, _ := os.ReadFile(filepath.Join(q.dir, "cpu.stat"))
		for line := range strings.Lines(string(b)) {
			_, _ = fmt.Sscanf(line, "nr_periods %d", &l.periods)
			_, _ = fmt.Sscanf(line, "nr_throttled %d", &l.waited)
		}
		q.mu.Lock()
		q.looks = append(q.looks, l)
		q.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// waited returns in which share of the time between two moments in which the group had work
// it used its quota up, 0 to 1.
func (q *quota) waited(from, to time.Time) float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	var first, last look
	for _, l := range q.looks {
		if first.at.IsZero() || l.at.Before(from) {
			first = l
		}
		if l.at.Before(to) {
			last = l
		}
	}
	return float64(last.waited-first.waited) / float64(max(last.periods-first.periods, 1))
}
