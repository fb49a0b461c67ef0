package pgledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/ledger"
)

// columns are what scan reads of an account and the sum of its tallies, of one moment.
const columns = `a.id, a.name, a.role, a.state, a.pin, a.old_pin, a.created, a.granted, a.issued, a.change,
  COALESCE(t.redeemed, 0)::bigint, COALESCE(t.returned, 0)::bigint, COALESCE(t.refunded, 0)::bigint`

const accountSQL = `SELECT ` + columns + ` FROM account AS a LEFT JOIN (
  SELECT account, sum(redeemed) AS redeemed, sum(returned) AS returned, sum(refunded_live + refunded_returned) AS refunded
  FROM tally WHERE account = $1::uuid GROUP BY account
) AS t ON t.account = a.id WHERE a.id = $1::uuid`

// token is random, and names one change for good: a repeat of a change that finds its own
// token in the account knows that it was done.
type token [16]byte

func newToken() (t token) {
	rand.Read(t[:])
	return t
}

// row is an account as the database has it.
type row struct {
	ledger.Account
	change token
}

func scan(r pgx.Row) (a row, err error) {
	var id [16]byte
	var role, state int16
	var pin, oldPin []byte
	var created int64
	var change *[16]byte
	err = r.Scan(&id, &a.Name, &role, &state, &pin, &oldPin, &created, &a.Granted, &a.Issued, &change,
		&a.Redeemed, &a.Returned, &a.Refunded)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, outcome{ledger.ErrNoAccount}
	}
	if err != nil {
		return a, err
	}
	if len(pin) != len(a.Pin) || len(oldPin) != 0 && len(oldPin) != len(a.OldPin) {
		return a, outcome{fmt.Errorf("pgledger: account %v has a damaged pin", ledger.AccountID(id))}
	}
	a.ID, a.Role, a.State = id, ledger.Role(role), ledger.State(state)
	copy(a.Pin[:], pin)
	copy(a.OldPin[:], oldPin)
	a.Created = time.UnixMilli(created)
	if change != nil {
		a.change = *change
	}
	return a, nil
}

// query is what a connection and a transaction have in common.
type query interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func read(ctx context.Context, q query, id ledger.AccountID) (row, error) {
	return scan(q.QueryRow(ctx, accountSQL, [16]byte(id)))
}

// lock makes other debits and changes of an account wait for the end of the transaction.
// What is read after it sees what those did that had the lock before.
func lock(ctx context.Context, tx pgx.Tx, id ledger.AccountID) error {
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM account WHERE id = $1 FOR UPDATE`, [16]byte(id)).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return outcome{ledger.ErrNoAccount}
	}
	return err
}

// Account returns an account as it is now, or ledger.ErrNoAccount.
func (l *Ledger) Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error) {
	return l.find(ctx, "read an account", func(ctx context.Context, c *pgx.Conn) (row, error) { return read(ctx, c, id) })
}

func (l *Ledger) find(ctx context.Context, what string, get func(context.Context, *pgx.Conn) (row, error)) (ledger.Account, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return ledger.Account{}, err
	}
	defer leave()
	var a row
	err = l.ask(ctx, what, func(ctx context.Context, c *pgx.Conn) (err error) {
		a, err = get(ctx, c)
		return err
	})
	if err != nil {
		return ledger.Account{}, err
	}
	return a.Account, nil
}

// ClientByPin returns whose a key is, also of a removed or suspended account, or
// ledger.ErrNoAccount.
func (l *Ledger) ClientByPin(ctx context.Context, pin ledger.Pin) (ledger.Client, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return ledger.Client{}, err
	}
	defer leave()
	var client ledger.Client
	err = l.repeat(ctx, l.lookups, "look for a key", nil, func(ctx context.Context, c *pgx.Conn) error {
		var id [16]byte
		var role, state int16
		err := c.QueryRow(ctx, `SELECT a.id, a.name, a.role, a.state FROM pin AS p JOIN account AS a ON a.id = p.account WHERE p.pin = $1`,
			pin[:]).Scan(&id, &client.Name, &role, &state)
		client.ID, client.Role, client.State = id, ledger.Role(role), ledger.State(state)
		if errors.Is(err, pgx.ErrNoRows) {
			return outcome{ledger.ErrNoAccount}
		}
		return err
	})
	if err != nil {
		return ledger.Client{}, err
	}
	return client, nil
}

// AccountByName returns the account of a name that is not removed, or ledger.ErrNoAccount.
func (l *Ledger) AccountByName(ctx context.Context, name string) (ledger.Account, error) {
	return l.find(ctx, "look for a name", func(ctx context.Context, c *pgx.Conn) (row, error) {
		var id [16]byte
		err := c.QueryRow(ctx, `SELECT account FROM name WHERE name = $1`, name).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return row{}, outcome{ledger.ErrNoAccount}
		}
		if err != nil {
			return row{}, err
		}
		return read(ctx, c, id)
	})
}

// Accounts calls visit for every account, removed ones too, in order of id, all as they
// were at one moment. It stops at visit's first error and returns it.
func (l *Ledger) Accounts(ctx context.Context, visit func(ledger.Account) error) error {
	leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	visited := false
	return l.snapshot(ctx, "list the accounts", func(ctx context.Context, tx pgx.Tx) error {
		if visited {
			return outcome{fmt.Errorf("pgledger: the list of accounts broke off: %w", ledger.ErrUnavailable)}
		}
		rows, err := tx.Query(ctx, `SELECT `+columns+` FROM account AS a LEFT JOIN (
  SELECT account, sum(redeemed) AS redeemed, sum(returned) AS returned, sum(refunded_live + refunded_returned) AS refunded FROM tally GROUP BY account
) AS t ON t.account = a.id ORDER BY a.id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scan(rows)
			if err != nil {
				return err
			}
			visited = true
			if err := visit(a.Account); err != nil {
				return outcome{err}
			}
		}
		return rows.Err()
	})
}

