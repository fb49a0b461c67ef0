package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// TestInterruptedWithdrawal cuts the power at each step of a withdrawal and checks
// that the next start completes it: nothing is debited or inserted twice, the books
// agree before and after, and a repeat gets the stored salt.
func TestInterruptedWithdrawal(t *testing.T) {
	const n, credit = 200, 1000
	insert := func(l *Ledger, p *pendingWithdrawal, fps []core.Fingerprint) {
		l.queued.Add(int64(len(fps)))
		l.do(&call{kind: opInsert, account: p.account, fps: fps})
	}
	for _, step := range []struct {
		name    string
		run     func(l *Ledger, p *pendingWithdrawal)
		live    int64 // when the power fails
		pending int64
	}{
		{"debited", func(*Ledger, *pendingWithdrawal) {}, 0, n},
		{"some coins", func(l *Ledger, p *pendingWithdrawal) { insert(l, p, testMint(nil, &p.salt, n)[:77]) }, 77, n - 77},
		{"all coins", func(l *Ledger, p *pendingWithdrawal) { insert(l, p, testMint(nil, &p.salt, n)) }, n, 0},
		{"ended", func(l *Ledger, p *pendingWithdrawal) {
			if err := l.complete(p, false); err != nil {
				t.Error(err)
			}
		}, n, 0},
	} {
		t.Run(step.name, func(t *testing.T) {
			mem := newCrashFS()
			l := open(t, "ledger", testOptions(mem))
			p := pendingWithdrawal{account: addAccount(t, l, credit), id: freshRequest()}
			p.withdrawal = withdrawal{state: withdrawalPending, count: n, salt: freshSalt()}
			release, err := l.debit(&p)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			step.run(l, &p)
			if a := mustAudit(t, l); a.Live != step.live || a.Pending != step.pending {
				t.Errorf("before the crash the audit counts %d live and %d under way, want %d and %d", a.Live, a.Pending, step.live, step.pending)
			}
			image := mem.CrashClone(vfs.CrashCloneCfg{})
			for range 2 { // the second start finds nothing to do
				l := open(t, "ledger", testOptions(image))
				if a := mustAudit(t, l); a.Live != n || a.Pending != 0 || a.Balances != credit-n || a.Issued != n {
					t.Errorf("after the crash: %+v", a)
				}
				if salt, err := l.Withdraw(ctx, p.account, p.id, freshSalt(), n); err != nil || salt != p.salt {
					t.Errorf("repeat returned the stored salt %t, %v", salt == p.salt, err)
				}
				if _, err := l.Withdraw(ctx, p.account, p.id, freshSalt(), n-1); !errors.Is(err, ErrRequestMismatch) {
					t.Errorf("repeat with another number: %v", err)
				}
				closeLedger(t, l)
			}
			l = open(t, "ledger", testOptions(image))
			mustRedeem(t, l, p.account, testMint(nil, &p.salt, n), core.Digest{}, core.StatusOK)
		})
	}
}

// Many interrupted withdrawals, more than are completed at once, and their records
// long past the window: those under way are never dropped.
func TestManyInterruptedWithdrawals(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	o := testOptions(mem)
	now := time.Unix(1_800_000_000, 0)
	o.Now = func() time.Time { return now }
	l := open(t, "ledger", o)
	const many, n = 150, 5
	var pending []pendingWithdrawal
	for range many {
		p := pendingWithdrawal{account: addAccount(t, l, 7), id: freshRequest()}
		p.withdrawal = withdrawal{state: withdrawalPending, count: n, salt: freshSalt()}
		release, err := l.debit(&p)
		if err != nil {
			t.Fatal(err)
		}
		release()
		pending = append(pending, p)
	}
	acc := addAccount(t, l, 100)
	for range 10 {
		now = now.Add(defaultWithdrawalWindow)
		withdraw(t, l, acc, 1)
	}
	if a := mustAudit(t, l); a.Pending != many*n {
		t.Errorf("%d coins under way, want %d", a.Pending, many*n)
	}
	closeLedger(t, l)
	l = open(t, "ledger", o)
	if a := mustAudit(t, l); a.Pending != 0 || a.Live != many*n+10 {
		t.Errorf("after opening: %+v", a)
	}
	for _, p := range pending {
		if salt, err := l.Withdraw(ctx, p.account, p.id, freshSalt(), n); err != nil || salt != p.salt {
			t.Fatalf("repeat returned the stored salt %t, %v", salt == p.salt, err)
		}
	}
}

