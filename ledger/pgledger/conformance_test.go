package pgledger_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/ledgertest"
	"ecoin/ledger/pgledger"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// The suite of all ledgers, each test in a database of its own: on two nodes, with every
// call to the other one than the call before, and so with the isolation that CockroachDB
// has always and YugabyteDB may have, where statements that meet are refused and tried
// again.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	for _, isolation := range []string{"read committed", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			ledgertest.Run(t, func(t testing.TB) ledgertest.Store {
				dsn := server.NewDatabase(t) + "&default_transaction_isolation=" + strings.ReplaceAll(isolation, " ", "%20")
				return func(o ledgertest.Options) (ledgertest.Ledger, error) {
					return openNodes(dsn, 2, pgledger.Options{
						Mint: o.Mint, Now: o.Now, SpentWindow: o.SpentWindow, WithdrawalWindow: o.WithdrawalWindow,
						Statements: 4, Conns: 4, Patience: 30 * time.Second, NoSync: true, Logger: quiet,
					})
				}
			})
		})
	}
}

// nodes are ledgers on one database that take calls in turn.
type nodes struct {
	ledgers []*pgledger.Ledger
	turn    atomic.Int64
}

func openNodes(dsn string, n int, o pgledger.Options) (ledgertest.Ledger, error) {
	ns := &nodes{}
	for range n {
		l, err := pgledger.Open(context.Background(), dsn, o)
		if err != nil {
			return nil, err
		}
		ns.ledgers = append(ns.ledgers, l)
	}
	return ns, nil
}

func (ns *nodes) next() *pgledger.Ledger {
	return ns.ledgers[int(ns.turn.Add(1))%len(ns.ledgers)]
}

func (ns *nodes) Close() (err error) {
	for _, l := range ns.ledgers {
		if e := l.Close(); e != nil {
			err = e
		}
	}
	return err
}

func (ns *nodes) Withdraw(ctx context.Context, acc ledger.AccountID, id ledger.RequestID, salt core.Salt, n int) (core.Salt, error) {
	return ns.next().Withdraw(ctx, acc, id, salt, n)
}

func (ns *nodes) Redeem(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error {
	return ns.next().Redeem(ctx, acc, coins, out)
}

func (ns *nodes) Return(ctx context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error {
	return ns.next().Return(ctx, acc, coins, out)
}

func (ns *nodes) Refund(ctx context.Context, acc ledger.AccountID, coins []core.Fingerprint, out []ledger.Refund) error {
	return ns.next().Refund(ctx, acc, coins, out)
}

func (ns *nodes) AddAccount(ctx context.Context, name string, role ledger.Role, pin ledger.Pin) (ledger.Account, error) {
	return ns.next().AddAccount(ctx, name, role, pin)
}

func (ns *nodes) AddAccounts(ctx context.Context, accounts []ledger.NewAccount, ids []ledger.AccountID, errs []error) error {
	return ns.next().AddAccounts(ctx, accounts, ids, errs)
}

func (ns *nodes) SetState(ctx context.Context, id ledger.AccountID, state ledger.State) (ledger.Account, error) {
	return ns.next().SetState(ctx, id, state)
}

func (ns *nodes) AddPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error) {
	return ns.next().AddPin(ctx, id, pin)
}

func (ns *nodes) DropPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error) {
	return ns.next().DropPin(ctx, id, pin)
}

func (ns *nodes) Grant(ctx context.Context, id ledger.AccountID, amount int64) (ledger.Account, error) {
	return ns.next().Grant(ctx, id, amount)
}

func (ns *nodes) Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error) {
	return ns.next().Account(ctx, id)
}

func (ns *nodes) ClientByPin(ctx context.Context, pin ledger.Pin) (ledger.Client, error) {
	return ns.next().ClientByPin(ctx, pin)
}

func (ns *nodes) AccountByName(ctx context.Context, name string) (ledger.Account, error) {
	return ns.next().AccountByName(ctx, name)
}

func (ns *nodes) Accounts(ctx context.Context, visit func(ledger.Account) error) error {
	return ns.next().Accounts(ctx, visit)
}

func (ns *nodes) Audit(ctx context.Context) (ledger.Audit, error) { return ns.next().Audit(ctx) }
