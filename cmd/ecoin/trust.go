package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"ecoin/client"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

type trustCmd struct {
	Add    trustAddCmd    `cmd:"" help:"Open an account for a key."`
	List   trustListCmd   `cmd:"" help:"List the accounts."`
	Remove trustRemoveCmd `cmd:"" help:"Take a key out of the truststore and cut its connections; its balance stays."`
	Credit trustCreditCmd `cmd:"" help:"Grant credit; a negative amount is a payout."`
}

// socketFlags name the running bank.
type socketFlags struct {
	Dir    bankDir `help:"Folder of the bank." default:"${dir}"`
	Socket string  `help:"The bank's admin socket. Default: admin.sock in --dir." placeholder:"FILE"`
}

func (f socketFlags) path() string {
	if f.Socket != "" {
		return f.Socket
	}
	return f.Dir.socket()
}

func (f socketFlags) admin() *client.Admin { return client.NewAdmin(f.path()) }

type trustAddCmd struct {
	socketFlags
	Name   string `arg:"" help:"Name of the account: letters, digits, '.', '_', '-'."`
	Role   string `help:"What the account may do: ${enum}." enum:"collector,analyst" required:""`
	Cert   string `help:"Certificate or public key (PEM) of the client." placeholder:"FILE" xor:"key" required:""`
	Pin    string `help:"SHA-256 of the client's SubjectPublicKeyInfo, 64 hexadecimal digits." placeholder:"HEX" xor:"key" required:""`
	Credit int64  `help:"First grant." default:"0"`
}

func (c *trustAddCmd) Run(ctx context.Context, std streams) error {
	pin := c.Pin
	if c.Cert != "" {
		p, err := identity.ReadPin(c.Cert)
		if err != nil {
			return err
		}
		pin = hex.EncodeToString(p[:])
	}
	a, err := c.admin().AddAccount(ctx, wire.AddAccount{Name: c.Name, Role: c.Role, Pin: pin, Credit: c.Credit})
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s: account %s, balance %d\n", a.Role, a.Name, a.ID, a.Balance)
	return nil
}

type trustListCmd struct {
	socketFlags
	JSON bool `name:"json" help:"Print JSON."`
}

func (c *trustListCmd) Run(ctx context.Context, std streams) error {
	accounts, err := c.admin().Accounts(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(accounts)
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tACCOUNT\tBALANCE\tGRANTED\tISSUED\tREDEEMED\tRETURNED\tREFUNDED\tSINCE\tKEY")
	for _, a := range accounts {
		key := a.Pin
		if a.Removed {
			key = "removed"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", a.Name, a.Role, a.ID,
			a.Balance, a.Granted, a.Issued, a.Redeemed, a.Returned, a.Refunded, a.Created.Local().Format(time.DateOnly), key)
	}
	return w.Flush()
}

type trustRemoveCmd struct {
	socketFlags
	Account string `arg:"" help:"Name or id of the account."`
}

func (c *trustRemoveCmd) Run(ctx context.Context, std streams) error {
	a, err := c.admin().RemoveAccount(ctx, c.Account)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s is removed, live connections cut: %d; its balance of %d stays on account %s\n",
		a.Role, a.Name, a.ConnectionsClosed, a.Balance, a.ID)
	return nil
}

type trustCreditCmd struct {
	socketFlags
	Account string `arg:"" help:"Name or id of the account."`
	Amount  int64  `arg:"" help:"Credits to grant; write a payout as -- -5."`
}

func (c *trustCreditCmd) Run(ctx context.Context, std streams) error {
	a, err := c.admin().Credit(ctx, c.Account, c.Amount)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s: balance %d\n", a.Role, a.Name, a.Balance)
	return nil
}
