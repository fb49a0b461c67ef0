package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"ecoin/client"
	"ecoin/internal/wire"
)

type trustListCmd struct {
	socketFlags
	Accounts []string `arg:"" optional:"" name:"account" help:"Names or ids; all if there is none. A removed account is shown by its id, and by all."`
	JSON     bool     `name:"json" help:"Print one JSON object a line."`
}

// sortedAccounts is how many accounts a list holds in memory, to be in order of name and
// in columns as wide as they need to be.
const sortedAccounts = 10_000

func (c *trustListCmd) Run(ctx context.Context, std streams) error {
	if c.JSON {
		out := json.NewEncoder(std.out)
		return c.each(ctx, func(a wire.AdminAccount) error { return out.Encode(a) })
	}
	t := &accountTable{w: tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t.w, "NAME\tROLE\tACCOUNT\tBALANCE\tGRANTED\tISSUED\tREDEEMED\tRETURNED\tREFUNDED\tSINCE\tSTATE\tKEY")
	err := c.each(ctx, func(a wire.AdminAccount) error {
		if t.first = append(t.first, a); len(t.first) == sortedAccounts {
			return t.flush()
		}
		return nil
	})
	return errors.Join(err, t.flush())
}

// each visits the accounts that were named, or all.
func (c *trustListCmd) each(ctx context.Context, visit func(wire.AdminAccount) error) error {
	admin := c.admin()
	if len(c.Accounts) == 0 {
		return admin.Accounts(ctx, visit)
	}
	for _, name := range c.Accounts {
		a, err := admin.Account(ctx, name)
		if err != nil {
			return err
		}
		if err := visit(a); err != nil {
			return err
		}
	}
	return nil
}

type accountTable struct {
	w     *tabwriter.Writer
	first []wire.AdminAccount
}

func (t *accountTable) flush() error {
	slices.SortStableFunc(t.first, func(a, b wire.AdminAccount) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Created.Compare(b.Created))
	})
	for _, a := range t.first {
		key := a.Pin
		if a.OldPin != "" {
			key += " " + a.OldPin
		}
		fmt.Fprintf(t.w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", a.Name, a.Role, a.ID,
			a.Balance, a.Granted, a.Issued, a.Redeemed, a.Returned, a.Refunded, a.Created.Local().Format(time.DateOnly), a.State, key)
	}
	t.first = t.first[:0]
	return t.w.Flush()
}

type trustExportCmd struct {
	socketFlags
	File string `arg:"" help:"File to write, which must not exist; - for standard output."`
	All  bool   `help:"Removed accounts too."`
}

// exportColumns begin with those that an import reads. The credit is the balance, so
// that an import into a new bank opens the accounts with what they had.
var exportColumns = []string{"name", "role", "pin", "credit", "account", "state", "created", "granted", "issued", "redeemed", "returned", "refunded", "old_pin"}

func (c *trustExportCmd) Run(ctx context.Context, std streams) (err error) {
	if c.File == "-" {
		_, err := export(ctx, c.admin(), std.out, c.All)
		return err
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := export(ctx, c.admin(), f, c.All)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.File)) // half a list is none
	}
	fmt.Fprintf(std.out, "%d accounts written to %s\n", n, c.File)
	return nil
}

func export(ctx context.Context, admin *client.Admin, to io.Writer, all bool) (n int64, err error) {
	w := csv.NewWriter(to)
	if err := w.Write(exportColumns); err != nil {
		return 0, err
	}
	count := func(v int64) string { return strconv.FormatInt(v, 10) }
	err = admin.Accounts(ctx, func(a wire.AdminAccount) error {
		if a.State == "removed" && !all {
			return nil
		}
		n++
		return w.Write([]string{a.Name, a.Role, a.Pin, count(max(a.Balance, 0)), a.ID, a.State, a.Created.Format(time.RFC3339Nano),
			count(a.Granted), count(a.Issued), count(a.Redeemed), count(a.Returned), count(a.Refunded), a.OldPin})
	})
	w.Flush()
	return n, errors.Join(err, w.Error())
}
