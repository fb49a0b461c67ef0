package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"ecoin/client"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

type trustCmd struct {
	Add     trustAddCmd     `cmd:"" help:"Open an account for a key."`
	Import  trustImportCmd  `cmd:"" help:"Open accounts for all keys of a CSV file or of a folder of certificates."`
	Export  trustExportCmd  `cmd:"" help:"Write the accounts as CSV, in a form that import takes."`
	List    trustListCmd    `cmd:"" help:"List the accounts, or show some."`
	Credit  trustCreditCmd  `cmd:"" help:"Grant credit; a negative amount is a payout."`
	Suspend trustSuspendCmd `cmd:"" help:"Keep an account's keys out until it is resumed, and cut its connections."`
	Resume  trustResumeCmd  `cmd:"" help:"Let a suspended account in again."`
	Remove  trustRemoveCmd  `cmd:"" help:"Take an account's keys out of the truststore and cut its connections; its balance stays."`
	AddKey  trustAddKeyCmd  `cmd:"" help:"Give an account a further key; the one before works as well until it is dropped."`
	DropKey trustDropKeyCmd `cmd:"" help:"Take one of an account's two keys away and cut the connections that came with it."`
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

// keyFlags name a client's key.
type keyFlags struct {
	Cert string `help:"Certificate or public key (PEM) of the client." placeholder:"FILE" xor:"key" required:""`
	Pin  string `help:"SHA-256 of the client's SubjectPublicKeyInfo, 64 hexadecimal digits." placeholder:"HEX" xor:"key" required:""`
}

func (f keyFlags) pin() (string, error) {
	if f.Cert == "" {
		return f.Pin, nil
	}
	p, err := identity.ReadPin(f.Cert)
	return hex.EncodeToString(p[:]), err
}

type trustAddCmd struct {
	socketFlags
	keyFlags
	Name   string `arg:"" help:"Name of the account: letters, digits, '.', '_', '-'."`
	Role   string `help:"What the account may do: ${enum}." enum:"collector,analyst" required:""`
	Credit int64  `help:"First grant." default:"0"`
}

func (c *trustAddCmd) Run(ctx context.Context, std streams) error {
	pin, err := c.pin()
	if err != nil {
		return err
	}
	a, err := c.admin().AddAccount(ctx, wire.AddAccount{Name: c.Name, Role: c.Role, Pin: pin, Credit: c.Credit})
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s: account %s, balance %d\n", a.Role, a.Name, a.ID, a.Balance)
	return nil
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

type trustSuspendCmd struct {
	socketFlags
	Account string `arg:"" help:"Name or id of the account."`
}

func (c *trustSuspendCmd) Run(ctx context.Context, std streams) error {
	a, err := c.admin().SuspendAccount(ctx, c.Account)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s is suspended, live connections cut: %d\n", a.Role, a.Name, a.ConnectionsClosed)
	return nil
}

type trustResumeCmd struct {
	socketFlags
	Account string `arg:"" help:"Name or id of the account."`
}

func (c *trustResumeCmd) Run(ctx context.Context, std streams) error {
	a, err := c.admin().ResumeAccount(ctx, c.Account)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s is active\n", a.Role, a.Name)
	return nil
}

type trustAddKeyCmd struct {
	socketFlags
	keyFlags
	Account string `arg:"" help:"Name or id of the account."`
}

func (c *trustAddKeyCmd) Run(ctx context.Context, std streams) error {
	pin, err := c.pin()
	if err != nil {
		return err
	}
	a, err := c.admin().AddKey(ctx, c.Account, pin)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s has the key %s", a.Role, a.Name, a.Pin)
	if a.OldPin != "" {
		fmt.Fprintf(std.out, " and, until it is dropped, %s", a.OldPin)
	}
	fmt.Fprintln(std.out)
	return nil
}

type trustDropKeyCmd struct {
	socketFlags
	Account string `arg:"" help:"Name or id of the account."`
	Cert    string `help:"Certificate or public key (PEM) to drop. Default: the older of the two keys." placeholder:"FILE" xor:"key"`
	Pin     string `help:"Pin of the key to drop." placeholder:"HEX" xor:"key"`
}

func (c *trustDropKeyCmd) Run(ctx context.Context, std streams) error {
	pin, err := keyFlags{Cert: c.Cert, Pin: c.Pin}.pin()
	if err != nil {
		return err
	}
	if pin == "" {
		a, err := c.admin().Account(ctx, c.Account)
		if err != nil {
			return err
		}
		if pin = a.OldPin; pin == "" {
			return fmt.Errorf("%s has one key only: remove the account, or add the next key first", a.Name)
		}
	}
	a, err := c.admin().DropKey(ctx, c.Account, pin)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s %s has the key %s; live connections of the other cut: %d\n", a.Role, a.Name, a.Pin, a.ConnectionsClosed)
	return nil
}
