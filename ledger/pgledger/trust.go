package pgledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ecoin/ledger"
)

// SetState removes, suspends or resumes an account; see [ledger.Ledger.SetState], also
// for its errors.
func (l *Ledger) SetState(ctx context.Context, id ledger.AccountID, state ledger.State) (ledger.Account, error) {
	if state > ledger.Suspended {
		return ledger.Account{}, fmt.Errorf("pgledger: an account has no %v", state)
	}
	return l.change(ctx, "set a state", id, func(ctx context.Context, tx pgx.Tx, a row) error {
		if a.State == ledger.Removed && state != ledger.Removed {
			return outcome{ledger.ErrRemoved}
		}
		if state == ledger.Removed && a.State != ledger.Removed {
			if _, err := tx.Exec(ctx, `DELETE FROM name WHERE name = $1`, a.Name); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE account SET state = $2 WHERE id = $1`, [16]byte(id), int16(state)); err != nil {
			return err
		}
		return noteChange(ctx, tx, id, nil)
	})
}

// AddPin gives an account a further key; see [ledger.Ledger.AddPin], also for its errors.
func (l *Ledger) AddPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error) {
	return l.change(ctx, "add a pin", id, func(ctx context.Context, tx pgx.Tx, a row) error {
		switch {
		case a.State == ledger.Removed:
			return outcome{ledger.ErrRemoved}
		case pin == (ledger.Pin{}):
			return outcome{errors.New("pgledger: the pin is zero")}
		case pin == a.Pin:
			return nil
		}
		var owner [16]byte
		err := tx.QueryRow(ctx, `SELECT account FROM pin WHERE pin = $1`, pin[:]).Scan(&owner)
		switch {
		case err == nil:
			return outcome{ledger.ErrAccountExists}
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		case a.OldPin != ledger.Pin{}:
			return outcome{ledger.ErrRotating}
		}
		tag, err := tx.Exec(ctx, `INSERT INTO pin (pin, account) VALUES ($1, $2) ON CONFLICT (pin) DO NOTHING`, pin[:], [16]byte(id))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 { // another account took it just now
			return outcome{ledger.ErrAccountExists}
		}
		_, err = tx.Exec(ctx, `UPDATE account SET pin = $2, old_pin = pin WHERE id = $1`, [16]byte(id), pin[:])
		return err
	})
}

// DropPin takes one of an account's two keys away; see [ledger.Ledger.DropPin], also for
// its errors.
func (l *Ledger) DropPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error) {
	return l.change(ctx, "drop a pin", id, func(ctx context.Context, tx pgx.Tx, a row) error {
		keep := a.Pin
		switch {
		case a.OldPin == ledger.Pin{} || pin != a.Pin && pin != a.OldPin:
			return outcome{ledger.ErrNoPin}
		case pin == a.Pin:
			keep = a.OldPin
		}
		if _, err := tx.Exec(ctx, `DELETE FROM pin WHERE pin = $1`, pin[:]); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE account SET pin = $2, old_pin = NULL WHERE id = $1`, [16]byte(id), keep[:]); err != nil {
			return err
		}
		return noteChange(ctx, tx, id, pin[:])
	})
}

// AddAccount adds one account without credit; see AddAccounts.
func (l *Ledger) AddAccount(ctx context.Context, name string, role ledger.Role, pin ledger.Pin) (ledger.Account, error) {
	var (
		id  [1]ledger.AccountID
		err [1]error
	)
	if e := l.AddAccounts(ctx, []ledger.NewAccount{{Name: name, Role: role, Pin: pin}}, id[:], err[:]); e != nil {
		return ledger.Account{}, e
	}
	if err[0] != nil {
		return ledger.Account{}, err[0]
	}
	a, e := l.Account(ctx, id[0])
	if e != nil { // not what it is, which would say that nothing happened
		return ledger.Account{}, fmt.Errorf("pgledger: account %v was added, but cannot be read: %v", id[0], e)
	}
	return a, nil
}

// AddAccounts opens accounts for keys, up to 10,000 in one transaction, and sets the
// account and an error of each; see [ledger.Ledger.AddAccounts]. ids and errs must be as
// long as accounts. After an error of the whole call that is none of those there, nor
// ledger.ErrUnavailable, the outcome is not known: look at the accounts before they are
// added again.
func (l *Ledger) AddAccounts(ctx context.Context, accounts []ledger.NewAccount, ids []ledger.AccountID, errs []error) error {
	if len(ids) != len(accounts) || len(errs) != len(accounts) {
		panic(fmt.Sprintf("pgledger: AddAccounts of %d with room for %d ids and %d errors", len(accounts), len(ids), len(errs)))
	}
	if len(accounts) > ledger.MaxAdd {
		return fmt.Errorf("pgledger: %d accounts in one call, at most %d are allowed", len(accounts), ledger.MaxAdd)
	}
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	a := adding{accounts: accounts, fresh: make([]ledger.AccountID, len(accounts)), mark: newToken(), created: l.o.Now().UnixMilli()}
	for i := range a.fresh { // the same at each try, so that it knows its own
		a.fresh[i] = ledger.AccountID(newToken())
	}
	inDoubt := false
	for range maxRounds {
		err = l.repeat(ctx, l.cold, "add accounts", &inDoubt, a.try)
		if sqlState(err) != uniqueViolation { // another node added one of them: look again
			break
		}
	}
	if err != nil {
		return err
	}
	copy(ids, a.ids)
	copy(errs, a.errs)
	return nil
}
