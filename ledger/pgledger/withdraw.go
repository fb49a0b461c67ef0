package pgledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/ledger"
)

// errSaltUsed reports a salt that made coins before: a fault of the caller, who has to
// take fresh random bits. No coin is given out.
var errSaltUsed = errors.New("pgledger: withdrawal refused: its salt was used before; use a fresh random salt for every request id")

// Withdraw debits n coins and makes live those that Options.Mint gives for salt, in one
// transaction: there are no withdrawals under way. One account's follow each other on each
// node. For the rest see
// [ledger.Ledger.Withdraw], also for its errors. After ledger.ErrUnavailable nothing
// happened; after any other error ask again with the same id.
func (l *Ledger) Withdraw(ctx context.Context, acc ledger.AccountID, id ledger.RequestID, salt core.Salt, n int) (core.Salt, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return core.Salt{}, err
	}
	defer leave()
	if n < 1 || n > ledger.MaxCall {
		return core.Salt{}, fmt.Errorf("pgledger: withdrawal of %d coins, want 1 to %d", n, ledger.MaxCall)
	}
	fps := l.o.Mint(make([]core.Fingerprint, 0, n), &salt, n)
	if len(fps) != n {
		panic(fmt.Sprintf("pgledger: Options.Mint gave %d fingerprints, want %d", len(fps), n))
	}
	w := withdrawal{account: acc, id: id, salt: salt, n: n, fps: fingerprints(fps), counter: int16(rand.IntN(counters))}
	if err := l.lockDebits(ctx, acc); err != nil {
		return core.Salt{}, err
	}
	defer l.debited.Unlock(acc)
	inDoubt := false
	for range maxRounds {
		number := l.withdrawn.newest(ctx)
		counts, newest := core.Salt{}, int64(0)
		err := l.repeat(ctx, l.cold, "withdraw", &inDoubt, func(ctx context.Context, c *pgx.Conn) error {
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) (err error) {
				counts, newest, err = w.run(ctx, tx, number)
				return err
			})
		})
		if err == nil && newest != number {
			l.withdrawn.saw(newest, number)
			continue
		}
		return counts, err
	}
	if inDoubt {
		return core.Salt{}, unknown("withdraw", manyRounds)
	}
	return core.Salt{}, ledger.ErrUnavailable
}

// lockDebits waits until no other withdrawal from an account is under way on this node. They
// would wait for its row, each on a connection, and an account with many would keep those
// from all others. As for a connection it waits no longer than a statement may take.
func (l *Ledger) lockDebits(ctx context.Context, id ledger.AccountID) error {
	bounded, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	err := l.debited.Lock(bounded, l.gate, id)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		l.events.overloads.Add(1)
		return ledger.ErrOverload
	}
	return err
}

// withdrawal is one Withdraw.
type withdrawal struct {
	account ledger.AccountID
	id      ledger.RequestID
	salt    core.Salt
	n       int
	fps     []byte // a uuid[] parameter
	counter int16  // that it counts on
}

// run does the withdrawal in a transaction and returns the salt that counts, unless there
// is a window newer than number: then it does nothing.
func (w *withdrawal) run(ctx context.Context, tx pgx.Tx, number int64) (counts core.Salt, newest int64, err error) {
	var granted, issued int64
	err = tx.QueryRow(ctx, `SELECT granted, issued FROM account WHERE id = $1 FOR UPDATE`, [16]byte(w.account)).Scan(&granted, &issued)
	if errors.Is(err, pgx.ErrNoRows) {
		return counts, 0, outcome{ledger.ErrNoAccount}
	}
	if err != nil {
		return counts, 0, err
	}
	// In a statement after the lock, which sees what its holders before did.
	var salt []byte
	var coins *int64
	var credited int64
	err = tx.QueryRow(ctx, earlierText[number%tables], [16]byte(w.account), [16]byte(w.id)).Scan(&newest, &salt, &coins, &credited)
	switch {
	case err != nil || newest != number:
		return counts, newest, err
	case coins != nil && *coins != int64(w.n):
		return counts, newest, outcome{ledger.ErrRequestMismatch}
	case coins != nil && len(salt) != len(counts):
		return counts, newest, outcome{fmt.Errorf("pgledger: the salt of a withdrawal has %d bytes", len(salt))}
	case coins != nil:
		return core.Salt(salt), newest, nil
	case granted-issued+credited < int64(w.n):
		return counts, newest, outcome{ledger.ErrInsufficient}
	}
	return w.salt, newest, w.write(ctx, tx, number)
}

// write books the withdrawal and makes its coins live. It looks for coins that were live
// before once its own are in: a coin that was live is then either in the way, or was
// consumed before and can be seen.
func (w *withdrawal) write(ctx context.Context, tx pgx.Tx, number int64) error {
	b := &pgx.Batch{}
	b.Queue(`UPDATE account SET issued = issued + $2 WHERE id = $1`, [16]byte(w.account), int64(w.n))
	b.Queue(recordText[number%tables], [16]byte(w.account), [16]byte(w.id), w.salt[:], int64(w.n))
	b.Queue(countIssuedSQL, w.counter, int64(w.n))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	params := [][]byte{w.fps}
	err := run(ctx, tx.Conn(), issueSQL, params, func([][]byte) {})
	if sqlState(err) == uniqueViolation {
		return outcome{errSaltUsed}
	}
	if err != nil {
		return err
	}
	used := int64(0)
	if err := run(ctx, tx.Conn(), usedSQL, params, func(row [][]byte) { used = toInt64(row[0]) }); err != nil {
		return err
	}
	if used > 0 {
		return outcome{errSaltUsed}
	}
	return nil
}
