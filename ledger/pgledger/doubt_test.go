package pgledger

import (
	"bytes"
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

// A withdrawal commits and its answer is lost, and then there is no connection to ask
// again on. That is not "too much work is waiting", after which nothing happened.
func TestDoubtIsNotOverload(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Timeout: 2 * time.Second, Patience: time.Second})
	l := newLossy(n)
	l.loseCommit(func() { l.keep.Store(true) })
	_, err := l.Withdraw(context.Background(), n.collector, ledger.RequestID{1}, core.Salt{1}, 1)
	if live := n.live(); err == nil || isNothing(err) || live != 1 {
		t.Errorf("withdrawal: %v; %d coins are live", err, live)
	}
}

// The same in a later round of a redeem, where an error that nothing happened is told as a
// temporary failure of the coins that are left.
func TestDoubtIsNotTemporary(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Timeout: 2 * time.Second, Patience: time.Second})
	coin := n.mustWithdraw()
	l := newLossy(n)
	n.sql(`UPDATE era SET number = number + 1 WHERE kind = 0`) // so the first round does nothing
	l.then = func() { l.keep.Store(true) }
	prepared := 0
	l.lose = func(request []byte) bool {
		if prepared == 2 { // the statement of the second round
			return true
		}
		prepared += bytes.Count(request, []byte("DELETE FROM coin "))
		return false
	}
	c := &call{op: opRedeem, account: n.analyst, coins: []ledger.Redemption{coin}, status: make([]core.Status, 1)}
	b := batch{l: l.Ledger, states: make(map[core.Fingerprint]state)}
	err := b.decide([]*call{c})
	if live := n.live(); err == nil || isNothing(err) || live != 0 {
		t.Errorf("redeem: %v, %v; %d coins are live", c.status[0], err, live)
	}
}
