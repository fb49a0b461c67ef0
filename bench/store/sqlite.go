package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"ecoin/core"
)

// sqliteEngine is SQLite with a write-ahead log that is synced at each commit. Spent records
// would be forgotten by another program.
type sqliteEngine struct {
	*group
	db                                 *sql.DB
	conn                               *sql.Conn // all there is
	begin, commitStmt                  *sql.Stmt
	del, insert, spent, credit, amount *sql.Stmt
}

const sqliteSchema = `
CREATE TABLE live (fp BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE spent (fp BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE credit (account INTEGER PRIMARY KEY, amount INTEGER NOT NULL);`

func openSQLite(dir string) (Engine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "coins.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-262144)&_pragma=wal_autocheckpoint(10000)")
	if err != nil {
		return nil, err
	}
	e := &sqliteEngine{db: db}
	ctx := context.Background()
	if e.conn, err = db.Conn(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if _, err := e.conn.ExecContext(ctx, sqliteSchema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	for stmt, text := range map[**sql.Stmt]string{
		&e.begin: "BEGIN IMMEDIATE", &e.commitStmt: "COMMIT",
		&e.del: "DELETE FROM live WHERE fp = ?", &e.insert: "INSERT INTO spent VALUES (?, ?)", &e.spent: "SELECT record FROM spent WHERE fp = ?",
		&e.credit: "INSERT INTO credit VALUES (?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
		&e.amount: "SELECT amount FROM credit WHERE account = ?",
	} {
		if *stmt, err = e.conn.PrepareContext(ctx, text); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	e.group = newGroup(e.commit)
	return e, nil
}

// Load inserts in order, in one transaction, 500 coins a statement.
func (e *sqliteEngine) Load(coins iter.Seq[core.Fingerprint]) error {
	const rows = 500
	ctx := context.Background()
	tx, err := e.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	many, err := tx.PrepareContext(ctx, "INSERT INTO live VALUES (?)"+strings.Repeat(", (?)", rows-1))
	if err != nil {
		return err
	}
	var args []any
	for fp := range coins {
		if args = append(args, fp[:]); len(args) < rows {
			continue
		}
		if _, err := many.ExecContext(ctx, args...); err != nil {
			return err
		}
		args = args[:0]
	}
	for _, a := range args {
		if _, err := tx.ExecContext(ctx, "INSERT INTO live VALUES (?)", a); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = e.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (e *sqliteEngine) LiveBytes() (n int64, err error) {
	err = e.conn.QueryRowContext(context.Background(), "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&n)
	return n, err
}

func (e *sqliteEngine) commit(items []item) (err error) {
	ctx := context.Background()
	if _, err := e.begin.ExecContext(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, e2 := e.conn.ExecContext(ctx, "ROLLBACK")
			err = errors.Join(err, e2)
		}
	}()
	var credits [Accounts]int64
	for i := range items {
		it := &items[i]
		res, err := e.del.ExecContext(ctx, it.fp[:])
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			var b []byte
			if err := e.spent.QueryRowContext(ctx, it.fp[:]).Scan(&b); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			if *it.status, err = spentStatus(b, it.account, &it.fp); err != nil {
				return err
			}
			continue
		}
		if _, err := e.insert.ExecContext(ctx, it.fp[:], record(it.account, &it.fp)); err != nil {
			return err
		}
		*it.status = core.StatusOK
		credits[it.account]++
	}
	for account, n := range credits {
		if n == 0 {
			continue
		}
		if _, err := e.credit.ExecContext(ctx, account, n); err != nil {
			return err
		}
	}
	_, err = e.commitStmt.ExecContext(ctx)
	return err
}

func (e *sqliteEngine) Credit(account uint16) (sum int64, err error) {
	err = e.amount.QueryRowContext(context.Background(), account).Scan(&sum)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return sum, err
}

func (e *sqliteEngine) Close() error {
	e.group.close()
	return errors.Join(e.conn.Close(), e.db.Close())
}
