package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

func TestOptionLimits(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"Mint":             func(o *Options) { o.Mint = nil },
		"Shards":           func(o *Options) { o.Shards = 3 },
		"Shards 512":       func(o *Options) { o.Shards = 512 },
		"Shards -1":        func(o *Options) { o.Shards = -1 },
		"MaxQueued":        func(o *Options) { o.MaxQueued = MaxCall - 1 },
		"CacheBytes":       func(o *Options) { o.CacheBytes = -1 },
		"SpentWindow":      func(o *Options) { o.SpentWindow = -time.Second },
		"SpentWindow ms":   func(o *Options) { o.SpentWindow = 1500 * time.Millisecond },
		"WithdrawalWindow": func(o *Options) { o.WithdrawalWindow = 11 * 365 * 24 * time.Hour },
	} {
		o := testOptions(vfs.NewMem())
		change(&o)
		field, _, _ := strings.Cut(name, " ")
		if _, err := Open("ledger", o); err == nil || !strings.Contains(err.Error(), "Options."+field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o, err := Options{Mint: testMint}.withDefaults()
	if err != nil || o.SpentWindow != time.Hour || o.WithdrawalWindow != 24*time.Hour || o.MinFreeBytes != 1<<30 ||
		o.MaxQueued != 65536 || o.Now == nil || o.Logger == nil || o.FS == nil || o.Fatal == nil {
		t.Errorf("defaults: %+v, %v", o, err)
	}
}

// Shards are fixed at creation; 0 takes what there is.
func TestShardsFixed(t *testing.T) {
	mem := vfs.NewMem()
	o := testOptions(mem)
	for _, step := range []struct{ ask, want int }{{0, 16}, {16, 16}, {8, 0}, {0, 16}} {
		o.Shards = step.ask
		l, err := Open("ledger", o)
		if step.want == 0 {
			if err == nil || !strings.Contains(err.Error(), "created with 16 shards, not 8") {
				t.Errorf("opened with %d shards: %v", step.ask, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(l.shards) != step.want {
			t.Errorf("asked for %d shards, got %d", step.ask, len(l.shards))
		}
		closeLedger(t, l)
	}
}

// A ledger opened with other keys would know none of its coins.
func TestOtherKeys(t *testing.T) {
	mem := vfs.NewMem()
	o := testOptions(mem)
	closeLedger(t, open(t, "ledger", o))
	other := o
	other.Mint = core.NewMint(&[32]byte{7}, &[32]byte{8}).AppendFingerprints
	for range 2 {
		if _, err := Open("ledger", other); err == nil || !strings.Contains(err.Error(), "created with other keys") {
			t.Errorf("opened with other keys: %v", err)
		}
	}
	closeLedger(t, open(t, "ledger", o))
}

func TestOpenRefusals(t *testing.T) {
	mem := vfs.NewMem()
	put := func(dir string, key, value []byte) {
		db, err := pebble.Open(dir, &pebble.Options{FS: mem, Logger: &storeLog{logger: quietLog}, FormatMajorVersion: pebble.FormatNewest})
		if err == nil {
			err = errors.Join(db.Set(key, value, pebble.Sync), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, want string }{
		{"newer", "written by a newer program"},
		{"foreign", "not a ledger"},
		{"damaged", "cannot be read"},
	} {
		switch c.name {
		case "newer":
			put(c.name, metaKey(), []byte{0, 0, 0, formatVersion + 1, 'w', 'h', 'o', ' ', 'k', 'n', 'o', 'w', 's'})
		case "foreign":
			put(c.name, []byte("hello"), []byte("world"))
		case "damaged":
			put(c.name, metaKey(), append([]byte{0, 0, 0, formatVersion, 0, 3}, make([]byte, metaLen-6)...))
		}
		for range 2 { // a refused store is left alone and unlocked
			_, err := Open(c.name, testOptions(mem))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	// An empty Pebble is what a crash during creation leaves.
	db, err := pebble.Open("empty", &pebble.Options{FS: mem, Logger: &storeLog{logger: quietLog}})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	closeLedger(t, open(t, "empty", testOptions(mem)))
}

// A second process, or a second Open, is told so; folders are private.
func TestOpenTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "ledger")
	l := open(t, dir, testOptions(vfs.Default))
	if _, err := Open(dir, testOptions(vfs.Default)); err == nil || !strings.Contains(err.Error(), "another process") || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open: %v", err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder is %v, %v, want 0700", info.Mode(), err)
	}
	closeLedger(t, l)
	closeLedger(t, open(t, dir, testOptions(vfs.Default)))
}

// Open fails cleanly, whichever read of it fails, and leaves the store as it was.
func TestOpenFaults(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	o := testOptions(mem)
	l := open(t, "ledger", o)
	fps := withdraw(t, l, addAccount(t, l, 10), 10)
	closeLedger(t, l)
	failed := 0
	for n := int64(0); ; n++ {
		var reads atomic.Int64
		o.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead && reads.Add(1) == n+1 {
				return errorfs.ErrInjected
			}
			return nil
		}))
		l, err := Open("ledger", o)
		if err == nil {
			if s := l.Stats(); s.Live != 10 {
				t.Errorf("fault %d: %d live coins", n, s.Live)
			}
			closeLedger(t, l)
			if reads.Load() <= n {
				break // no fault was met
			}
			continue
		}
		failed++
		if !strings.Contains(err.Error(), "ledger:") || !strings.Contains(err.Error(), "injected") {
			t.Errorf("fault %d: %v", n, err)
		}
	}
	if failed < 10 {
		t.Errorf("only %d reads failed", failed)
	}
	o.FS = mem
	l = open(t, "ledger", o)
	mustAudit(t, l)
	mustRedeem(t, l, addAccount(t, l, 0), fps, core.Digest{}, core.StatusOK)
}

// ErrOverload comes at once when the queue is full, and nothing of the call happens.
func TestOverload(t *testing.T) {
	t.Parallel()
	syncs := newLogSyncs()
	o := testOptions(errorfs.Wrap(vfs.NewMem(), syncs))
	o.MaxQueued = MaxCall
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 20_000)
	a, b := withdraw(t, l, acc, 9_000), withdraw(t, l, acc, 2_000)

	syncs.hold(true)
	defer syncs.hold(false) // so that a failed test ends
	var wg sync.WaitGroup
	wg.Go(func() { mustRedeem(t, l, acc, a, core.Digest{1}, core.StatusOK) })
	eventually(t, "the queue to fill", func() bool { return l.Stats().Queued == 9_000 })
	start := time.Now()
	if _, err := redeemAll(l, acc, b, core.Digest{1}); !errors.Is(err, ErrOverload) {
		t.Errorf("2,000 coins behind 9,000 of 10,000: %v", err)
	}
	if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 2_000); !errors.Is(err, ErrOverload) {
		t.Errorf("withdrawal behind a full queue: %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("refused after %v", d)
	}
	if n := l.Stats().Overloads; n != 2 {
		t.Errorf("%d refusals counted, want 2", n)
	}
	syncs.hold(false)
	wg.Wait()
	if n := l.Stats().Queued; n != 0 {
		t.Errorf("%d coins are still queued", n)
	}
	if audit := mustAudit(t, l); audit.Issued != 11_000 {
		t.Errorf("%d coins issued, want 11,000", audit.Issued)
	}
	mustRedeem(t, l, acc, b, core.Digest{1}, core.StatusOK)
}

