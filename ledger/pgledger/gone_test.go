package pgledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

const lockAccount = `SELECT FROM account WHERE id = $1 FOR UPDATE`

// A node that vanishes in a transaction does not keep what it locked.
func TestNodeGone(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Timeout: time.Second, Patience: 20 * time.Second})
	gone, err := n.cold.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Release()
	if _, err := gone.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Exec(t.Context(), lockAccount, [16]byte(n.collector)); err != nil {
		t.Fatal(err)
	}
	n.mustWithdraw()
}

// Who waits for a lock in vain is told that nothing happened, and the database is not held
// to be away.
func TestLockedAccount(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Timeout: time.Second, Patience: time.Millisecond})
	ctx := context.Background()
	other, err := pgx.Connect(ctx, n.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx)
	tx, err := other.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, lockAccount, [16]byte(n.collector)); err != nil {
		t.Fatal(err)
	}
	for range breakAfter {
		if _, err := n.withdraw(); !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("a withdrawal from a locked account: %v", err)
		}
	}
	if err := n.breaker.allow(time.Now()); err != nil {
		t.Errorf("one locked account opened the breaker: %v", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	n.mustWithdraw()
}

// A connection that was given up leaves its place in the pool, whatever its server does.
func TestPlaceOfLostConnection(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	n := newNode(t, server, Options{Timeout: time.Second, Patience: time.Millisecond})
	var left chan struct{}
	err := n.do(t.Context(), n.cold, "wait", func(ctx context.Context, c *pgx.Conn) error {
		left = c.PgConn().CleanupDone()
		server.Freeze()
		_, err := c.Exec(ctx, "SELECT 1")
		return err
	})
	if err == nil {
		t.Error("a frozen server answered")
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the connection is still there")
	}
	server.Thaw()
}
