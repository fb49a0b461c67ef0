package pgledger_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"ecoin/internal/pgtest"
	"ecoin/ledger/ledgertest"
	"ecoin/ledger/pgledger"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// The suite of all ledgers, each test in a database of its own.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	ledgertest.Run(t, func(t testing.TB) ledgertest.Store {
		dsn := server.NewDatabase(t)
		return func(o ledgertest.Options) (ledgertest.Ledger, error) {
			l, err := pgledger.Open(context.Background(), dsn, pgledger.Options{
				Mint: o.Mint, Now: o.Now, SpentWindow: o.SpentWindow, WithdrawalWindow: o.WithdrawalWindow,
				Statements: 4, Conns: 4, Patience: 30 * time.Second, NoSync: true, Logger: quiet,
			})
			if err != nil {
				return nil, err
			}
			return l, nil
		}
	})
}
