package pgledger

import "strings"

// The statements, for each place of the newest window: in its texts {new} is the number
// of its table, {old} of the one before. Rows are locked in order of their keys, accounts
// last, so that statements seldom meet in a deadlock; those that do are tried again.
//
// Each act carries a fence: it does nothing when the window it was made for is not the
// newest any more. What an act did not find, look explains.

// actParams: $1 fingerprints, $2 accounts, $3 digests of coins, all uuid[] of one
// length; $4 time, $5 counter, $6 number of the newest window.

// nobody is the account whose tallies are of all accounts together.
const nobody = `'00000000-0000-0000-0000-000000000000'::uuid`

// redeemSQL consumes live coins: all that is written about a redeem in one statement. Its
// first row has the number of those that it consumed, and if these are not all, the others
// have their fingerprints. Then, and only then, the coins are compared with them one by
// one: joins, or the rows of DELETE USING, would cost each coin a tenth more.
const redeemSQL = `
WITH gone AS (
  DELETE FROM coin WHERE fp = ANY ($1::uuid[]) AND EXISTS (SELECT 1 FROM era WHERE kind = 0 AND number = $6::bigint)
  RETURNING fp
), n AS (
  SELECT count(*) AS gone, cardinality($1::uuid[]) AS given FROM gone
), kept AS (
  INSERT INTO spent_{new} (fp, redeemer, digest, at)
  SELECT i.fp, i.account, i.digest, $4::bigint FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS i (fp, account, digest)
  WHERE (SELECT gone = given FROM n) OR i.fp IN (SELECT fp FROM gone)
), paid AS (
  INSERT INTO tally AS t (account, counter, redeemed, returned, refunded_live, refunded_returned)
  SELECT p.account, $5::smallint, p.coins, 0, 0, 0 FROM (
    SELECT i.account, count(*) AS coins FROM unnest($1::uuid[], $2::uuid[]) AS i (fp, account)
    WHERE (SELECT gone = given FROM n) OR i.fp IN (SELECT fp FROM gone) GROUP BY i.account
    UNION ALL SELECT ` + nobody + `, gone FROM n
  ) AS p WHERE p.coins > 0 ORDER BY p.account
  ON CONFLICT (account, counter) DO UPDATE SET redeemed = t.redeemed + excluded.redeemed
)
SELECT n.gone, NULL::uuid FROM n UNION ALL SELECT 0, fp FROM gone WHERE (SELECT gone <> given FROM n)`

// refundSQL consumes live and returned coins, and returns what they were: redeemer and
// digest are those of a returned coin.
const refundSQL = `
WITH i AS (
  SELECT i.fp, i.account FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS i (fp, account, digest)
  WHERE EXISTS (SELECT 1 FROM era WHERE kind = 0 AND number = $6::bigint)
), gone AS (
  DELETE FROM coin USING i WHERE coin.fp = i.fp RETURNING i.fp, i.account
), back AS (
  DELETE FROM returned USING i WHERE returned.fp = i.fp
  RETURNING i.fp, i.account, returned.redeemer, returned.digest, returned.at
), kept AS (
  INSERT INTO spent_{new} (fp, redeemer, digest, refunder, at)
  SELECT fp, NULL::uuid, NULL::uuid, account, $4::bigint FROM gone
  UNION ALL SELECT fp, redeemer, digest, account, $4::bigint FROM back
), paid AS (
  INSERT INTO tally AS t (account, counter, redeemed, returned, refunded_live, refunded_returned)
  SELECT p.account, $5::smallint, 0, 0, sum(p.live)::bigint, sum(p.returned)::bigint FROM (
    SELECT account, 1 AS live, 0 AS returned FROM gone UNION ALL SELECT account, 0, 1 FROM back
    UNION ALL SELECT ` + nobody + `, 1, 0 FROM gone UNION ALL SELECT ` + nobody + `, 0, 1 FROM back
  ) AS p GROUP BY p.account ORDER BY p.account
  ON CONFLICT (account, counter) DO UPDATE SET refunded_live = t.refunded_live + excluded.refunded_live,
    refunded_returned = t.refunded_returned + excluded.refunded_returned
)
SELECT fp, NULL::uuid, NULL::uuid, 0::bigint FROM gone UNION ALL SELECT fp, redeemer, digest, at FROM back`

// returnSQL moves spent records of the accounts' own redeems to the returned coins, and
// returns when those were.
const returnSQL = `
WITH i AS (
  SELECT i.fp, i.account, i.digest FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS i (fp, account, digest)
  WHERE EXISTS (SELECT 1 FROM era WHERE kind = 0 AND number = $6::bigint) AND $4::bigint IS NOT NULL
), a AS (
  DELETE FROM spent_{new} AS s USING i
  WHERE s.fp = i.fp AND s.redeemer = i.account AND s.digest = i.digest AND s.refunder IS NULL
  RETURNING s.fp, s.redeemer, s.digest, s.at
), b AS (
  DELETE FROM spent_{old} AS s USING i
  WHERE s.fp = i.fp AND s.redeemer = i.account AND s.digest = i.digest AND s.refunder IS NULL
  RETURNING s.fp, s.redeemer, s.digest, s.at
), gone AS (
  SELECT * FROM a UNION ALL SELECT * FROM b
), kept AS (
  INSERT INTO returned (fp, redeemer, digest, at) SELECT fp, redeemer, digest, at FROM gone
), paid AS (
  INSERT INTO tally AS t (account, counter, redeemed, returned, refunded_live, refunded_returned)
  SELECT p.account, $5::smallint, 0, count(*), 0, 0
  FROM (SELECT redeemer AS account FROM gone UNION ALL SELECT ` + nobody + ` FROM gone) AS p GROUP BY p.account ORDER BY p.account
  ON CONFLICT (account, counter) DO UPDATE SET returned = t.returned + excluded.returned
)
SELECT fp, at FROM gone`

