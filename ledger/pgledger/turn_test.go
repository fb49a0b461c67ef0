package pgledger

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

// A window whose commit fails has not begun: the node goes on in the one before.
func TestTurnNotCommitted(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{})
	a, b := n.mustWithdraw(), n.mustWithdraw()
	n.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused at commit'; END $$`,
		`CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON era DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	n.clock.Add((48 * time.Hour).Milliseconds())
	for i, coin := range []ledger.Redemption{a, b} {
		if status, err := n.redeem(coin); status != core.StatusOK || err != nil {
			t.Errorf("redeem %d: %v, %v", i, status, err)
		}
	}
	if _, err := n.withdraw(); err != nil {
		t.Errorf("withdraw: %v", err)
	}
}

// Whoever reads a table for long delays the turn that would empty it, and nothing else.
func TestTurnBehindReader(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Timeout: 3 * time.Second, Patience: time.Second})
	a, b := n.mustWithdraw(), n.mustWithdraw()
	ctx := context.Background()
	reader, err := pgx.Connect(ctx, n.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(ctx)
	if _, err := reader.Exec(ctx, `BEGIN; SELECT FROM spent_0; SELECT FROM spent_1; SELECT FROM spent_2`); err != nil {
		t.Fatal(err)
	}
	n.clock.Add((48 * time.Hour).Milliseconds())
	if status, err := n.redeem(a); status != core.StatusOK || err != nil {
		t.Errorf("redeem: %v, %v", status, err)
	}
	n.mustWithdraw()
	if _, err := reader.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	n.spent.mu.Lock()
	before := n.spent.number
	n.spent.waitFor = time.Time{} // as if the time until the next try were over
	n.spent.mu.Unlock()
	if status, err := n.redeem(b); status != core.StatusOK || err != nil {
		t.Errorf("redeem: %v, %v", status, err)
	}
	if after := n.spent.newest(ctx); after != before+1 {
		t.Errorf("window %d after window %d", after, before)
	}
}
