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
	l.loseFirst(commit, func() { l.away.Store(true) }, nothing)
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
	l.loseFirst(commit, func() {
		if _, err := n.Grant(context.Background(), n.analyst, 10); err != nil {
			t.Error(err)
		}
	}, nothing)
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
	l.loseFirst(commit, func() { l.keep.Store(true) }, nothing)
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
	status, err := l.redeem(n.analyst, coin)
	if live := n.live(); err == nil || isNothing(err) || live != 0 {
		t.Errorf("redeem: %v, %v; %d coins are live", status, err, live)
	}
}

// A withdrawal commits and its answer is lost; its repeat meets a new window, and before
// the next round the database goes away. That the first try may have been done is not forgotten.
func TestDoubtSurvivesTurn(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: time.Second})
	l := newLossy(n)
	commits := l.loseFirst(commit, func() { n.sql(`UPDATE era SET number = number + 1 WHERE kind = 1`) }, l.leave)
	_, err := l.Withdraw(context.Background(), n.collector, ledger.RequestID{1}, core.Salt{1}, 1)
	if live := n.live(); err == nil || isNothing(err) || live != 1 || *commits != 2 {
		t.Errorf("withdrawal: %v; %d coins are live after %d commits", err, live, *commits)
	}
}

// The same of a redeem, whose answer to a look is lost in a window that has passed.
func TestDoubtSurvivesRound(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: time.Second})
	coin := n.mustWithdraw()
	l := newLossy(n)
	n.sql(`UPDATE era SET number = number + 1 WHERE kind = 0`)
	looks := l.loseFirst("WITH proof", nothing, l.leave)
	status, err := l.redeem(n.analyst, coin)
	if err == nil || isNothing(err) || *looks != 2 {
		t.Errorf("redeem: %v, %v after %d looks", status, err, *looks)
	}
}

// The same of new accounts, where another node takes a name before the repeat.
func TestDoubtSurvivesNameTaken(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: time.Second})
	l := newLossy(n)
	tries := l.loseFirst("INSERT INTO account ", nothing, func() {
		if _, err := n.AddAccount(context.Background(), "cam", ledger.RoleCollector, ledger.Pin{11}); err != nil {
			t.Error(err)
		}
		l.leave()
	})
	_, err := l.AddAccount(context.Background(), "cam", ledger.RoleCollector, ledger.Pin{10})
	if err == nil || isNothing(err) || *tries != 2 {
		t.Errorf("add: %v after %d tries", err, *tries)
	}
}

// A grant is not done twice when the database answers its commit with a warning and another
// node changes the account before the repeat.
func TestWarnedGrant(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{})
	n.sql(`CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'not on a standby'; RETURN NULL; END $$`,
		`CREATE CONSTRAINT TRIGGER warn AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn()`)
	l := newLossy(n)
	begun := 0
	l.lose = func(request []byte) bool {
		if begun += bytes.Count(request, []byte("begin\x00")); begun == 2 {
			n.sql(`UPDATE account SET granted = granted + 10, change = gen_random_uuid()`)
			begun++
		}
		return false
	}
	_, err := l.Grant(context.Background(), n.analyst, 100)
	if err == nil || isNothing(err) {
		t.Errorf("grant: %v", err)
	}
	if a, err := n.Account(context.Background(), n.analyst); err != nil || a.Granted != 1110 {
		t.Errorf("granted %d, want 1000 + 10 + 100; %v", a.Granted, err)
	}
}

// An account becomes active again with further credit, and the answer is lost. The repeat
// knows its own work, and does not take what others did since for an account that was there.
func TestLostRevival(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		lose    string
		then    func(*node, ledger.AccountID) error
		granted int64 // 0: the outcome is not known
	}{
		"done":        {commit, func(*node, ledger.AccountID) error { return nil }, 100},
		"not done":    {"UPDATE account SET name", func(*node, ledger.AccountID) error { return nil }, 100},
		"and changed": {commit, func(n *node, id ledger.AccountID) error { _, err := n.Grant(context.Background(), id, 10); return err }, 0},
		"and removed": {commit, func(n *node, id ledger.AccountID) error {
			_, err := n.SetState(context.Background(), id, ledger.Removed)
			return err
		}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, pgtest.Shared(t), Options{})
			cam, err := n.AddAccount(t.Context(), "cam", ledger.RoleCollector, ledger.Pin{10})
			if err == nil {
				_, err = n.SetState(t.Context(), cam.ID, ledger.Removed)
			}
			if err != nil {
				t.Fatal(err)
			}
			l := newLossy(n)
			l.loseFirst(test.lose, func() {
				if err := test.then(n, cam.ID); err != nil {
					t.Error(err)
				}
			}, nothing)
			var ids [1]ledger.AccountID
			var errs [1]error
			err = l.AddAccounts(context.Background(),
				[]ledger.NewAccount{{Name: "cam", Role: ledger.RoleCollector, Pin: ledger.Pin{10}, Credit: 100}}, ids[:], errs[:])
			a, e := n.Account(context.Background(), cam.ID)
			switch {
			case e != nil:
				t.Error(e)
			case test.granted == 0 && (err == nil || isNothing(err)):
				t.Errorf("granted %d and told %v, %v", a.Granted, err, errs[0])
			case test.granted > 0 && (err != nil || errs[0] != nil || ids[0] != cam.ID || a.Granted != test.granted):
				t.Errorf("granted %d and told %v, %v; want %d", a.Granted, err, errs[0], test.granted)
			}
		})
	}
}
