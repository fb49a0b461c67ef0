package ledger

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

// logSyncs makes the syncs of the write-ahead log wait while it is held.
type logSyncs struct {
	mu   sync.Mutex
	cond *sync.Cond
	held bool
}

func newLogSyncs() *logSyncs {
	s := new(logSyncs)
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *logSyncs) String() string { return "hold syncs of the log" }

func (s *logSyncs) MaybeError(op errorfs.Op) error {
	if isLogSync(op, ".log") {
		s.mu.Lock()
		for s.held {
			s.cond.Wait()
		}
		s.mu.Unlock()
	}
	return nil
}

func (s *logSyncs) hold(on bool) {
	s.mu.Lock()
	s.held = on
	s.cond.Broadcast()
	s.mu.Unlock()
}

func isLogSync(op errorfs.Op, suffix string) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return strings.HasSuffix(op.Path, suffix)
	}
	return false
}

// TestAnswersWaitForSync holds the disk and checks that nobody is told of a redeem
// that is not durable: not the winner, not a loser whose own batch writes nothing, not
// a retry, not who asks for the balance, not an
// audit. A power loss at this moment forgets it.
func TestAnswersWaitForSync(t *testing.T) {
	mem := newCrashFS()
	syncs := newLogSyncs()
	l := open(t, "ledger", testOptions(errorfs.Wrap(mem, syncs)))
	c, winner, loser := addAccount(t, l, 10), addAccount(t, l, 0), addAccount(t, l, 0)
	fps := withdraw(t, l, c, 1)
	d := core.Digest{1}

	batches := l.Stats().Batches
	syncs.hold(true)
	defer syncs.hold(false) // so that a failed test ends
	answers := make(chan string, 8)
	var calls sync.WaitGroup
	call := func(name string, run func() string) {
		calls.Go(func() { answers <- name + ": " + run() })
	}
	redeem := func(acc AccountID) func() string {
		return func() string {
			out, err := redeemAll(l, acc, fps, d)
			if err != nil {
				return err.Error()
			}
			return out[0].String()
		}
	}
	decided := func(n int64) {
		t.Helper()
		eventually(t, "a batch to be decided", func() bool { return l.Stats().Batches == batches+n })
	}
	call("winner", redeem(winner))
	decided(1)
	call("loser", redeem(loser))
	decided(2)
	call("retry", redeem(winner))
	decided(3)
	call("refund", func() string {
		out := make([]Refund, 1)
		if err := l.Refund(ctx, c, fps, out); err != nil {
			return err.Error()
		}
		return out[0].Status.String()
	})
	decided(4)
	call("balance", func() string {
		a, err := l.Account(ctx, winner)
		if err != nil || a.Balance() != 1 {
			return "wrong balance"
		}
		return "1"
	})
	call("audit", func() string {
		a, err := l.Audit(ctx)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d redeemed, %t", a.Redeemed, a.OK())
	})
	select {
	case a := <-answers:
		t.Errorf("answered before the sync: %s", a)
	case <-time.After(100 * time.Millisecond):
	}

	image := mem.CrashClone(vfs.CrashCloneCfg{})
	syncs.hold(false)
	calls.Wait()
	close(answers)
	got := make(map[string]bool)
	for a := range answers {
		got[a] = true
	}
	for _, want := range []string{"winner: ok", "loser: already redeemed", "retry: redeemed before by the caller", "refund: already redeemed", "balance: 1", "audit: 1 redeemed, true"} {
		if !got[want] {
			t.Errorf("no answer %q; answers: %v", want, got)
		}
	}

	after := open(t, "ledger", testOptions(image))
	mustAudit(t, after)
	mustRedeem(t, after, loser, fps, d, core.StatusOK)
}

// A new ledger's folder, and the new folders around it, are there after a power loss.
func TestFolderIsDurable(t *testing.T) {
	for _, dir := range []string{"ledger", "data/ledger", "/a/b/c/ledger"} {
		mem := newCrashFS()
		l := open(t, dir, testOptions(mem))
		acc := addAccount(t, l, 10)
		fps := withdraw(t, l, acc, 1)
		image := mem.CrashClone(vfs.CrashCloneCfg{})
		after := open(t, dir, testOptions(image))
		mustRedeem(t, after, acc, fps, core.Digest{}, core.StatusOK)
	}
}
