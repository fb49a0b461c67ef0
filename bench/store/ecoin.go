package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// ecoinEngine is our ledger, which groups commits by itself.
type ecoinEngine struct {
	dir      string
	l        *ledger.Ledger // nil until coins are loaded
	accounts [Accounts]ledger.AccountID
}

func openEcoin(dir string) (Engine, error) { return &ecoinEngine{dir: dir}, nil }

func (e *ecoinEngine) options() ledger.Options {
	return ledger.Options{
		Mint:       core.NewMint(new([32]byte), new([32]byte)).AppendFingerprints, // nobody withdraws
		IndexBytes: 1 << 30, BallastBytes: -1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func (e *ecoinEngine) Load(coins iter.Seq[core.Fingerprint]) (err error) {
	if _, err := ledger.CreateWith(e.dir, e.options(), ledger.Pin{1}, coins, nil); err != nil {
		return err
	}
	if e.l, err = ledger.Open(e.dir, e.options()); err != nil {
		return err
	}
	ctx := context.Background()
	for i := range e.accounts {
		a, err := e.l.AddAccount(ctx, fmt.Sprintf("analyst-%d", i), ledger.RoleAnalyst, ledger.Pin{2, byte(i)})
		if err != nil {
			return err
		}
		e.accounts[i] = a.ID
	}
	for s := e.l.Stats(); s.Indexed < s.Live; s = e.l.Stats() {
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func (e *ecoinEngine) LiveBytes() (int64, error) {
	t, err := e.l.TableBytes()
	return int64(t.Live), err
}

func (e *ecoinEngine) Redeem(ctx context.Context, account uint16, coins []core.Fingerprint, out []core.Status) error {
	list := make([]ledger.Redemption, len(coins))
	for i := range coins {
		list[i] = ledger.Redemption{Fingerprint: coins[i], Digest: core.Digest(coins[i])}
	}
	return e.l.Redeem(ctx, e.accounts[account], list, out)
}

func (e *ecoinEngine) Credit(account uint16) (int64, error) {
	a, err := e.l.Account(context.Background(), e.accounts[account])
	return a.Redeemed, err
}

func (e *ecoinEngine) Close() error {
	if e.l == nil {
		return errors.New("store: nothing was loaded")
	}
	return e.l.Close()
}
