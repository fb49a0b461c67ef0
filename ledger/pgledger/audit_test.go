package pgledger_test

import (
	"context"
	"strings"
	"testing"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
)

// Each thing that can be wrong is seen, and named.
func TestAuditFinds(t *testing.T) {
	t.Parallel()
	const coin = `(SELECT fp FROM coin LIMIT 1)`
	const spent = `(SELECT fp FROM spent_0 UNION ALL SELECT fp FROM spent_1 UNION ALL SELECT fp FROM spent_2 LIMIT 1)`
	const someID = `'0f0e0d0c-0b0a-0908-0706-050403020100'::uuid`
	for name, c := range map[string]struct{ sql, want string }{
		"a coin appears":          {`INSERT INTO coin (fp) VALUES (` + someID + `)`, "live coins, found and counted"},
		"a coin is gone":          {`DELETE FROM coin WHERE fp = ` + coin, "live coins, found and counted"},
		"a coin is revived":       {`INSERT INTO coin (fp) SELECT ` + spent, "both live and spent"},
		"a coin is returned, too": {`INSERT INTO returned (fp, redeemer, digest, at) SELECT ` + coin + `, id, id, 0 FROM account LIMIT 1`, "both live and returned"},
		"spent and returned":      {`INSERT INTO returned (fp, redeemer, digest, at) SELECT ` + spent + `, id, id, 0 FROM account LIMIT 1`, "both returned and spent"},
		"a return is gone":        {`DELETE FROM returned`, "returned coins, found and counted"},
		"spent twice": {`INSERT INTO spent_0 (fp, redeemer, digest, at) SELECT fp, redeemer, digest, at FROM spent_1 ON CONFLICT DO NOTHING;
INSERT INTO spent_1 (fp, redeemer, digest, at) SELECT fp, redeemer, digest, at FROM spent_2 ON CONFLICT DO NOTHING;
INSERT INTO spent_2 (fp, redeemer, digest, at) SELECT fp, redeemer, digest, at FROM spent_0 ON CONFLICT DO NOTHING`, "spent in two windows"},
		"spent by nobody":      {`UPDATE spent_0 SET redeemer = NULL; UPDATE spent_1 SET redeemer = NULL; UPDATE spent_2 SET redeemer = NULL`, "neither redeemer nor refunder"},
		"a credit is gone":     {`UPDATE tally SET redeemed = redeemed - 1 WHERE redeemed > 0 AND account IN (SELECT id FROM account)`, "coins redeemed, by the accounts and in all"},
		"a debit is gone":      {`UPDATE tally SET returned = 0 WHERE account IN (SELECT id FROM account)`, "coins returned, by the accounts and in all"},
		"a refund is gone":     {`UPDATE tally SET refunded_live = 0 WHERE account IN (SELECT id FROM account)`, "coins refunded, by the accounts and in all"},
		"a total is gone":      {`UPDATE issued SET coins = 0`, "coins issued, by the accounts and in all"},
		"issued by nobody":     {`UPDATE account SET issued = 0`, "conservation"},
		"a tally of nobody":    {`INSERT INTO tally (account, counter, redeemed, returned, refunded_live, refunded_returned) VALUES (` + someID + `, 0, 0, 0, 0, 0)`, "tallies are of no account"},
		"a negative tally":     {`UPDATE tally SET refunded_returned = -1 WHERE account IN (SELECT id FROM account)`, "tallies are negative"},
		"a pin is gone":        {`DELETE FROM pin`, "do not have their pin"},
		"an old pin is gone":   {`UPDATE account SET old_pin = 'x'::bytea`, "do not have their old pin"},
		"a pin leads away":     {`INSERT INTO pin (pin, account) SELECT 'x'::bytea, id FROM account LIMIT 1`, "pins lead to an account that does not have them"},
		"a name is gone":       {`DELETE FROM name`, "do not have their name"},
		"a name leads away":    {`INSERT INTO name (name, account) SELECT 'x', id FROM account LIMIT 1`, "names lead to an account that does not have them"},
		"a removed one's name": {`UPDATE account SET state = 1`, "names lead to an account that does not have them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.Shared(t).NewDatabase(t)
			l := open(t, dsn, pgledger.Options{Statements: 1, Conns: 2})
			who := addPeople(t, l, 1000)
			who.spend(t, l, 40)
			who.withdrawn(t, l, fresh(), fresh(), 8)
			again := who.withdrawn(t, l, fresh(), fresh(), 8)
			if err := redeemAndReturn(l, who, again); err != nil {
				t.Fatal(err)
			}
			if a, err := l.Audit(context.Background()); err != nil || !a.OK() || a.Live == 0 || a.Returned == 0 || a.Spent == 0 {
				t.Fatalf("before: %+v, %v", a, err)
			}
			execute(t, dsn, c.sql)
			a, err := l.Audit(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(a.Problems, "\n"), c.want) {
				t.Errorf("the audit says %q, want %q", a.Problems, c.want)
			}
		})
	}
}

func redeemAndReturn(l *pgledger.Ledger, who people, coins []ledger.Redemption) error {
	status := make([]core.Status, len(coins))
	if err := l.Redeem(context.Background(), who.analyst, coins, status); err != nil {
		return err
	}
	return l.Return(context.Background(), who.analyst, coins, status)
}
