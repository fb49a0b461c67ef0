package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"ecoin/bench/better"
	"ecoin/bench/clients"
	"ecoin/bench/obvious"
	"ecoin/internal/identity"
)

// bankFlags are what the banks of peers have in common.
type bankFlags struct {
	Dir      string `arg:"" help:"Folder for certificate and key."`
	Accounts string `arg:"" help:"File that \"ecoin loadgen accounts\" printed."`
	Database string `arg:""`
}

// bank is one of them.
type bank interface {
	Serve(context.Context, net.Listener, *identity.Identity) error
	Close()
}

// serve makes a certificate, opens a port, and serves the bank that open makes.
func (f *bankFlags) serve(ctx context.Context, open func(url string, t clients.Truststore) (bank, error)) error {
	t, err := clients.Read(f.Accounts)
	if err != nil {
		return err
	}
	id, err := identity.Create(f.Dir, "bank", []string{"127.0.0.1"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b, err := open("https://"+l.Addr().String(), t)
	if err != nil {
		return err
	}
	defer b.Close()
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Info("listening", "api", l.Addr().String(), "certificate", filepath.Join(f.Dir, "bank.crt"))
	return b.Serve(ctx, l, id)
}

type obviousBankCmd struct{ bankFlags }

func (c *obviousBankCmd) Run(ctx context.Context) error {
	return c.serve(ctx, func(url string, t clients.Truststore) (bank, error) { return obvious.New(ctx, c.Database, url, t) })
}

type betterBankCmd struct{ bankFlags }

func (c *betterBankCmd) Run(ctx context.Context) error {
	return c.serve(ctx, func(url string, t clients.Truststore) (bank, error) { return better.New(ctx, c.Database, url, t) })
}