// A salt whose first coin is forgotten but whose others are live gets past the check
// before the debit. The withdrawal is then refused, and the books still agree.
func TestWithdrawVoid(t *testing.T) {
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	acc := addAccount(t, l, 100)
	salt := freshSalt()
	l.queued.Add(3)
	l.do(&call{kind: opInsert, account: acc, fps: testMint(nil, &salt, 5)[2:]}) // coins 2, 3, 4 of 5
	before, err := l.Audit(ctx)
	if err != nil || before.OK() {
		t.Fatalf("coins from nowhere: %v, %v", before.Problems, err) // and now their debit
	}
	if _, err := l.Grant(ctx, acc, 3); err != nil {
		t.Fatal(err)
	}
	b := l.db.NewBatch()
	l.must(b.Set(fundsKey(acc), funds{103, 3}.append(nil), nil))
	l.apply(b)
	mustAudit(t, l)

	id := freshRequest()
	for range 2 { // the repeat is told the same
		if _, err := l.Withdraw(ctx, acc, id, salt, 5); !errors.Is(err, errSaltUsed) {
			t.Errorf("withdrawal with a used salt: %v", err)
		}
	}
	a := mustAudit(t, l)
	if a.Live != 5 || a.Issued != 5 {
		t.Errorf("%d live, %d issued, want 5", a.Live, a.Issued)
	}
}

// One salt used by two withdrawals at once: one of them gets it.
func TestWithdrawSaltRace(t *testing.T) {
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	for range 20 {
		salt := freshSalt()
		var ok atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			acc := addAccount(t, l, 10)
			wg.Go(func() {
				_, err := l.Withdraw(ctx, acc, freshRequest(), salt, 3)
				switch {
				case err == nil:
					ok.Add(1)
				case !errors.Is(err, errSaltUsed):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 1 {
			t.Errorf("%d withdrawals used one salt", ok.Load())
		}
	}
	mustAudit(t, l)
	if len(l.salts) != 0 {
		t.Errorf("%d salts are still taken", len(l.salts))
	}
	// The others were refused before their debit, and have no record.
	it, err := l.db.NewIter(kindRange(kindEnded))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if w, err := decodeWithdrawal(it.Value()); err != nil || w.state != withdrawalDone {
			t.Errorf("a record in state %d, %v", w.state, err)
		}
	}
}

// TestLowDisk checks that a full disk stops withdrawals before the debit, and nothing
// else, and that the system is asked at most once a second.
func TestLowDisk(t *testing.T) {
	mem := vfs.NewMem()
	disk := &countingFS{FS: mem}
	o := testOptions(disk)
	o.MinFreeBytes = 1000
	now := time.Unix(1_800_000_000, 0)
	o.Now = func() time.Time { return now }
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000, TotalBytes: 5000})
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 100)
	id, salt := freshRequest(), freshSalt()
	if _, err := l.Withdraw(ctx, acc, id, salt, 10); err != nil {
		t.Fatal(err)
	}
	fps := testMint(nil, &salt, 10)

	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 999, TotalBytes: 5000})
	now = now.Add(time.Second)
	asked := disk.asked.Load()
	for range 20 {
		if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, ErrLowDisk) {
			t.Fatalf("withdrawal on a full disk: %v", err)
		}
	}
	if n := disk.asked.Load() - asked; n != 1 {
		t.Errorf("the system was asked %d times in a second, want 1", n)
	}
	if a := mustAudit(t, l); a.Issued != 10 || a.Pending != 0 {
		t.Errorf("refused withdrawals left %+v", a)
	}
	if got, err := l.Withdraw(ctx, acc, id, freshSalt(), 10); err != nil || got != salt {
		t.Errorf("repeat on a full disk: %v", err)
	}
	mustRedeem(t, l, acc, fps[:4], core.Digest{1}, core.StatusOK)
	if out, err := returnAll(l, acc, fps[:1], core.Digest{1}); err != nil || out[0] != core.StatusOK {
		t.Errorf("return on a full disk: %v, %v", out, err)
	}
	refunds := make([]Refund, 2)
	if err := l.Refund(ctx, acc, []core.Fingerprint{fps[0], fps[9]}, refunds); err != nil || refunds[0].Status != 0 || refunds[1].Status != 0 {
		t.Errorf("refund on a full disk: %v, %v", refunds, err)
	}
	if got := l.Stats().LowDisk; got != 20 {
		t.Errorf("%d refusals counted, want 20", got)
	}

	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000, TotalBytes: 5000})
	now = now.Add(time.Second)
	withdraw(t, l, acc, 1)
	// A file system that fails to answer leaves things as they were.
	disk.fail.Store(true)
	now = now.Add(time.Second)
	withdraw(t, l, acc, 1)
	// A clock that went back does not stop the asking.
	disk.fail.Store(false)
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1, TotalBytes: 5000})
	now = now.Add(-time.Hour)
	if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, ErrLowDisk) {
		t.Errorf("withdrawal on a full disk after the clock went back: %v", err)
	}
}

type countingFS struct {
	vfs.FS
	asked atomic.Int64
	fail  atomic.Bool
}

