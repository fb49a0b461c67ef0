package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/internal/figure"
	"ecoin/internal/pgtest"
	"ecoin/loadgen/result"
)

// TestBenchNodes measures how many times as much as one bank two of them redeem on one
// database. Each has a part of a processor, so that this is the limit, and not the database
// on the same machine: a ratio counts where all were at their quota most of the time. "make
// bench-nodes" runs it, for as many rounds as ECOIN_BENCH_NODES says, with so many percent of a
// processor for each bank as ECOIN_BENCH_NODES_QUOTA says. No figure fails it, but a load that
// fails does, or an audit.
func TestBenchNodes(t *testing.T) {
	asked := os.Getenv("ECOIN_BENCH_NODES")
	if asked == "" {
		t.Skip(`"make bench-nodes" measures this`)
	}
	rounds, err := strconv.Atoi(asked)
	if err != nil || rounds < 1 {
		t.Fatalf("ECOIN_BENCH_NODES=%q: want a number of rounds", asked)
	}
	share := os.Getenv("ECOIN_BENCH_NODES_QUOTA")
	percent, err := strconv.Atoi(share)
	if err != nil || percent < 1 || percent > 100 {
		t.Fatalf("ECOIN_BENCH_NODES_QUOTA=%q: want percent of a processor", share)
	}
	quotas := []*quota{newQuota(t, percent), newQuota(t, percent)} // before the banks, which end first
	server := pgtest.Start(t, pgtest.Options{Settings: map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", // no checkpoint in a round
	}})
	ns := startNodes(t, server.NewDatabase(t), len(quotas))
	for i, b := range ns.banks {
		quotas[i].hold(b.proc)
	}
	var ratios []float64
	clean, loads := 0, 0
	for round := range rounds {
		one, both := ns.redeemLoads(1), ns.redeemLoads(len(ns.banks))
		if round == 0 {
			t.Log(one[0].Machine)
		}
		for _, r := range append(one, both...) {
			if loads++; audited(t, r) {
				clean++
			}
		}
		alone, from, to := together(one)
		atQuota := []string{figure.Percent(quotas[0].waited(from, to))}
		rate, from, to := together(both)
		for _, q := range quotas {
			atQuota = append(atQuota, figure.Percent(q.waited(from, to)))
		}
		if !(alone > 0 && rate > 0) {
			t.Fatalf("round %d: %v coins/s alone, %v in the %v in which both loads ran", round+1, alone, rate, to.Sub(from))
		}
		ratios = append(ratios, rate/alone)
		t.Logf("round %d: one alone %s coins/s, both together %s in %.1f s: %.2f times; at their quota in %s of the time",
			round+1, figure.Number(alone), figure.Number(rate), to.Sub(from).Seconds(), rate/alone, strings.Join(atQuota, ", "))
	}
	slices.Sort(ratios)
	mid := (ratios[(rounds-1)/2] + ratios[rounds/2]) / 2
	t.Logf("two nodes: %.2f times one, median of %d rounds [%.2f..%.2f]; %d of %d audits clean",
		mid, rounds, ratios[0], ratios[rounds-1], clean, loads)
}

// redeemLoads makes a closed load at each of the first n banks, all at the same time, each by
// a new fleet of its own.
func (ns *nodes) redeemLoads(n int) []*result.Run {
	ns.t.Helper()
	dir := ns.t.TempDir()
	runs := make([]*result.Run, n)
	var wg sync.WaitGroup
	for i, b := range ns.banks[:n] {
		wg.Go(func() {
			file := filepath.Join(dir, fmt.Sprintf("%d.json", i))
			code, out, errs := ecoinProcess(ns.t, "loadgen", "redeem", "--closed", "--batch=100", "--conns=64", "--duration=8s",
				"--max-coins=500000", // 50,000 a second, with the warm-up
				"--bank", b.url(), "--bank-cert", b.cert(), "--admin-socket", filepath.Join(b.dir, "admin.sock"), "--json", file)
			if code != 0 && code != int(exitBreach) && code != int(exitInvalid) {
				ns.t.Errorf("a load ended with exit code %d:\n%s%s", code, out, errs)
				return
			}
			var err error
			if runs[i], err = result.ReadFile(file); err != nil {
				ns.t.Error(err)
			}
		})
	}
	wg.Wait()
	if slices.Contains(runs, nil) {
		ns.t.FailNow()
	}
	return runs
}

// audited fails the test unless the run's audit was clean, and says what else went wrong in it.
func audited(t *testing.T, r *result.Run) bool {
	t.Helper()
	if total := r.Total(); total.OK < total.Planned || len(r.Invalid) > 0 {
		t.Logf("a load at %s: %d of %d requests were answered as they should be, %+v; %s",
			r.Setup.Target, total.OK, total.Planned, r.Errors, strings.Join(r.Invalid, "; "))
	}
	if !r.Audit.OK {
		t.Errorf("a load at %s: audit: %+v", r.Setup.Target, r.Audit)
	}
	return r.Audit.OK
}

// together returns how many coins a second the runs redeemed while all of them were at work,
// and from when to when that was: one may have begun later than the other.
func together(runs []*result.Run) (rate float64, from, to time.Time) {
	zero := runs[0].Started
	moment := func(r *result.Run, seconds float64) time.Duration {
		return r.Started.Sub(zero) + time.Duration(seconds*float64(time.Second))
	}
	begin, end := moment(runs[0], 0), moment(runs[0], runs[0].Took)
	for _, r := range runs[1:] {
		begin, end = max(begin, moment(r, 0)), min(end, moment(r, r.Took))
	}
	coins := 0.0
	for _, r := range runs {
		for i := range r.Seconds {
			second := moment(r, r.Seconds[i].At)
			part := min(end, second+time.Second) - max(begin, second)
			coins += float64(r.Seconds[i].Coins) * max(0, part.Seconds())
		}
	}
	return coins / (end - begin).Seconds(), zero.Add(begin), zero.Add(end)
}
