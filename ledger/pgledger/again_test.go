package pgledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

// A change that had a conflict did not happen, whatever others change before the next try.
func TestChangeConflict(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: 20 * time.Second})
	var others chan error
	_, err := n.change(t.Context(), "change", n.collector, func(context.Context, pgx.Tx, row) error {
		if others == nil {
			others = make(chan error, 1)
			go func() {
				_, err := n.Grant(context.Background(), n.collector, 1) // waits for the account's lock
				others <- err
			}()
		}
		select {
		case err := <-others:
			return err
		default:
			return &pgconn.PgError{Severity: "ERROR", Code: "40001"}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// Accounts are told the same when they are added again because the answer was lost.
func TestAddAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{})
	gone, err := n.AddAccount(t.Context(), "gone", ledger.RoleAnalyst, ledger.Pin{10})
	if err == nil {
		_, err = n.SetState(t.Context(), gone.ID, ledger.Removed)
	}
	if err != nil {
		t.Fatal(err)
	}
	a := adding{mark: newToken(), accounts: []ledger.NewAccount{
		{Name: "new", Role: ledger.RoleAnalyst, Pin: ledger.Pin{11}, Credit: 1},
		{Name: "new", Role: ledger.RoleAnalyst, Pin: ledger.Pin{11}, Credit: 2},
		{Name: "back", Role: ledger.RoleAnalyst, Pin: ledger.Pin{10}, Credit: 4},
		{Name: "back", Role: ledger.RoleAnalyst, Pin: ledger.Pin{10}, Credit: 8},
	}}
	for range a.accounts {
		a.fresh = append(a.fresh, ledger.AccountID(newToken()))
	}
	for try := range 3 {
		if err := n.do(t.Context(), n.cold, "add", a.try); err != nil {
			t.Fatal(err)
		}
		for i, want := range []error{nil, ledger.ErrAccountSame, nil, ledger.ErrAccountSame} {
			if !errors.Is(a.errs[i], want) || want == nil && a.errs[i] != nil {
				t.Errorf("try %d, account %d: %v, want %v", try, i, a.errs[i], want)
			}
		}
	}
	for i, credit := range map[int]int64{0: 1, 2: 4} {
		if got, err := n.Account(t.Context(), a.ids[i]); err != nil || got.Granted != credit {
			t.Errorf("account %d was granted %d, want %d; %v", i, got.Granted, credit, err)
		}
	}
}
