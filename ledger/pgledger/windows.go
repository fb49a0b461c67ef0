package pgledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// tables is how many tables the records of a kind go through in turn: that of the newest
// window, that of the one before, and an empty one.
const tables = 3

// The kinds of windowed records, as in the table era.
const (
	kindSpent      = 0
	kindWithdrawal = 1
)

var kindTable = [...]string{kindSpent: "spent_", kindWithdrawal: "withdrawal_"}

// windows knows the newest window of one kind of records. A window begins with the first
// call after the one before is a width old, on whichever node that is; then the records
// of the one before the last are no longer looked at, and their table is emptied when its
// turn comes. So a record is found for at least a width. Windows are numbered, and a clock
// that goes backwards begins none.
type windows struct {
	l     *Ledger
	kind  int16
	width int64 // ms

	mu      sync.Mutex // guards what follows; held for no wait
	number  int64      // as far as this node knows: statements find out whether it is so
	started int64      // unix ms
	waitFor time.Time  // until then the window stays: a turn is under way, or failed
}

// load finds the newest window.
func (w *windows) load(ctx context.Context) error {
	var number, started int64
	err := w.l.ask(ctx, "find the newest window", func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT number, started FROM era WHERE kind = $1`, w.kind).Scan(&number, &started)
	})
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.number, w.started = number, started
	}
	return err
}

// turnLimit is how long a turn may keep all nodes from going on.
const turnLimit = time.Second

// newest returns the number of the newest window, after it began another if it is time.
// While one call does that the others go on in the window before.
func (w *windows) newest(ctx context.Context) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.l.o.Now().UnixMilli()
	if now < w.started+w.width || time.Now().Before(w.waitFor) {
		return w.number
	}
	w.waitFor = time.Now().Add(turnLimit + w.l.o.Timeout)
	w.mu.Unlock()
	number, started, err := w.turn(ctx, now)
	w.mu.Lock()
	if err != nil {
		// The records of two windows are kept longer, which hurts nobody.
		w.l.o.Logger.Warn("pgledger: no new window of records yet", "kind", kindTable[w.kind], "err", err)
		w.waitFor = time.Now().Add(turnLimit)
	} else {
		w.number, w.started, w.waitFor = number, started, time.Time{}
	}
	return w.number
}

// saw takes up the number of the newest window that a statement found, which was made for
// another one. That one is newer, unless the database lost a turn.
func (w *windows) saw(found, madeFor int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.number == madeFor && found > 0 {
		w.number, w.started = found, w.l.o.Now().UnixMilli() // or before: then others turn
	}
}

// turn begins the next window, unless another node did: it empties that window's table,
// which nobody has used for a window, and then gives it out, both under the lock of the
// row that gives it out. It returns the newest window once that is certain.
//
// Whoever reads all tables for long, an audit or a dump, keeps the table from being emptied.
// The turn must not wait for that, because others, withdrawals among them, would wait behind
// it. So it is tried once, in little time, and later again.
func (w *windows) turn(ctx context.Context, now int64) (number, started int64, err error) {
	err = w.l.try(ctx, w.l.cold, func(ctx context.Context, c *pgx.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '100ms'`); err != nil {
				return err
			}
			err := tx.QueryRow(ctx, `SELECT number, started FROM era WHERE kind = $1 FOR UPDATE`, w.kind).Scan(&number, &started)
			if err != nil || now < started+w.width {
				return err
			}
			number, started = number+1, now
			if _, err := tx.Exec(ctx, fmt.Sprintf(`TRUNCATE TABLE %s%d`, kindTable[w.kind], number%tables)); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `UPDATE era SET number = $2, started = $3 WHERE kind = $1`, w.kind, number, started)
			return err
		})
	})
	return number, started, err
}