// Close lets what was accepted finish, and answers it.
func TestCloseDrains(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	syncs := newLogSyncs()
	l := open(t, "ledger", testOptions(errorfs.Wrap(mem, syncs)))
	acc := addAccount(t, l, 5_000)
	fps := withdraw(t, l, acc, 5_000)
	syncs.hold(true)
	defer syncs.hold(false) // so that a failed test ends
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { mustRedeem(t, l, acc, fps[i*100:(i+1)*100], core.Digest{1}, core.StatusOK) })
	}
	eventually(t, "all coins to be accepted", func() bool { return l.Stats().Queued == 5_000 })
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	eventually(t, "Close to begin", func() bool {
		err := l.gate.Enter()
		if err == nil {
			l.gate.Leave()
		}
		return errors.Is(err, ErrClosed)
	})
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v while coins are under way", err)
	case <-time.After(50 * time.Millisecond):
	}
	syncs.hold(false)
	wg.Wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	l = open(t, "ledger", testOptions(mem))
	if a := mustAudit(t, l); a.Live != 0 || a.Redeemed != 5_000 {
		t.Errorf("after reopening: %+v", a)
	}
}

// Close breaks an audit off.
func TestCloseDuringAudit(t *testing.T) {
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	acc := addAccount(t, l, 100)
	withdraw(t, l, acc, 100)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				a, err := l.Audit(ctx)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil || !a.OK() {
					t.Errorf("audit: %v, %v", a.Problems, err)
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	closeLedger(t, l)
	wg.Wait()
}

// A checkpoint taken under load holds all that was answered before it, and audits.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, filepath.Join(dir, "ledger"), testOptions(vfs.Default))
	acc := addAccount(t, l, 100_000)
	before := withdraw(t, l, acc, 500)
	mustRedeem(t, l, acc, before[:250], core.Digest{1}, core.StatusOK)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					mustRedeem(t, l, acc, withdraw(t, l, acc, 20), core.Digest{2}, core.StatusOK)
				}
			}
		})
	}
	for i := range 3 {
		copyDir := filepath.Join(dir, fmt.Sprintf("copy %d", i))
		if err := l.Checkpoint(copyDir); err != nil {
			t.Fatal(err)
		}
		if err := l.Checkpoint(copyDir); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), copyDir) {
			t.Errorf("checkpoint into an existing folder: %v", err)
		}
		c := open(t, copyDir, testOptions(vfs.Default))
		mustAudit(t, c)
		mustRedeem(t, c, acc, before[:250], core.Digest{1}, core.StatusRedeemedBefore)
		mustRedeem(t, c, acc, before[250:], core.Digest{1}, core.StatusOK) // the copy has a life of its own
		closeLedger(t, c)
	}
	close(stop)
	wg.Wait()
	mustAudit(t, l)
	mustRedeem(t, l, acc, before[250:], core.Digest{1}, core.StatusOK)
	closeLedger(t, l)
	if err := l.Checkpoint(filepath.Join(dir, "late")); !errors.Is(err, ErrClosed) {
		t.Errorf("checkpoint after Close: %v", err)
	}
}

