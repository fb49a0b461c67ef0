package pgledger

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

func TestFate(t *testing.T) {
	t.Parallel()
	code := func(c string) *pgconn.PgError { return &pgconn.PgError{Severity: "ERROR", Code: c} }
	for _, test := range []struct {
		what string
		err  error
		fate fate
		lost bool
	}{
		{"a conflict", code("40001"), again, false},
		{"a conflict after a part was done", doubtful{code("40001")}, doubt, false},
		{"a lock that did not come", code("55P03"), again, false},
		{"too long idle in a transaction", &pgconn.PgError{Severity: "FATAL", Code: "25P03"}, again, true},
		{"too long idle", &pgconn.PgError{Severity: "FATAL", Code: "57P05"}, again, true},
		{"a wrong password", notSent{code("28P01")}, away, true},
		{"a damaged page", code("XX001"), refused, false},
		{"an internal error", code("XX000"), doubt, false},
		{"a shutdown", &pgconn.PgError{Severity: "FATAL", Code: "57P01"}, doubt, true},
		{"a standby", code("25006"), away, true},
		{"a standby after a part was done", doubtful{code("25006")}, doubt, true},
		{"a lost connection", io.ErrUnexpectedEOF, doubt, true},
		{"a duplicate", code("23505"), refused, false},
	} {
		if f, lost := fateOf(test.err), isLost(test.err); f != test.fate || lost != test.lost {
			t.Errorf("%s: fate %d, connection lost %t; want %d, %t", test.what, f, lost, test.fate, test.lost)
		}
	}
}

// A question whose answer is lost changed nothing, and says so.
func TestAskLost(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: time.Millisecond})
	lost := func(context.Context, *pgx.Conn) error { return io.ErrUnexpectedEOF }
	if err := n.ask(t.Context(), "ask", lost); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a question: %v", err)
	}
	if err := n.do(t.Context(), n.cold, "change", lost); err == nil || errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("a change: %v", err)
	}
}

// A warning of before the work says nothing about it.
func TestWarnedBefore(t *testing.T) {
	t.Parallel()
	n := newNode(t, pgtest.Shared(t), Options{Patience: time.Millisecond})
	config := n.cold.Config()
	setUp := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		noteWarning(c.PgConn(), &pgconn.Notice{Code: "01000", Message: "database has a collation version mismatch"})
		return setUp(ctx, c)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := n.do(t.Context(), pool, "work", func(context.Context, *pgx.Conn) error { return nil }); err != nil {
		t.Error(err)
	}
}
