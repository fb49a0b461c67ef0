package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"ecoin/core"
	"ecoin/internal/coins"
	"ecoin/ledger"
)

// childEnv holds a child's job as JSON; a process that has it is a child.
const childEnv = "ECOIN_LEDGERSCALE_CHILD"

// job is what a child has to do.
type job struct {
	Dir      string
	N        int64 // size of the set of coins
	Index    int64 // bytes
	Cache    int64 // bytes
	Waiters  int
	Size     int // coins a call
	Analysts []ledger.AccountID
}

func isChild() bool { return os.Getenv(childEnv) != "" }

// runChild redeems up to a quarter of the coins until it is killed, and writes a line
// with the number of the first coin after each call that was answered.
func runChild(out io.Writer) (exit int) {
	if err := redeemAndTell(out); err != nil {
		fmt.Fprintln(os.Stderr, "ledgerscale: child:", err)
	}
	return 1 // it was to be killed
}

func redeemAndTell(out io.Writer) error {
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &j); err != nil {
		return err
	}
	l, err := ledger.Open(j.Dir, ledgerOptions(j.Index, j.Cache))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	r := redeemer{l: l, set: coins.New(j.N), analysts: j.Analysts, waiters: j.Waiters, size: j.Size, end: j.N / 4}
	r.answered = func(first int64) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintln(out, first)
		return err
	}
	if err := r.run(time.Hour); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed, or the parent is gone
	return err
}

// drill starts a child on the ledger in dir, kills it with SIGKILL while it redeems,
// and returns the calls that were answered, by the numbers of their first coins.
func (m *measurement) drill(dir string, analysts []ledger.AccountID) (answered []int64, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	work, err := json.Marshal(job{dir, m.n, m.index, int64(m.o.CacheBytes), m.o.Waiters, m.o.Coins, analysts})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(work))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if _, err := cmd.StdinPipe(); err != nil { // closed with this process
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	kill := func() { _ = cmd.Process.Kill() } // what it wrote until then still comes
	var timer *time.Timer
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		var first int64
		if _, err := fmt.Sscan(lines.Text(), &first); err != nil {
			return nil, errors.Join(fmt.Errorf("the child says %q", lines.Text()), cmd.Process.Kill(), cmd.Wait())
		}
		answered = append(answered, first)
		switch {
		case timer == nil: // it redeems
			timer = time.AfterFunc(m.o.KillAfter, kill)
		case int64(len(answered)*m.o.Coins) >= m.n/10:
			timer.Reset(0)
		}
	}
	if timer != nil {
		timer.Stop()
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() || len(answered) == 0 {
		return nil, fmt.Errorf("the child was to be killed while it redeemed: %d calls answered, %v", len(answered), err)
	}
	return answered, nil
}

// afterKill opens the ledger that the child left, measures how long that takes, and
// asks for every coin again that the child was answered for. It returns the ledger and
// the number of the first coin that nobody asked for.
func (m *measurement) afterKill(dir string, analysts []ledger.AccountID, answered []int64) (*ledger.Ledger, int64, error) {
	r := &m.result
	size := int64(m.o.Coins)
	// Numbers are given out in order, and each waiter has one call that may be unanswered.
	next := int64(0)
	for _, first := range answered {
		next = max(next, first+size)
	}
	next += int64(m.o.Waiters) * size

	start := time.Now()
	l, err := ledger.Open(dir, ledgerOptions(m.index, int64(m.o.CacheBytes)))
	if err != nil {
		return nil, 0, err
	}
	r.OpenS = time.Since(start).Seconds()
	again := redeemer{l: l, set: m.set, analysts: analysts, waiters: 1, size: 1, next: next, end: next + 1}
	err = again.run(time.Minute)
	next += size
	r.FirstRedeemS = time.Since(start).Seconds()
	if err == nil && m.index > 0 {
		m.say("open after %.2f s; waiting for the index", r.OpenS)
		var idle idleWatch
		for !idle.idle(5 * time.Second) { // shards that do not fit never come
			if s := l.Stats(); s.Indexed == s.Live {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		s := l.Stats()
		r.IndexedS = time.Since(start).Seconds()
		r.IndexedShare = float64(s.Indexed) / float64(s.Live)
		r.IndexBytesPerCoin = float64(s.IndexBytes) / float64(s.Live)
	}
	r.Answered = int64(len(answered)) * size
	if err == nil {
		r.Lost, err = lost(l, m.set, analysts, answered, size)
	}
	if err == nil && r.Lost > 0 {
		err = fmt.Errorf("%d coins of %d that were answered before the kill are not known as redeemed", r.Lost, r.Answered)
	}
	if err != nil {
		return nil, 0, errors.Join(err, l.Close())
	}
	return l, next, nil
}

// lost asks for coins again and counts those that are not answered "redeemed before".
func lost(l *ledger.Ledger, set *coins.Set, analysts []ledger.AccountID, answered []int64, size int64) (n int64, err error) {
	batch, out := make([]ledger.Redemption, size), make([]core.Status, size)
	for _, first := range answered {
		fill(batch, set, first)
		if err := l.Redeem(context.Background(), analystOf(analysts, first, size), batch, out); err != nil {
			return n, err
		}
		for _, s := range out {
			if s != core.StatusRedeemedBefore {
				n++
			}
		}
	}
	return n, nil
}
