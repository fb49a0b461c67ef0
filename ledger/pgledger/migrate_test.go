package pgledger

import (
	"testing"

	"ecoin/internal/pgtest"
)

// The tables are made again where an engine kept them and not the note that they were.
func TestMigrateAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{})
	coin := n.mustWithdraw()
	n.sql(`DELETE FROM migration`)
	n.opensAgain()
	if status, err := n.redeem(coin); err != nil || status != 0 {
		t.Errorf("a coin of before: %v, %v", status, err)
	}
}

// A node whose tables are there needs no right to make any.
func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{})
	n.sql(`REVOKE CREATE ON SCHEMA public FROM pg_database_owner`)
	n.opensAgain()
}

// opensAgain opens and closes another node.
func (n *node) opensAgain() {
	n.t.Helper()
	l, err := Open(n.t.Context(), n.dsn, n.o)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		n.t.Error(err)
	}
}
