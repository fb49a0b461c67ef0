package pgledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ecoin/ledger"
)

// noteChange tells the other nodes, with the transaction, that the state of an account is
// another or a pin of it was dropped. The row that numbers changes is locked until the
// commit, so they become visible in order of their numbers.
func noteChange(ctx context.Context, tx pgx.Tx, id ledger.AccountID, dropped []byte) error {
	var number int64
	if err := tx.QueryRow(ctx, `UPDATE ledger SET trust = trust + 1 WHERE one = 1 RETURNING trust`).Scan(&number); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO trust_change (number, account, dropped) VALUES ($1, $2, $3)`, number, [16]byte(id), dropped)
	return err
}

// changesAtOnce limits the changes that TrustChanges returns.
const changesAtOnce = 1000

// TrustChanges returns the changes after number after, of all nodes and in order, and the
// number of the last; at most 1000, of which the caller asks for more with that number.
// after < 0 returns the number of the newest change alone.
func (l *Ledger) TrustChanges(ctx context.Context, after int64) (changes []ledger.TrustChange, last int64, err error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	err = l.repeat(ctx, l.lookups, "look for changes of accounts", nil, func(ctx context.Context, c *pgx.Conn) error {
		changes, last = nil, after
		if after < 0 {
			return c.QueryRow(ctx, `SELECT trust FROM ledger WHERE one = 1`).Scan(&last)
		}
		rows, err := c.Query(ctx, `SELECT number, account, dropped FROM trust_change WHERE number > $1 ORDER BY number LIMIT $2`, after, changesAtOnce)
		if err != nil {
			return err
		}
		var id [16]byte
		var dropped []byte
		_, err = pgx.ForEachRow(rows, []any{&last, &id, &dropped}, func() error {
			t := ledger.TrustChange{Account: id}
			if dropped != nil && copy(t.Dropped[:], dropped) != len(t.Dropped) {
				return outcome{fmt.Errorf("pgledger: change %d has a damaged pin", last)}
			}
			changes = append(changes, t)
			return nil
		})
		return err
	})
	return changes, last, err
}
