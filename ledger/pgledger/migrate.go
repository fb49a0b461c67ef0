package pgledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Migrations are the versions of the tables: files NNNN_name.sql, applied in order, each
// in one transaction with the note that it was. Several nodes may start at once.
//
//go:embed migrations/*.sql
var migrations embed.FS

// makeTables is how long making the tables may take at least, whatever one statement may: a
// distributed engine needs seconds for each, and other nodes may be at it.
const makeTables = time.Minute

// migrate brings the tables to the newest version.
func (l *Ledger) migrate(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(l.o.Timeout, makeTables))
	defer cancel()
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return outcome{err}
	}
	version, err := tablesVersion(ctx, c)
	if sqlState(err) == undefinedTable {
		_, err = c.Exec(ctx, `CREATE TABLE IF NOT EXISTS migration (version bigint PRIMARY KEY, name text NOT NULL)`)
		switch sqlState(err) {
		case uniqueViolation, duplicateTable, duplicateType: // another node made it at the same time
			err = nil
		}
	}
	if err != nil || version == len(files) { // then the node needs no right to make tables
		return err
	}
	for i, file := range files {
		name := strings.TrimPrefix(file, "migrations/")
		version, err := strconv.Atoi(name[:4])
		if err != nil || version != i+1 {
			return outcome{fmt.Errorf("pgledger: migration %s is not number %d", name, i+1)}
		}
		text, err := migrations.ReadFile(file)
		if err != nil {
			return outcome{err}
		}
		if err := apply(ctx, c, version, name, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// existing is migrate where there is nothing to be made.
func existing(ctx context.Context, c *pgx.Conn) error {
	version, err := tablesVersion(ctx, c)
	if sqlState(err) == undefinedTable {
		return outcome{errors.New("pgledger: the database has no ledger: name that of the bank")}
	}
	if files, _ := fs.Glob(migrations, "migrations/*.sql"); err == nil && version < len(files) {
		return outcome{fmt.Errorf("pgledger: the tables are of version %d, this program's of version %d: start a bank with it first", version, len(files))}
	}
	return err
}

// tablesVersion returns the version of the tables. One that this program does not know is
// an error, and so is a database without any.
func tablesVersion(ctx context.Context, c *pgx.Conn) (version int, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, outcome{err}
	}
	if err := c.QueryRow(ctx, `SELECT COALESCE(max(version), 0)::bigint FROM migration`).Scan(&version); err != nil {
		return 0, err
	}
	if version > len(files) {
		return 0, outcome{fmt.Errorf("pgledger: the tables are of version %d, this program knows up to %d: use a newer one", version, len(files))}
	}
	return version, nil
}

// apply applies one migration unless that was done. The row of its version makes nodes
// wait for each other: the second finds it there.
func apply(ctx context.Context, c *pgx.Conn, version int, name, text string) error {
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = 0"); err != nil { // ctx bounds the wait for the other node
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO migration (version, name) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING`, version, name)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, text) // many statements: the simple protocol
		return err
	})
}