// Stats count what happens.
func TestStats(t *testing.T) {
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	c, an := addAccount(t, l, 20), addAccount(t, l, 0)
	fps := withdraw(t, l, c, 10)
	mustRedeem(t, l, an, fps[:4], core.Digest{1}, core.StatusOK)
	mustRedeem(t, l, an, fps[:3], core.Digest{1}, core.StatusRedeemedBefore)
	mustRedeem(t, l, c, fps[:2], core.Digest{1}, core.StatusRedeemed)
	mustRedeem(t, l, c, []core.Fingerprint{{}}, core.Digest{1}, core.StatusNotLive)
	if _, err := returnAll(l, an, fps[:1], core.Digest{1}); err != nil {
		t.Fatal(err)
	}
	refunds := make([]Refund, 3)
	if err := l.Refund(ctx, c, []core.Fingerprint{fps[0], fps[8], {}}, refunds); err != nil {
		t.Fatal(err)
	}
	s := l.Stats()
	if s.Live != 5 || s.Issued != 10 || s.Redeemed != 4 || s.Returned != 1 || s.Refunded != 2 ||
		s.Retries != 3 || s.DoubleSpends != 2 || s.NotLive != 2 || s.Temporary != 0 || s.Coins != 24 || s.Batches == 0 || s.Queued != 0 || s.LogBytes == 0 {
		t.Errorf("stats: %+v", s)
	}
	closeLedger(t, l)
	if after := l.Stats(); after.Live != 5 || after.DiskBytes != 0 {
		t.Errorf("stats after Close: %+v", after)
	}
}
