package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
	"ecoin/server"
)

// bankLedger is a ledger as a bank needs it: on disks, or in a database.
type bankLedger interface {
	bank.Ledger
	server.Accounts
	Close() error
}

// openTime limits how long a bank waits for its database when it starts.
const openTime = 30 * time.Second

func (c *bankCmd) openLedger(ctx context.Context, mint *core.Mint, log *slog.Logger) (bankLedger, error) {
	if c.Ledger == "" {
		return ledger.Open(c.Dir.ledger(), c.ledgerOptions(mint, log))
	}
	if _, err := os.Stat(c.Dir.ledger()); err == nil {
		return nil, fmt.Errorf("%s has a ledger of its own: a bank with --ledger needs a folder without one", c.Dir)
	}
	return openDatabase(ctx, c.Ledger, c.databaseOptions(mint, log))
}

// openDatabase opens a ledger in a database, which may take some time to answer.
func openDatabase(ctx context.Context, url string, o pgledger.Options) (*pgledger.Ledger, error) {
	for end := time.Now().Add(openTime); ; {
		l, err := pgledger.Open(ctx, url, o)
		if err == nil || !errors.Is(err, ledger.ErrUnavailable) || time.Now().After(end) {
			return l, err
		}
		o.Logger.Warn("the ledger's database does not answer yet", "err", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *bankCmd) ledgerOptions(mint *core.Mint, log *slog.Logger) ledger.Options {
	return ledger.Options{
		Mint:             mint.AppendFingerprints,
		Shards:           c.Shards,
		SpentWindow:      c.SpentWindow,
		WithdrawalWindow: c.WithdrawalWindow,
		MinFreeBytes:     c.MinFree,
		BallastBytes:     c.Ballast,
		IndexBytes:       c.IndexMemory,
		Disks:            c.Disk,
		Logger:           log,
	}
}

func (c *bankCmd) databaseOptions(mint *core.Mint, log *slog.Logger) pgledger.Options {
	return pgledger.Options{
		Mint:             mint.AppendFingerprints,
		SpentWindow:      c.SpentWindow,
		WithdrawalWindow: c.WithdrawalWindow,
		Statements:       c.LedgerConns,
		Conns:            max(2, c.LedgerConns/2),
		Logger:           log,
	}
}
