package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"ecoin/bank"
	"ecoin/internal/bankkeys"
	"ecoin/internal/wire"
	"ecoin/ledger/pgledger"
)

type auditCmd struct {
	socketFlags
	Disk   []string `help:"As for the bank, where none is running." placeholder:"DIR" sep:"none"`
	Ledger string   `help:"As for the bank, where none is running." placeholder:"URL"`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// Run audits through the running bank, or opens the ledger itself when no bank
// runs on it.
func (c *auditCmd) Run(ctx context.Context, log *slog.Logger, std streams) error {
	p := newProgress(std.err)
	p.begin("audit", 0, "")
	a, err := c.audit(ctx, log)
	p.end()
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(std.out).Encode(a)
	} else {
		err = printAudit(std.out, a)
	}
	if err == nil && !a.OK {
		err = exitCode(1)
	}
	return err
}

func (c *auditCmd) audit(ctx context.Context, log *slog.Logger) (wire.Audit, error) {
	if running, err := c.running(); running || err != nil {
		if err != nil {
			return wire.Audit{}, err
		}
		return c.admin().Audit(ctx)
	}
	var l bankLedger
	var keys *bankkeys.Keys
	var err error
	if c.Ledger == "" {
		l, keys, err = openOffline(c.Dir, c.Disk, log)
	} else if keys, err = bankkeys.Open(c.Dir.keys(), "", ""); err == nil {
		l, err = openDatabase(ctx, c.Ledger, pgledger.Options{Mint: keys.Mint.AppendFingerprints, Existing: true, Logger: log})
	}
	if err != nil {
		return wire.Audit{}, err
	}
	b, err := bank.New(bank.Options{Ledger: l, Keys: keys.Ring, Mint: keys.Mint})
	if err != nil {
		return wire.Audit{}, errors.Join(err, l.Close())
	}
	defer b.Close()
	a, err := b.Audit(ctx)
	return a, errors.Join(err, l.Close())
}

func printAudit(w io.Writer, a wire.Audit) error {
	fmt.Fprintf(w, "%d accounts, %d live coins; issued %d, redeemed %d, refunded %d\n", a.Accounts, a.Live, a.Issued, a.Redeemed, a.Refunded)
	fmt.Fprintf(w, "granted %d = balances %d + live %d + returned %d + under way %d\n", a.Granted, a.Balances, a.Live, a.Returned, a.Pending)
	for _, p := range a.Problems {
		fmt.Fprintf(w, "WRONG: %s\n", p)
	}
	verdict := "ok"
	if !a.OK {
		verdict = "NOT OK"
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}
