package pgledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger/pgledger"
)

// While no standby confirms, nothing is acknowledged and nobody sees what is not on a
// standby, although the statements time out: pgx would cancel them, and PostgreSQL would
// then show commits that a fail-over loses.
func TestNoStandby(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cluster := pgtest.StartCluster(t, 1)
	dsn := cluster.NewDatabase()
	l := open(t, dsn, pgledger.Options{Statements: 2, Patience: time.Second, Timeout: 500 * time.Millisecond})
	who := addPeople(t, l, 100)
	var wg sync.WaitGroup
	for range 8 { // so that there are connections
		wg.Go(func() { who.spend(t, l, 8) })
	}
	wg.Wait()
	before, err := l.Account(ctx, who.analyst)
	if err != nil {
		t.Fatal(err)
	}
	coins := who.withdrawn(t, l, fresh(), fresh(), 4)
	look, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close(ctx)

	var fps [][16]byte
	for _, c := range coins {
		fps = append(fps, c.Fingerprint)
	}
	standby := cluster.Standbys()[0]
	standby.Freeze()
	status := make([]core.Status, len(coins))
	for range 3 {
		if err := l.Redeem(ctx, who.analyst, coins, status); err == nil {
			t.Errorf("a redeem without a standby: %v", status)
		}
	}
	var live int
	if err := look.QueryRow(ctx, `SELECT count(*) FROM coin WHERE fp = ANY ($1)`, fps).Scan(&live); err != nil || live != len(coins) {
		t.Errorf("others see %d live coins, %v, of %d whose redeem no standby has", live, err, len(coins))
	}
	standby.Thaw()
	until(t, "redeem with a standby", func() error { return l.Redeem(ctx, who.analyst, coins, status) })
	for _, s := range status {
		if s != core.StatusRedeemedBefore && s != core.StatusOK {
			t.Errorf("a coin is %v", s)
		}
	}
	a, err := l.Account(ctx, who.analyst)
	if err != nil || a.Redeemed != before.Redeemed+int64(len(coins)) {
		t.Errorf("%d coins redeemed, %v, want %d", a.Redeemed-before.Redeemed, err, len(coins))
	}
}