// wholeTables lets a transaction read large tables whole, which the plans for single coins
// avoid. It passes over settings that the engine does not have.
const wholeTables = `SELECT set_config(name, 'on', true) FROM pg_settings WHERE name IN ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin')`

// snapshot runs work on the database as of one moment. It may take any time.
func (l *Ledger) snapshot(ctx context.Context, what string, work func(context.Context, pgx.Tx) error) error {
	return l.ask(ctx, what, func(_ context.Context, c *pgx.Conn) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stop := context.AfterFunc(l.closing, cancel)
		defer stop()
		o := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
		err := pgx.BeginTxFunc(ctx, c, o, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, wholeTables); err != nil {
				return err
			}
			return work(ctx, tx)
		})
		switch {
		case l.gate.IsClosing() && ctx.Err() != nil:
			return outcome{ledger.ErrClosed}
		case ctx.Err() != nil:
			return outcome{ctx.Err()}
		}
		return err
	})
}

// Grant adds amount coins to an account's credit, or takes them if it is negative; see
// [ledger.Ledger.Grant], also for its errors. After ledger.ErrUnavailable nothing
// happened; after any other error look at the account before it is repeated.
func (l *Ledger) Grant(ctx context.Context, id ledger.AccountID, amount int64) (ledger.Account, error) {
	if amount == 0 || amount < -ledger.MaxGrant || amount > ledger.MaxGrant {
		return ledger.Account{}, fmt.Errorf("pgledger: grant of %d coins, want 1 to %d, or as many less than 0", amount, int64(ledger.MaxGrant))
	}
	return l.change(ctx, "grant", id, func(ctx context.Context, tx pgx.Tx, a row) error {
		if amount < 0 && a.Balance()+amount < 0 {
			return outcome{ledger.ErrInsufficient}
		}
		granted := a.Granted + amount // each at most MaxGrant: no overflow
		if granted < -ledger.MaxGrant || granted > ledger.MaxGrant {
			return outcome{ledger.ErrGrantLimit}
		}
		_, err := tx.Exec(ctx, `UPDATE account SET granted = $2 WHERE id = $1`, [16]byte(id), granted)
		return err
	})
}

// change does work on an account that is locked, marks it, and returns the account then.
// When the answer to its commit is lost, the mark tells the repeat that it was done; if
// others changed the account in between, that cannot be told any more and is an error.
func (l *Ledger) change(ctx context.Context, what string, id ledger.AccountID, work func(context.Context, pgx.Tx, row) error) (ledger.Account, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return ledger.Account{}, err
	}
	defer leave()
	mark := newToken()
	var before *token // what the account had before the first try that may have been done
	var after row
	err = l.do(ctx, l.cold, what, func(ctx context.Context, c *pgx.Conn) error {
		var seen *token
		err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if err := lock(ctx, tx, id); err != nil {
				return err
			}
			a, err := read(ctx, tx, id)
			switch {
			case err != nil:
				return err
			case a.change == mark:
				after = a
				return nil
			case before != nil && a.change != *before:
				return outcome{unknown(what, changedByOthers)}
			}
			seen = &a.change
			if err := work(ctx, tx, a); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE account SET change = $2 WHERE id = $1`, [16]byte(id), [16]byte(mark)); err != nil {
				return err
			}
			after, err = read(ctx, tx, id)
			return err
		})
		if err == nil {
			err = checkWarning(c.PgConn())
		}
		if before == nil && err != nil && fateOf(err) == doubt {
			before = seen
		}
		return err
	})
	if err != nil {
		return ledger.Account{}, err
	}
	return after.Account, nil
}

// changedByOthers is why the repeat of a change cannot tell whether it was done before.
const changedByOthers = "the account was changed by others meanwhile"
