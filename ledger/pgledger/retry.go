package pgledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/ledger"
)

// fate is what an error says about the work that it ended.
type fate uint8

const (
	refused fate = iota // the database said no, for good: nothing happened
	again               // nothing happened, and the same may go through now
	away                // nothing happened; the database cannot be reached or is not for writing
	doubt               // the connection was lost: it may have happened
)

// fateOf classifies an error by SQLSTATE (PostgreSQL, appendix A).
func fateOf(err error) fate {
	var e *pgconn.PgError
	if errors.As(err, new(doubtful)) {
		return doubt
	}
	if errors.As(err, new(notSent)) { // also a wrong password, which somebody may mend
		return away
	}
	if !errors.As(err, &e) {
		// Also where pgconn.SafeToRetry says that nothing was sent: when a connection breaks
		// before the answer to a commit, pgx reports that it was closed already.
		return doubt
	}
	switch e.Code {
	case "40001", "40P01", "55P03", "57014", // serialization, deadlock, lock not available, statement timeout
		"25P03", "57P05": // a session that was idle too long, in a transaction or without
		return again
	case "57P01", "57P02", "57P03", // shutdown, crash, starting up
		"25006",                   // a standby, or a primary that became one
		"53200", "53300", "53400": // memory, connections, limits
		if e.Code == "57P01" || e.Code == "57P02" {
			return doubt // the commit may have been done
		}
		return away
	case "40003": // completion unknown
		return doubt
	case "XX001", "XX002": // damaged data or index: the statement was undone
		return refused
	}
	if e.Code[:2] == "08" || e.Code[:2] == "58" || e.Code[:2] == "XX" {
		return doubt
	}
	return refused
}

// sqlState returns the SQLSTATE of err, "" if it is not from the database.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

const (
	uniqueViolation = "23505"
	duplicateTable  = "42P07"
	duplicateType   = "42710"
	diskFull        = "53100"
)

// doubtful is the error of work of which a part was done before.
type doubtful struct{ error }

func (d doubtful) Unwrap() error { return d.error }

// outcome is what work found out for certain: no reason to try again.
type outcome struct{ error }

func (o outcome) Unwrap() error { return o.error }

// ask does what do does for work that only reads: nothing ever happened.
func (l *Ledger) ask(ctx context.Context, what string, work func(context.Context, *pgx.Conn) error) error {
	return l.repeat(ctx, l.cold, what, nil, work)
}

// do runs work on a connection of pool until it goes through, is refused, or patience
// ends. Work must be the same when it is done twice, because its first try may have been
// done without an answer. Errors: the error of an outcome, ledger.ErrUnavailable,
// ledger.ErrOverload, ledger.ErrLowDisk and ctx.Err(), which all mean that nothing
// happened; any other, which is none of these, after which that is not known.
func (l *Ledger) do(ctx context.Context, pool *pgxpool.Pool, what string, work func(context.Context, *pgx.Conn) error) error {
	return l.repeat(ctx, pool, what, new(bool), work)
}

// repeat is do for work that takes several rounds. All of them have the same inDoubt, which
// is set once a try may have been done: what a later round meets does not undo that. It is
// nil for work that only reads.
func (l *Ledger) repeat(ctx context.Context, pool *pgxpool.Pool, what string, inDoubt *bool, work func(context.Context, *pgx.Conn) error) error {
	deadline := time.Now().Add(l.o.Patience)
	maybeDone := func() bool { return inDoubt != nil && *inDoubt }
	for try := 0; ; try++ {
		err := l.try(ctx, pool, work)
		var certain outcome
		if err == nil {
			return nil
		} else if errors.As(err, &certain) {
			return certain.error
		} else if errors.Is(err, ledger.ErrOverload) && !maybeDone() {
			return ledger.ErrOverload
		}
		f := fateOf(err)
		if f == doubt && inDoubt != nil {
			*inDoubt = true
		}
		if f == refused {
			if sqlState(err) == diskFull && !maybeDone() {
				l.events.lowDisk.Add(1)
				return ledger.ErrLowDisk
			}
			return fmt.Errorf("pgledger: %s: %w", what, err)
		}
		l.events.again.Add(1)
		wait := min(time.Duration(1+rand.IntN(1<<min(try, 7)))*2*time.Millisecond, 200*time.Millisecond)
		late := time.Now().Add(wait).After(deadline) || l.breaker.openFor(time.Now()) > l.o.Patience
		if ctx.Err() != nil || late || f != again && l.gate.IsClosing() {
			switch {
			case maybeDone():
				return unknown(what, err)
			case ctx.Err() != nil:
				return ctx.Err()
			}
			l.events.unavailable.Add(1)
			return fmt.Errorf("%w (%s: %w)", ledger.ErrUnavailable, what, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// unknown returns the error of work that may have been done. It does not wrap what ended the
// last try, which speaks of that try alone: callers would read it for the whole work.
func unknown(what string, why any) error {
	return fmt.Errorf("pgledger: %s: its outcome is not known: %v", what, why)
}

// try runs work once.
func (l *Ledger) try(ctx context.Context, pool *pgxpool.Pool, work func(context.Context, *pgx.Conn) error) error {
	if cause := l.breaker.allow(time.Now()); cause != nil {
		return notSent{fmt.Errorf("not tried just now, because the last tries failed: %v", cause)}
	}
	// Not ctx itself: a caller that leaves must not break the connection under a commit.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.Timeout)
	defer cancel()
	c, err := acquire(bounded, ctx, pool)
	if err != nil {
		if !errors.Is(err, ledger.ErrOverload) && ctx.Err() == nil {
			l.noteTry(false, err)
		}
		return err
	}
	defer c.Release()
	forgetWarning(c.Conn().PgConn())
	if err = work(bounded, c.Conn()); err == nil {
		err = checkWarning(c.Conn().PgConn())
	}
	lost := isLost(err)
	if lost { // a connection in an unknown state, or to a host that is not the primary any more
		_ = c.Conn().Close(bounded)
		// At once: pgx would wait 15 s for a last word of the server, with the place in the pool.
		_ = c.Conn().PgConn().Conn().Close()
		for _, p := range l.pools() { // the others lead to the same host, where reads may still seem to work
			p.Reset()
		}
	}
	l.noteTry(!lost, err)
	return err
}

// isLost reports whether the connection of work that failed is of no use any more. After
// an error that the database reported it is, unless that is no place to write to.
func isLost(err error) bool {
	var after doubtful
	if errors.As(err, &after) {
		err = after.error
	}
	if err == nil || errors.As(err, new(outcome)) {
		return false
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) || fateOf(err) == away {
		return true
	}
	severity := cmp.Or(e.SeverityUnlocalized, e.Severity)
	return severity == "FATAL" || severity == "PANIC"
}

// acquire waits for a connection as long as bounded and ctx last, and returns
// ledger.ErrOverload when all are in use for all that time.
func acquire(bounded, ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	wait, cancel := context.WithCancel(bounded)
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	c, err := pool.Acquire(wait)
	if err == nil {
		return c, nil
	}
	if s := pool.Stat(); wait.Err() != nil && s.AcquiredConns() == s.MaxConns() {
		return nil, ledger.ErrOverload
	}
	return nil, notSent{err}
}

// notSent is the error of work that never began.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

func (l *Ledger) noteTry(ok bool, err error) {
	if ok {
		err = nil
	}
	if !l.breaker.note(err, time.Now()) {
		return
	}
	if ok {
		l.o.Logger.Info("pgledger: the database answers again")
		return
	}
	l.o.Logger.Error("pgledger: the database does not answer; calls are refused until it does", "err", err)
}
