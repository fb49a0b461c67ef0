package pgledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
)

// execute runs SQL behind the ledger's back.
func execute(t testing.TB, dsn, sql string, args ...any) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// A node that finds another making the tables waits for it, longer than for a statement.
func TestOpenWaitsForTables(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Shared(t).NewDatabase(t)
	other, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx)
	for _, sql := range []string{`CREATE TABLE migration (version bigint PRIMARY KEY, name text NOT NULL)`, `BEGIN`, `INSERT INTO migration VALUES (1, 'under way')`} {
		if _, err := other.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	opened := make(chan error, 1)
	go func() {
		l, err := pgledger.Open(ctx, dsn, pgledger.Options{Mint: benchMint, NoSync: true, Logger: quiet, Patience: time.Second, Timeout: time.Second})
		if err == nil {
			err = l.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(3 * time.Second):
	}
	if _, err := other.Exec(ctx, `ROLLBACK`); err != nil { // it failed: the tables are still to be made
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dsn := pgtest.Shared(t).NewDatabase(t)
	o := pgledger.Options{Mint: benchMint, NoSync: true, Logger: quiet, Patience: time.Second}

	unsafe := o
	unsafe.NoSync = false
	if _, err := pgledger.Open(ctx, dsn, unsafe); err == nil || !strings.Contains(err.Error(), "fsync = off") {
		t.Errorf("a database without fsync: %v", err)
	}
	if _, err := pgledger.Probe(ctx, dsn, unsafe); err == nil || !strings.Contains(err.Error(), "fsync = off") {
		t.Errorf("a look at a database without fsync: %v", err)
	}
	if got, err := pgledger.Probe(ctx, dsn, o); err != nil || !strings.Contains(got, "PostgreSQL") || !strings.Contains(got, "without tables") {
		t.Errorf("a look at an empty database: %q, %v", got, err)
	}

	// Many nodes start at once on an empty database.
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			l, err := pgledger.Open(ctx, dsn, o)
			if err != nil {
				t.Errorf("open together with others: %v", err)
				return
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := pgledger.Probe(ctx, dsn, o); err != nil || !strings.Contains(got, "tables of version 1, opened 6 times") {
		t.Errorf("a look at a ledger: %q, %v", got, err)
	}

	other := o
	other.Mint = func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
		for range n {
			sum := sha256.Sum256(salt[:])
			dst = append(dst, core.Fingerprint(sum[:16]))
		}
		return dst
	}
	for what, open := range map[string]func() error{
		"open": func() error { _, err := pgledger.Open(ctx, dsn, other); return err },
		"look": func() error { _, err := pgledger.Probe(ctx, dsn, other); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), "other keys") {
			t.Errorf("%s with other keys: %v", what, err)
		}
	}
	execute(t, dsn, `INSERT INTO migration (version, name) VALUES (1000, 'later')`)
	if _, err := pgledger.Open(ctx, dsn, o); err == nil || !strings.Contains(err.Error(), "version 1000") {
		t.Errorf("tables of a newer version: %v", err)
	}

	for _, bad := range []string{"", "postgres://", "http://x", "postgres://u:secret-word@h:port/db", "host=h port=secret-word password=secret-word", "postgres://u:secret-word@127.0.0.1:1/db"} {
		_, err := pgledger.Open(ctx, bad, o)
		if err == nil {
			t.Errorf("%q was opened", bad)
		} else if strings.Contains(err.Error(), "secret-word") {
			t.Errorf("the error for a bad DSN shows its password: %v", err)
		}
	}
	if _, err := pgledger.Open(ctx, "postgres://u:p@127.0.0.1:1/db", o); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a server that is not there: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := pgledger.Open(ended, dsn, o); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of ctx: %v", err)
	}
}

func TestOptions(t *testing.T) {
	if err := (pgledger.Options{Mint: benchMint}).Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, change := range map[string]func(*pgledger.Options){
		"Mint":             func(o *pgledger.Options) { o.Mint = nil },
		"MaxQueued":        func(o *pgledger.Options) { o.MaxQueued = ledger.MaxCall - 1 },
		"Statements":       func(o *pgledger.Options) { o.Statements = -1 },
		"Statements ":      func(o *pgledger.Options) { o.Statements = 1025 },
		"BatchCoins":       func(o *pgledger.Options) { o.BatchCoins = ledger.MaxCall + 1 },
		"Conns":            func(o *pgledger.Options) { o.Conns = 1 },
		"Patience":         func(o *pgledger.Options) { o.Patience = -1 },
		"Timeout":          func(o *pgledger.Options) { o.Timeout = -1 },
		"SpentWindow":      func(o *pgledger.Options) { o.SpentWindow = time.Millisecond },
		"SpentWindow ":     func(o *pgledger.Options) { o.SpentWindow = 1500 * time.Millisecond },
		"WithdrawalWindow": func(o *pgledger.Options) { o.WithdrawalWindow = 11 * 365 * 24 * time.Hour },
	} {
		o := pgledger.Options{Mint: benchMint}
		change(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("a bad %s: %v", name, err)
		}
	}
}
