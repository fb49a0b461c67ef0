package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"

	"ecoin/bank"
	"ecoin/internal/bankkeys"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

type auditCmd struct {
	socketFlags
	Disk []string `help:"As for the bank, where none is running." placeholder:"DIR" sep:"none"`
	JSON bool     `name:"json" help:"Print JSON."`
}

// Run audits through the running bank, or opens the ledger itself when no bank
// runs on it.
func (c *auditCmd) Run(ctx context.Context, log *slog.Logger, std streams) error {
	a, err := c.audit(ctx, log)
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
	conn, err := net.Dial("unix", c.path())
	switch {
	case err == nil:
		conn.Close()
		return c.admin().Audit(ctx)
	case c.Socket != "" || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED):
		return wire.Audit{}, err
	}
	log.Info("no bank is running here: opening its ledger", "dir", c.Dir.ledger())
	if _, err := os.Stat(c.Dir.ledger()); err != nil {
		return wire.Audit{}, fmt.Errorf("%s is not the folder of a bank: %w", c.Dir, err)
	}
	keys, err := bankkeys.Open(c.Dir.keys(), "", "")
	if err != nil {
		return wire.Audit{}, err
	}
	l, err := ledger.Open(c.Dir.ledger(), ledger.Options{Mint: keys.Mint.AppendFingerprints, Disks: c.Disk, Logger: log})
	if err != nil {
		return wire.Audit{}, err
	}
	b, err := bank.New(bank.Options{Ledger: l, Keys: keys.Ring, Mint: keys.Mint})
	if err != nil {
		return wire.Audit{}, errors.Join(err, l.Close())
	}
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