// lockSQL makes those that debit accounts wait for each other; credits wait for nobody.
const lockSQL = `SELECT 1 FROM account WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE`

// lookSQL returns, as of one moment, the newest window and what is known of coins, in at
// least one row. It writes to a counter without changing it, because what it reads may be
// a commit that no standby has yet, after a crash of the primary or a statement that was
// cancelled there: its own commit waits for the standbys, and with it all before.
const lookSQL = `
WITH proof AS (
  INSERT INTO issued AS t (counter, coins) VALUES ($2::smallint, 0) ON CONFLICT (counter) DO UPDATE SET coins = t.coins
)
SELECT e.number, c.state, c.fp, c.redeemer, c.digest, c.refunder, c.at
FROM era AS e LEFT JOIN (
  SELECT 3::bigint AS state, fp, redeemer, digest, refunder, at FROM spent_{new} WHERE fp = ANY ($1::uuid[])
  UNION ALL SELECT 3::bigint, fp, redeemer, digest, refunder, at FROM spent_{old} WHERE fp = ANY ($1::uuid[])
  UNION ALL SELECT 2::bigint, fp, redeemer, digest, NULL::uuid, at FROM returned WHERE fp = ANY ($1::uuid[])
  UNION ALL SELECT 1::bigint, fp, NULL::uuid, NULL::uuid, NULL::uuid, 0::bigint FROM coin WHERE fp = ANY ($1::uuid[])
) AS c ON true
WHERE e.kind = 0`

// The columns of lookSQL.
const (
	lookNumber = iota
	lookState
	lookFP
	lookRedeemer
	lookDigest
	lookRefunder
	lookAt
)

// Values of its state.
const (
	isLive     = 1
	isReturned = 2
	isSpent    = 3
)

// Of withdrawals: $1 account, $2 request.

const earlierSQL = `
SELECT e.number, w.salt, w.coins,
  (SELECT COALESCE(sum(redeemed - returned + refunded_live + refunded_returned), 0)::bigint FROM tally WHERE account = $1::uuid)
FROM era AS e LEFT JOIN (
  SELECT salt, coins FROM withdrawal_{new} WHERE account = $1::uuid AND request = $2::uuid
  UNION ALL SELECT salt, coins FROM withdrawal_{old} WHERE account = $1::uuid AND request = $2::uuid
) AS w ON true
WHERE e.kind = 1`

const recordSQL = `INSERT INTO withdrawal_{new} (account, request, salt, coins) VALUES ($1, $2, $3, $4)`

const issueSQL = `INSERT INTO coin (fp) SELECT unnest($1::uuid[])`

// usedSQL counts coins that were live once. It looks at all windows.
const usedSQL = `
SELECT (SELECT count(*) FROM spent_0 WHERE fp = ANY ($1::uuid[])) + (SELECT count(*) FROM spent_1 WHERE fp = ANY ($1::uuid[]))
  + (SELECT count(*) FROM spent_2 WHERE fp = ANY ($1::uuid[])) + (SELECT count(*) FROM returned WHERE fp = ANY ($1::uuid[]))`

const countIssuedSQL = `
INSERT INTO issued AS t (counter, coins) VALUES ($1, $2) ON CONFLICT (counter) DO UPDATE SET coins = t.coins + excluded.coins`

// totalsSQL returns the coins issued, redeemed, returned, refunded while live and refunded
// after a return, by all accounts together.
const totalsSQL = `
SELECT (SELECT COALESCE(sum(coins), 0)::bigint FROM issued), COALESCE(sum(redeemed), 0)::bigint, COALESCE(sum(returned), 0)::bigint,
  COALESCE(sum(refunded_live), 0)::bigint, COALESCE(sum(refunded_returned), 0)::bigint FROM tally WHERE account = ` + nobody

// perWindow returns a statement's text for each place of the newest window.
func perWindow(text string) (out [tables]string) {
	for i := range out {
		out[i] = strings.NewReplacer("{new}", digit(i), "{old}", digit(i+tables-1)).Replace(text)
	}
	return out
}

func digit(i int) string { return string(rune('0' + i%tables)) }

var (
	redeemText  = perWindow(redeemSQL)
	refundText  = perWindow(refundSQL)
	returnText  = perWindow(returnSQL)
	lookText    = perWindow(lookSQL)
	earlierText = perWindow(earlierSQL)
	recordText  = perWindow(recordSQL)
)
