package pgledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ecoin/ledger"
)

// Audit scans every table as of one moment, while all nodes work on, and compares what
// must agree:
//
//   - a coin is in one table;
//   - live coins = issued - redeemed - refunded while live, returned coins = returned -
//     refunded after a return, by the accounts' tallies and by the totals;
//   - each account has its pins and its name, no pin or name leads elsewhere, and no tally
//     is of nobody;
//   - credit granted = balances + live + returned.
//
// What is wrong is listed in Problems. An error means that there was no audit:
// ledger.ErrClosed, ledger.ErrUnavailable or ctx.Err().
func (l *Ledger) Audit(ctx context.Context) (ledger.Audit, error) {
	leave, err := l.enter(ctx)
	if err != nil {
		return ledger.Audit{}, err
	}
	defer leave()
	var report ledger.Audit
	err = l.snapshot(ctx, "audit", func(ctx context.Context, tx pgx.Tx) error {
		a := auditor{ctx: ctx, tx: tx}
		a.run()
		report = a.report
		return a.err
	})
	return report, err
}

// auditor is one audit under way.
type auditor struct {
	ctx    context.Context
	tx     pgx.Tx
	report ledger.Audit
	err    error // ends it
}

func (a *auditor) problem(format string, args ...any) {
	a.report.Problems = append(a.report.Problems, fmt.Sprintf(format, args...))
}

// sums reads one row of numbers.
func (a *auditor) sums(text string, into ...*int64) {
	if a.err != nil {
		return
	}
	dst := make([]any, len(into))
	for i := range into {
		dst[i] = into[i]
	}
	a.err = a.tx.QueryRow(a.ctx, text).Scan(dst...)
}

// none counts what must not be there.
func (a *auditor) none(what, text string) {
	var n int64
	a.sums(text, &n)
	if n != 0 {
		a.problem(what, n)
	}
}

func (a *auditor) run() {
	r := &a.report
	var accounts, returned, refunded int64
	a.sums(`SELECT count(*), COALESCE(sum(granted), 0)::bigint, COALESCE(sum(issued), 0)::bigint FROM account`, &accounts, &r.Granted, &r.Issued)
	r.Accounts = int(accounts)
	a.sums(`SELECT COALESCE(sum(redeemed), 0)::bigint, COALESCE(sum(returned), 0)::bigint, COALESCE(sum(refunded_live + refunded_returned), 0)::bigint
FROM tally WHERE account <> `+nobody,
		&r.Redeemed, &returned, &refunded)
	r.Refunded = refunded
	r.Balances = r.Granted - r.Issued + r.Redeemed - returned + refunded
	var issuedAll, redeemedAll, returnedAll, refundedLive, refundedReturned int64
	a.sums(totalsSQL, &issuedAll, &redeemedAll, &returnedAll, &refundedLive, &refundedReturned)
	a.sums(`SELECT count(*) FROM coin`, &r.Live)
	a.sums(`SELECT count(*) FROM returned`, &r.Returned)
	a.sums(`SELECT (SELECT count(*) FROM spent_0) + (SELECT count(*) FROM spent_1) + (SELECT count(*) FROM spent_2)`, &r.Spent)
	if a.err != nil {
		return
	}
	for _, c := range []struct {
		what       string
		have, want int64
	}{
		{"coins issued, by the accounts and in all", r.Issued, issuedAll},
		{"coins redeemed, by the accounts and in all", r.Redeemed, redeemedAll},
		{"coins returned, by the accounts and in all", returned, returnedAll},
		{"coins refunded, by the accounts and in all", refunded, refundedLive + refundedReturned},
		{"live coins, found and counted", r.Live, issuedAll - redeemedAll - refundedLive},
		{"returned coins, found and counted", r.Returned, returnedAll - refundedReturned},
	} {
		if c.have != c.want {
			a.problem("%s: %d and %d", c.what, c.have, c.want)
		}
	}
	if sum := r.Balances + r.Live + r.Returned; sum != r.Granted {
		a.problem("conservation: %d granted, but balances %d + live %d + returned %d = %d", r.Granted, r.Balances, r.Live, r.Returned, sum)
	}
	a.places()
	a.trust()
}

// places looks for coins in more than one table.
func (a *auditor) places() {
	for i := range tables {
		a.none("%d coins are both live and spent", fmt.Sprintf(`SELECT count(*) FROM spent_%d AS s JOIN coin AS c ON c.fp = s.fp`, i))
		a.none("%d coins are both returned and spent", fmt.Sprintf(`SELECT count(*) FROM spent_%d AS s JOIN returned AS r ON r.fp = s.fp`, i))
		a.none("%d coins were spent in two windows", fmt.Sprintf(`SELECT count(*) FROM spent_%d AS s JOIN spent_%d AS t ON t.fp = s.fp`, i, (i+1)%tables))
		a.none("%d spent coins have neither redeemer nor refunder, or a redeemer without a digest",
			fmt.Sprintf(`SELECT count(*) FROM spent_%d WHERE redeemer IS NULL AND refunder IS NULL OR (redeemer IS NULL) <> (digest IS NULL)`, i))
	}
	a.none("%d coins are both live and returned", `SELECT count(*) FROM returned AS r JOIN coin AS c ON c.fp = r.fp`)
}

// trust compares accounts with the pins and names that lead to them.
func (a *auditor) trust() {
	a.none("%d accounts do not have their pin", `SELECT count(*) FROM account AS a LEFT JOIN pin AS p ON p.pin = a.pin WHERE p.account IS NULL OR p.account <> a.id`)
	a.none("%d accounts do not have their old pin", `SELECT count(*) FROM account AS a LEFT JOIN pin AS p ON p.pin = a.old_pin
WHERE a.old_pin IS NOT NULL AND (p.account IS NULL OR p.account <> a.id)`)
	a.none("%d pins lead to an account that does not have them", `SELECT count(*) FROM pin AS p LEFT JOIN account AS a ON a.id = p.account
WHERE a.id IS NULL OR p.pin <> a.pin AND (a.old_pin IS NULL OR p.pin <> a.old_pin)`)
	a.none("%d accounts do not have their name", `SELECT count(*) FROM account AS a LEFT JOIN name AS n ON n.name = a.name
WHERE a.state <> 1 AND (n.account IS NULL OR n.account <> a.id)`)
	a.none("%d names lead to an account that does not have them", `SELECT count(*) FROM name AS n LEFT JOIN account AS a ON a.id = n.account
WHERE a.id IS NULL OR a.state = 1 OR a.name <> n.name`)
	a.none("%d tallies are of no account", `SELECT count(*) FROM tally AS t LEFT JOIN account AS a ON a.id = t.account WHERE a.id IS NULL AND t.account <> `+nobody)
	a.none("%d tallies are negative", `SELECT count(*) FROM tally WHERE redeemed < 0 OR returned < 0 OR refunded_live < 0 OR refunded_returned < 0`)
}