func (c *countingFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	c.asked.Add(1)
	if c.fail.Load() {
		return vfs.DiskUsage{}, errors.New("no answer")
	}
	return c.FS.GetDiskUsage(path)
}

// Withdrawals wait for those of the same account, not longer than ctx and not past Close.
func TestWithdrawWaits(t *testing.T) {
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	acc := addAccount(t, l, 10)
	other := addAccount(t, l, 10)
	if err := l.accounts.Lock(ctx, l.gate, acc); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := l.Withdraw(short, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, short.Err()) || err == nil {
		t.Errorf("withdrawal behind another: %v", err)
	}
	withdraw(t, l, other, 1)
	done := make(chan error)
	go func() {
		_, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1)
		done <- err
	}()
	eventually(t, "the withdrawal to wait", func() bool { return l.accounts.Users(acc) == 2 })
	closeLedger(t, l)
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("waiting withdrawal when closing: %v", err)
	}
}

// Whoever changes an account waits for the others who do, of each kind.
func TestAccountLocks(t *testing.T) {
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	pin := Pin(fresh())
	a, err := l.AddAccount(ctx, "somebody", RoleCollector, pin)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.accounts.Lock(ctx, l.gate, a.ID), l.trust.Lock(ctx, l.gate, struct{}{})); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(context.Context) error{
		"AddAccount": func(ctx context.Context) error { _, err := l.AddAccount(ctx, "again", RoleCollector, pin); return err },
		"SetState":   func(ctx context.Context) error { _, err := l.SetState(ctx, a.ID, Removed); return err },
		"AddPin":     func(ctx context.Context) error { _, err := l.AddPin(ctx, a.ID, Pin{1}); return err },
		"DropPin":    func(ctx context.Context) error { _, err := l.DropPin(ctx, a.ID, pin); return err },
		"Grant":      func(ctx context.Context) error { _, err := l.Grant(ctx, a.ID, 1); return err },
	} {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		if err := change(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s did not wait: %v", name, err)
		}
		cancel()
	}
	l.accounts.Unlock(a.ID)
	l.trust.Unlock(struct{}{})
	if got, err := l.Account(ctx, a.ID); err != nil || got != a {
		t.Errorf("the account became %+v, %v", got, err)
	}
}

// Mint decides the fingerprints; a Mint that gives too few is a fault of the caller.
func TestMintMisuse(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.Mint = func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
		return slices.Clip(testMint(dst, salt, 1))
	}
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 10)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		l.unreserve(2)
	}()
	_, _ = l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 2)
}

// TestWithdrawSeesReturn returns coins while a withdrawal is on its way from the balance
// that it was to be paid from. Who saw the return and not yet the withdrawal must not
// see the withdrawal succeed with more than there was.
func TestWithdrawSeesReturn(t *testing.T) {
	o := testOptions(vfs.NewMem())
	var late func()
	o.Mint = func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
		if f := late; f != nil {
			late = nil
			f()
		}
		return testMint(dst, salt, n)
	}
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 10)
	fps := withdraw(t, l, acc, 10)
	mustRedeem(t, l, acc, fps, core.Digest{1}, core.StatusOK)
	giveBack := func() {
		if out, err := returnAll(l, acc, fps, core.Digest{1}); err != nil || out[0] != core.StatusOK {
			t.Fatal(out, err)
		}
		if a, err := l.Account(ctx, acc); err != nil || a.Balance() != 0 || a.Issued != 10 {
			t.Fatal(a, err)
		}
	}
	late = giveBack
	if _, err := l.Withdraw(ctx, acc, freshRequest(), freshSalt(), 1); !errors.Is(err, ErrInsufficient) {
		t.Errorf("withdrew from nothing: %v", err)
	}
	mustAudit(t, l)

	// The same between the last look at the balance and the debit.
	if _, err := l.Grant(ctx, acc, 30); err != nil {
		t.Fatal(err)
	}
	fps = withdraw(t, l, acc, 30)
	mustRedeem(t, l, acc, fps, core.Digest{1}, core.StatusOK)
	looks := 0
	err := l.changeFunds(acc, func(a Account, b *pebble.Batch) error {
		if looks++; looks == 1 {
			fps = fps[:20]
			if out, err := returnAll(l, acc, fps, core.Digest{1}); err != nil || out[0] != core.StatusOK {
				t.Fatal(out, err)
			}
		}
		if want := []int64{30, 10}[looks-1]; a.Balance() != want {
			t.Errorf("look %d: balance %d, want %d", looks, a.Balance(), want)
		}
		return b.Set(fundsKey(acc), funds{a.Granted - 10, a.Issued}.append(nil), nil)
	})
	if a, e := l.Account(ctx, acc); err != nil || e != nil || looks != 2 || a.Balance() != 0 {
		t.Errorf("after %d looks: %v, %v, %v", looks, a, err, e)
	}
	closeLedger(t, l)
}
