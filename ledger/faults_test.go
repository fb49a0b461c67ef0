package ledger

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

const faultsEnv = "ECOIN_LEDGER_FAULTS"

// TestFaults lets the n-th write or sync of the log fail, for many n, in a child
// process, because a ledger that failed cannot be closed. In each case Fatal must be
// called, nothing may be acknowledged after the fault, and what was before must be
// there after a power loss. The last case leaves Fatal alone: the process must exit
// with status 1 by itself.
func TestFaults(t *testing.T) {
	if mode := os.Getenv(faultsEnv); mode != "" {
		faultsChild(t, mode)
		return
	}
	t.Parallel()
	for _, mode := range []string{"sync", "write", "manifest", "redo sync", "redo write"} {
		out, err := faultsCommand(mode).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "all faults were fatal") {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
	out, err := faultsCommand("exit").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "durability is in doubt") || strings.Contains(string(out), "acknowledged") {
		t.Errorf("default Fatal: %v\n%s", err, out)
	}
}

func faultsCommand(mode string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestFaults$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), faultsEnv+"="+mode)
	return cmd
}

func faultsChild(t *testing.T, mode string) {
	if mode == "exit" {
		fault := newFault("sync")
		o := testOptions(errorfs.Wrap(vfs.NewMem(), fault))
		o.Fatal, o.Logger = nil, nil
		l, err := Open("ledger", o)
		if err != nil {
			t.Fatal(err)
		}
		acc := addAccount(t, l, 10)
		fault.at.Store(fault.seen.Load() + 1)
		_, err = l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1)
		t.Fatalf("acknowledged after a failed sync: %v", err)
	}
	points, struck, sparse := 0, 0, int64(6)
	if raceEnabled { // everything is many times slower
		sparse = 1
	}
	for n := int64(1); n <= 40; n += 1 + n/sparse {
		points++
		if runFault(t, mode, n) {
			struck++
		}
	}
	if struck < points*3/4 && mode != "manifest" || struck < 1 {
		t.Fatalf("only %d of %d faults struck", struck, points)
	}
	if !t.Failed() {
		fmt.Println("all faults were fatal")
	}
}

// fault fails the at-th operation of its kind and all after it, as a disk does that
// has gone away.
type fault struct {
	mode   string // sync, write: of the log; manifest: syncs of the manifest
	at     atomic.Int64
	seen   atomic.Int64
	struck atomic.Bool
}

// newFault returns one that does not strike until at is set.
func newFault(mode string) *fault {
	f := &fault{mode: mode}
	f.at.Store(1 << 40)
	return f
}

func (f *fault) String() string { return "fail from the n-th on" }

func (f *fault) MaybeError(op errorfs.Op) error {
	hit := false
	switch f.mode {
	case "redo sync":
		hit = isLogSync(op, logSuffix)
	case "redo write":
		hit = op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, logSuffix)
	case "sync":
		hit = isLogSync(op, ".log")
	case "write":
		hit = op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log")
	case "manifest":
		hit = op.Kind == errorfs.OpFileSync && strings.Contains(op.Path, "MANIFEST")
	}
	if hit && f.seen.Add(1) >= f.at.Load() {
		f.struck.Store(true)
		return errorfs.ErrInjected
	}
	return nil
}

// runFault works until the fault strikes, or until the work is done, and reports
// whether it struck.
func runFault(t *testing.T, mode string, n int64) bool {
	mem := newCrashFS()
	f := newFault(mode)
	o := crashOptions(errorfs.Wrap(mem, f), mode == "redo sync" || mode == "redo write")
	fatal := make(chan error, 100)
	o.Fatal = func(err error) {
		fatal <- err
		select {} // as if the process had ended
	}
	l, err := Open("ledger", o)
	if err != nil {
		t.Fatal(err)
	}
	acc := addAccount(t, l, 1<<30)
	f.at.Store(f.seen.Load() + n)

	var mu sync.Mutex
	acknowledged := make(map[core.Fingerprint]bool) // true: redeemed
	done := make(chan struct{}, 4)
	for range cap(done) {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 8 {
				d := core.Digest(freshRequest())
				salt := freshSalt()
				if _, err := l.Withdraw(ctx, acc, freshRequest(), salt, 8); err != nil {
					t.Errorf("%s %d: %v", mode, n, err)
				}
				fps := testMint(nil, &salt, 8)
				mu.Lock()
				for _, fp := range fps {
					acknowledged[fp] = false
				}
				mu.Unlock()
				out, err := redeemAll(l, acc, fps[:4], d)
				if err != nil {
					t.Errorf("%s %d: %v", mode, n, err)
				}
				mu.Lock()
				for i, fp := range fps[:4] {
					if out[i] != core.StatusOK {
						t.Errorf("%s %d: %v", mode, n, out[i])
					}
					acknowledged[fp] = true
				}
				mu.Unlock()
				if mode == "manifest" {
					_, _ = l.db.AsyncFlush()
				}
			}
		}()
	}
	for finished := 0; finished < cap(done); {
		select {
		case <-done:
			finished++
			continue
		case err := <-fatal:
			if !strings.Contains(err.Error(), "injected") {
				t.Errorf("%s %d: fatal: %v", mode, n, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s %d: neither done nor fatal; struck: %t", mode, n, f.struck.Load())
		}
		break
	}
	if !f.struck.Load() {
		return false
	}
	// The disk is gone, so the power loss keeps only what was synced before. What
	// was acknowledged, and what still is in this instant, must be in it.
	time.Sleep(2 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	o = crashOptions(mem.CrashClone(vfs.CrashCloneCfg{}), n%2 == 0)
	after, err := Open("ledger", o)
	if err != nil {
		t.Fatalf("%s %d: %v", mode, n, err)
	}
	mustAudit(t, after)
	stranger := addAccount(t, after, 0)
	for fp, redeemed := range acknowledged {
		want := core.StatusOK
		if redeemed {
			want = core.StatusRedeemed
		}
		out, err := redeemAll(after, stranger, []core.Fingerprint{fp}, core.Digest{})
		if err != nil || out[0] != want && (redeemed || out[0] != core.StatusRedeemed) {
			t.Errorf("%s %d: coin acknowledged as redeemed %t: %v, %v", mode, n, redeemed, out[0], err)
		}
	}
	closeLedger(t, after)
	return true
}
