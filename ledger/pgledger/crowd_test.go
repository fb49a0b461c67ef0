package pgledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

// lockRow locks an account's row on a connection of its own until unlock is called.
func (n *node) lockRow(id ledger.AccountID) (tx pgx.Tx, unlock func()) {
	n.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, n.dsn)
	if err != nil {
		n.t.Fatal(err)
	}
	if tx, err = c.Begin(ctx); err == nil {
		_, err = tx.Exec(ctx, lockAccount, [16]byte(id))
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return tx, func() {
		if err := errors.Join(tx.Commit(ctx), c.Close(ctx)); err != nil {
			n.t.Error(err)
		}
	}
}

// waitsForLock waits until a session of the node's database waits for a lock.
func (n *node) waitsForLock() {
	n.t.Helper()
	for waiting := false; !waiting; time.Sleep(time.Millisecond) {
		c, err := pgx.Connect(context.Background(), n.dsn)
		if err == nil {
			err = c.QueryRow(context.Background(),
				`SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
			c.Close(context.Background())
		}
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// An account with many withdrawals that take long keeps neither other accounts nor the
// truststore from the database.
func TestManyWithdrawals(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Conns: 2})
	ctx := context.Background()
	_, unlock := n.lockRow(n.collector)
	const many = 20
	var begun atomic.Int32
	n.o.Mint = func(dst []core.Fingerprint, salt *core.Salt, coins int) []core.Fingerprint {
		begun.Add(1)
		return testMint(dst, salt, coins)
	}
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if _, err := n.Withdraw(ctx, n.collector, ledger.RequestID{1, byte(i)}, core.Salt{1, byte(i)}, 1); err != nil {
				t.Error(err)
			}
		})
	}
	for begun.Load() < many {
		time.Sleep(time.Millisecond)
	}
	n.waitsForLock()
	if _, err := n.Withdraw(ctx, n.analyst, ledger.RequestID{2}, core.Salt{2}, 1); err != nil {
		t.Errorf("another account's withdrawal: %v", err)
	}
	if _, err := n.ClientByPin(ctx, ledger.Pin{2}); err != nil {
		t.Errorf("a key: %v", err)
	}
	unlock()
	wg.Wait()
}

// What every client waits for goes on when all other connections are taken.
func TestLookupsApart(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Conns: 2, Timeout: 3 * time.Second, Patience: time.Second})
	coin := n.mustWithdraw()
	if status, err := n.redeem(coin); err != nil || status != core.StatusOK { // begins a window
		t.Fatal(status, err)
	}
	for range n.o.Conns {
		c, err := n.cold.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Release()
	}
	for i := range n.known { // the redeem looks for its account again
		n.known[i].Store(nil)
	}
	for what, call := range map[string]func() error{
		"a key":               func() error { _, err := n.ClientByPin(t.Context(), ledger.Pin{2}); return err },
		"changes of accounts": func() error { _, _, err := n.TrustChanges(t.Context(), 0); return err },
		"a redeem": func() error {
			status, err := n.redeem(coin)
			if err == nil && status != core.StatusRedeemedBefore {
				err = fmt.Errorf("status %v", status)
			}
			return err
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A withdrawal waits for others of its account as long as a statement may take, or ctx, and
// then nothing happened.
func TestWithdrawWaits(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Timeout: time.Second})
	if err := n.lockDebits(t.Context(), n.collector); err != nil {
		t.Fatal(err)
	}
	if _, err := n.withdraw(); err != ledger.ErrOverload {
		t.Errorf("behind another that does not end: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	wait := func(ctx context.Context) {
		go func() {
			_, err := n.Withdraw(ctx, n.collector, ledger.RequestID{9}, core.Salt{9}, 1)
			done <- err
		}()
		for n.debited.Users(n.collector) < 2 {
			time.Sleep(time.Millisecond)
		}
	}
	wait(ctx)
	cancel()
	if err := <-done; err != context.Canceled {
		t.Errorf("after its caller has left: %v", err)
	}
	n.debited.Unlock(n.collector)
	n.mustWithdraw()
}
