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

	mu      sync.Mutex // held while the database is asked, so that one call asks for all
	number  int64      // 0: not known
	started int64      // unix ms
	waitFor time.Time  // after a failed turn: until then the window stays
}

// newest returns the number of the newest window, after it began another if it is time.
func (w *windows) newest(ctx context.Context) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.number == 0 {
		if err := w.loadLocked(ctx); err != nil {
			return 0, err
		}
	}
	now := w.l.o.Now().UnixMilli()
	if now < w.started+w.width || time.Now().Before(w.waitFor) {
		return w.number, nil
	}
	if err := w.turnLocked(ctx, now); err != nil {
		// The records of two windows are kept longer, which hurts nobody.
		w.l.o.Logger.Warn("pgledger: no new window of records yet", "kind", kindTable[w.kind], "err", err)
		w.waitFor = time.Now().Add(time.Second)
	}
	return w.number, nil
}

// saw takes up the number of the newest window that a statement found.
func (w *windows) saw(number int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number > w.number {
		w.number = 0
	}
}

func (w *windows) loadLocked(ctx context.Context) error {
	return w.l.do(ctx, w.l.cold, "find the newest window", func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT number, started FROM era WHERE kind = $1`, w.kind).Scan(&w.number, &w.started)
	})
}

// turnLocked begins the next window, unless another node did: it empties that window's
// table, which nobody has used for a window, and then gives it out, both under the lock
// of the row that gives it out.
func (w *windows) turnLocked(ctx context.Context, now int64) error {
	return w.l.do(ctx, w.l.cold, "begin a window", func(ctx context.Context, c *pgx.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			var number, started int64
			err := tx.QueryRow(ctx, `SELECT number, started FROM era WHERE kind = $1 FOR UPDATE`, w.kind).Scan(&number, &started)
			if err != nil {
				return err
			}
			if now >= started+w.width {
				number, started = number+1, now
				if _, err := tx.Exec(ctx, fmt.Sprintf(`TRUNCATE TABLE %s%d`, kindTable[w.kind], number%tables)); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `UPDATE era SET number = $2, started = $3 WHERE kind = $1`, w.kind, number, started); err != nil {
					return err
				}
			}
			w.number, w.started = number, started
			return nil
		})
	})
}
