package ledgertest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// epoch is when the fake clocks begin.
var epoch = time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)

// Windows of the worlds. The clock stands still unless a test moves it.
const (
	spentWindow      = 100 * time.Second
	withdrawalWindow = 1000 * time.Second
)

// mint makes fingerprints for tests: SHA-256 of salt and index, cut to 16 bytes.
func mint(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
	var b [36]byte
	copy(b[:], salt[:])
	for i := range n {
		binary.BigEndian.PutUint32(b[32:], uint32(i))
		sum := sha256.Sum256(b[:])
		dst = append(dst, core.Fingerprint(sum[:16]))
	}
	return dst
}

// clock is a fake clock, safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is an open ledger, its clock, and a supply of fresh names. Its methods fail
// the test on any error; a test about errors calls the ledger itself.
type world struct {
	t     testing.TB
	ctx   context.Context
	store Store
	clock *clock
	Ledger

	mu   sync.Mutex
	next uint64
}

// newWorld opens a new storage. When the test ends the ledger is audited and closed.
func newWorld(t testing.TB, newStore func(testing.TB) Store) *world {
	w := &world{t: t, ctx: context.Background(), store: newStore(t), clock: &clock{now: epoch}}
	w.open()
	t.Cleanup(func() {
		if !t.Failed() {
			w.audit()
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.Ledger, err = w.store(Options{Mint: mint, Now: w.clock.Now, SpentWindow: spentWindow, WithdrawalWindow: withdrawalWindow})
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
}

func (w *world) reopen() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Fatalf("Close: %v", err)
	}
	w.open()
}

// fresh returns 32 bytes that this world did not have before.
func (w *world) fresh() [32]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return sha256.Sum256(fmt.Appendf(nil, "fresh %d", w.next))
}

func (w *world) salt() core.Salt      { return core.Salt(w.fresh()) }
func (w *world) pin() ledger.Pin      { return ledger.Pin(w.fresh()) }
func (w *world) id() ledger.RequestID { b := w.fresh(); return ledger.RequestID(b[:16]) }
func (w *world) digest() core.Digest  { b := w.fresh(); return core.Digest(b[:16]) }
func (w *world) unknownAccount() ledger.AccountID {
	b := w.fresh()
	return ledger.AccountID(b[:16])
}

func (w *world) add(role ledger.Role, credit int64) ledger.AccountID {
	w.t.Helper()
	pin := w.pin()
	a, err := w.AddAccount(w.ctx, "somebody "+pin.String(), role, pin)
	if err == nil && credit != 0 {
		a, err = w.Grant(w.ctx, a.ID, credit)
	}
	if err != nil {
		w.t.Fatalf("add an account: %v", err)
	}
	return a.ID
}

func (w *world) collector(credit int64) ledger.AccountID { return w.add(ledger.RoleCollector, credit) }
func (w *world) analyst() ledger.AccountID               { return w.add(ledger.RoleAnalyst, 0) }

// coins withdraws n fresh coins for acc.
func (w *world) coins(acc ledger.AccountID, n int) []core.Fingerprint {
	w.t.Helper()
	salt, err := w.Withdraw(w.ctx, acc, w.id(), w.salt(), n)
	if err != nil {
		w.t.Fatalf("Withdraw: %v", err)
	}
	return mint(nil, &salt, n)
}

func (w *world) redeem(acc ledger.AccountID, fp core.Fingerprint, d core.Digest) core.Status {
	w.t.Helper()
	var out [1]core.Status
	if err := w.Redeem(w.ctx, acc, []ledger.Redemption{{Fingerprint: fp, Digest: d}}, out[:]); err != nil {
		w.t.Fatalf("Redeem: %v", err)
	}
	return out[0]
}

func (w *world) giveBack(acc ledger.AccountID, fp core.Fingerprint, d core.Digest) core.Status {
	w.t.Helper()
	var out [1]core.Status
	if err := w.Return(w.ctx, acc, []ledger.Redemption{{Fingerprint: fp, Digest: d}}, out[:]); err != nil {
		w.t.Fatalf("Return: %v", err)
	}
	return out[0]
}

func (w *world) refund(acc ledger.AccountID, fp core.Fingerprint) ledger.Refund {
	w.t.Helper()
	var out [1]ledger.Refund
	if err := w.Refund(w.ctx, acc, []core.Fingerprint{fp}, out[:]); err != nil {
		w.t.Fatalf("Refund: %v", err)
	}
	return out[0]
}

func (w *world) account(id ledger.AccountID) ledger.Account {
	w.t.Helper()
	a, err := w.Account(w.ctx, id)
	if err != nil {
		w.t.Fatalf("Account: %v", err)
	}
	return a
}

// audit fails the test if the ledger's own audit finds anything wrong.
func (w *world) audit() ledger.Audit {
	w.t.Helper()
	a, err := w.Audit(w.ctx)
	if err != nil {
		w.t.Fatalf("Audit: %v", err)
	}
	for _, p := range a.Problems {
		w.t.Errorf("audit: %s", p)
	}
	if got := a.Balances + a.Live + a.Returned + a.Pending; got != a.Granted {
		w.t.Errorf("audit: granted %d, but balances %d + live %d + returned %d + pending %d = %d", a.Granted, a.Balances, a.Live, a.Returned, a.Pending, got)
	}
	return a
}

// wantBalance checks an account's balance.
func (w *world) wantBalance(id ledger.AccountID, want int64) {
	w.t.Helper()
	if got := w.account(id).Balance(); got != want {
		w.t.Errorf("balance of %v is %d, want %d", id, got, want)
	}
}

// together runs n functions at once, as nearly at the same moment as can be, and
// waits for them.
func together(n int, run func(i int)) {
	var ready, done sync.WaitGroup
	ready.Add(n)
	start := make(chan struct{})
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			run(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}
