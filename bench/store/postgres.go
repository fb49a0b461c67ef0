package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
)

// PostgresClient is one connection to PostgreSQL.
type PostgresClient struct {
	conn *pgx.Conn
	slot int // of the credit rows, this connection's own: nobody waits for a row's lock
}

// PostgresSlots is how many connections have rows of their own for credits.
const PostgresSlots = 256

// Spent records have no index but their key; another program would forget them.
const postgresSchema = `
CREATE TABLE coin (fp uuid NOT NULL);
CREATE TABLE spent (fp uuid PRIMARY KEY, account smallint NOT NULL, digest uuid NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE credit (account smallint, slot smallint, amount bigint NOT NULL, PRIMARY KEY (account, slot)) WITH (fillfactor = 20);`

const (
	// The first row has the number of coins that were live; if these are not all, the others have
	// their fingerprints.
	redeemOne = `
WITH gone AS (DELETE FROM coin WHERE fp = $1 RETURNING fp),
     kept AS (INSERT INTO spent (fp, account, digest) SELECT fp, $2, fp FROM gone),
     paid AS (UPDATE credit SET amount = amount + 1 WHERE account = $2 AND slot = $3 AND EXISTS (SELECT FROM gone))
SELECT count(*), NULL::uuid FROM gone`
	redeemMany = `
WITH gone AS (DELETE FROM coin WHERE fp = ANY($1) RETURNING fp),
     kept AS (INSERT INTO spent (fp, account, digest) SELECT fp, $2, fp FROM gone),
     paid AS (UPDATE credit SET amount = amount + (SELECT count(*) FROM gone) WHERE account = $2 AND slot = $3)
SELECT count(*), NULL::uuid FROM gone UNION ALL SELECT NULL, fp FROM gone WHERE (SELECT count(*) FROM gone) < $4`
	spentMany = `SELECT fp, account = $2 FROM spent WHERE fp = ANY($1)`
)

// DialPostgres connects. slot is different for each connection.
func DialPostgres(ctx context.Context, url string, slot int) (*PostgresClient, error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	return &PostgresClient{c, slot % PostgresSlots}, nil
}

// Close closes the connection.
func (c *PostgresClient) Close() error { return c.conn.Close(context.Background()) }

// Load makes the tables, and coins live with COPY, whose index is made afterwards.
func (c *PostgresClient) Load(coins iter.Seq[core.Fingerprint]) error {
	ctx := context.Background()
	if _, err := c.conn.Exec(ctx, postgresSchema); err != nil {
		return err
	}
	next, stop := iter.Pull(coins)
	defer stop()
	if _, err := c.conn.CopyFrom(ctx, pgx.Identifier{"coin"}, []string{"fp"}, pgx.CopyFromFunc(func() ([]any, error) {
		fp, ok := next()
		if !ok {
			return nil, nil
		}
		return []any{[16]byte(fp)}, nil
	})); err != nil {
		return err
	}
	if _, err := c.conn.Exec(ctx, `INSERT INTO credit SELECT a, s, 0 FROM generate_series(0, $1) a, generate_series(0, $2) s`, Accounts-1, PostgresSlots-1); err != nil {
		return err
	}
	for _, text := range []string{`ALTER TABLE coin ADD PRIMARY KEY (fp)`, `VACUUM (FREEZE, ANALYZE)`, `CHECKPOINT`} {
		if _, err := c.conn.Exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// LiveBytes is the table of live coins with its index.
func (c *PostgresClient) LiveBytes() (n int64, err error) {
	err = c.conn.QueryRow(context.Background(), `SELECT pg_total_relation_size('coin')`).Scan(&n)
	return n, err
}

// Redeem redeems coins by one statement, a transaction of its own.
func (c *PostgresClient) Redeem(ctx context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error {
	keys := make([][16]byte, len(coins))
	for i := range coins {
		keys[i], out[i] = coins[i], core.StatusOK
	}
	text, args := redeemMany, []any{keys, int16(account), int16(c.slot), len(coins)}
	if len(coins) == 1 {
		text, args = redeemOne, []any{keys[0], int16(account), int16(c.slot)}
	}
	rows, err := c.conn.Query(ctx, text, args...)
	if err != nil {
		return err
	}
	var n *int
	var fp *[16]byte
	all, gone := 0, map[[16]byte]bool{}
	if _, err := pgx.ForEachRow(rows, []any{&n, &fp}, func() error {
		if n != nil {
			all = *n
		} else {
			gone[*fp] = true
		}
		return nil
	}); err != nil || all == len(coins) {
		return err
	}
	for i := range out {
		if !gone[keys[i]] {
			out[i] = core.StatusNotLive
		}
		delete(gone, keys[i]) // a coin that stands there again was live once
	}
	rows, err = c.conn.Query(ctx, spentMany, keys, int16(account))
	if err != nil {
		return err
	}
	mine, key, spent := false, [16]byte{}, map[[16]byte]core.Status{}
	if _, err = pgx.ForEachRow(rows, []any{&key, &mine}, func() error {
		spent[key] = core.StatusRedeemed
		if mine {
			spent[key] = core.StatusRedeemedBefore
		}
		return nil
	}); err != nil {
		return err
	}
	for i := range out {
		if s, ok := spent[keys[i]]; ok && out[i] != core.StatusOK {
			out[i] = s
		}
	}
	return nil
}

// Credit returns what an account was credited.
func (c *PostgresClient) Credit(account uint16) (sum int64, err error) {
	err = c.conn.QueryRow(context.Background(), `SELECT sum(amount)::bigint FROM credit WHERE account = $1`, int16(account)).Scan(&sum)
	return sum, err
}
