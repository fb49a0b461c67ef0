package pgledger

import (
	"context"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

// A withdrawal commits, the connection breaks before its answer, and the database goes away:
// nobody may be told that nothing happened.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: time.Second})
	l := newLossy(n)
	l.loseCommit(func() { l.away.Store(true) })
	_, err := l.Withdraw(context.Background(), n.collector, ledger.RequestID{1}, core.Salt{1}, 1)
	if live := n.live(); err == nil || isNothing(err) || live != 1 {
		t.Errorf("withdrawal: %v; %d coins are live", err, live)
	}
}

// A grant's answer is lost, and before it is asked for again another node changes the
// account: it is not done twice.
func TestLostGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{})
	l := newLossy(n)
	l.loseCommit(func() {
		if _, err := n.Grant(context.Background(), n.analyst, 10); err != nil {
			t.Error(err)
		}
	})
	_, err := l.Grant(context.Background(), n.analyst, 100)
	if err == nil || isNothing(err) {
		t.Errorf("grant: %v", err)
	}
	if a, err := n.Account(context.Background(), n.analyst); err != nil || a.Granted != 1110 {
		t.Errorf("granted %d, want 1000 + 10 + 100; %v", a.Granted, err)
	}
}
