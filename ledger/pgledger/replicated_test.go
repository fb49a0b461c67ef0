package pgledger_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
)

// While no standby confirms, nothing is acknowledged and nobody sees what is not on a
// standby, although the statements time out: pgx would cancel them, and PostgreSQL would
// then show commits that a fail-over loses.
func TestNoStandby(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	coins := r.coins(4)
	r.standby.Freeze()
	status := make([]core.Status, len(coins))
	for range 3 {
		if err := r.Redeem(r.ctx, r.analyst, coins, status); err == nil {
			t.Errorf("a redeem without a standby: %v", status)
		}
	}
	var fps [][16]byte
	for _, c := range coins {
		fps = append(fps, c.Fingerprint)
	}
	var live int
	if err := r.look.QueryRow(r.ctx, `SELECT count(*) FROM coin WHERE fp = ANY ($1)`, fps).Scan(&live); err != nil || live != len(coins) {
		t.Errorf("others see %d live coins, %v, of %d whose redeem no standby has", live, err, len(coins))
	}
	r.standby.Thaw()
	r.settle(coins)
}

// Nor is anything acknowledged when an administrator cancels the wait: then the statement
// succeeds, with a warning.
func TestWaitCancelled(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	coins := r.coins(4)
	r.standby.Freeze()
	stop := make(chan struct{})
	var cancelled atomic.Int64
	var administrator sync.WaitGroup
	administrator.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			cancelled.Add(r.cancelWaits())
		}
	})
	status := make([]core.Status, len(coins))
	for range 3 {
		if err := r.Redeem(r.ctx, r.analyst, coins, status); err == nil {
			t.Errorf("a redeem whose wait was cancelled: %v", status)
		}
	}
	close(stop)
	administrator.Wait()
	if cancelled.Load() == 0 {
		t.Error("no wait was cancelled")
	}
	r.standby.Thaw()
	r.settle(coins)
}

// A redeem whose wait was cancelled when nobody listened any more shows on the primary, and
// no standby has it. Who asks again is not told what a fail-over would undo; after one, the
// coin is redeemed once all the same.
func TestShownAndNotReplicated(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	coins := r.coins(1)
	status := make([]core.Status, 1)
	r.standby.Freeze()
	if err := r.Redeem(r.ctx, r.analyst, coins, status); err == nil {
		t.Errorf("a redeem without a standby: %v", status)
	}
	for limit, live := time.Now().Add(time.Minute), 1; live > 0; {
		r.cancelWaits()
		err := r.look.QueryRow(r.ctx, `SELECT count(*) FROM coin WHERE fp = $1`, [16]byte(coins[0].Fingerprint)).Scan(&live)
		if err != nil || time.Now().After(limit) {
			t.Fatalf("the commit does not show: %v", err)
		}
	}
	if err := r.Redeem(r.ctx, r.analyst, coins, status); err == nil {
		t.Errorf("a redeem that no standby has, asked for again: %v", status)
	}

	r.standby.Thaw()
	r.cluster.KillPrimary()
	r.cluster.Promote()
	r.settle(coins)
	until(t, "the rival's redeem", func() error { return r.Redeem(r.ctx, r.rival, coins, status) })
	if status[0] != core.StatusRedeemed {
		t.Errorf("a rival after the fail-over: %v", status)
	}
	if a, err := r.Audit(r.ctx); err != nil || len(a.Problems) > 0 {
		t.Errorf("audit: %v, %v", a.Problems, err)
	}
}

// replicated is a ledger on a primary with one standby that has to have each commit.
type replicated struct {
	t   testing.TB
	ctx context.Context
	*pgledger.Ledger
	people
	cluster *pgtest.Cluster
	standby *pgtest.Server
	look    *pgx.Conn // beside the ledger
	before  ledger.Account
}

func startReplicated(t testing.TB) *replicated {
	t.Helper()
	cluster := pgtest.StartCluster(t, 1)
	dsn := cluster.NewDatabase()
	r := &replicated{t: t, ctx: context.Background(), cluster: cluster, standby: cluster.Standbys()[0]}
	r.Ledger = open(t, dsn, pgledger.Options{Statements: 2, Patience: 2 * time.Second, Timeout: 2 * time.Second})
	r.people = addPeople(t, r.Ledger, 100)
	var wg sync.WaitGroup
	for range 8 { // so that there are connections
		wg.Go(func() { r.spend(t, r.Ledger, 8) })
	}
	wg.Wait()
	var err error
	if r.before, err = r.Account(r.ctx, r.analyst); err != nil {
		t.Fatal(err)
	}
	if r.look, err = pgx.Connect(r.ctx, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.look.Close(r.ctx) })
	return r
}

func (r *replicated) coins(n int) []ledger.Redemption {
	return r.withdrawn(r.t, r.Ledger, fresh(), fresh(), n)
}

// cancelWaits cancels what waits for the standby, as an administrator may, and returns how
// much that was.
func (r *replicated) cancelWaits() (n int64) {
	err := r.look.QueryRow(r.ctx, `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&n)
	if err != nil {
		r.t.Error(err)
	}
	return n
}

// settle redeems coins once the standby is back: each is credited once.
func (r *replicated) settle(coins []ledger.Redemption) {
	r.t.Helper()
	status := make([]core.Status, len(coins))
	until(r.t, "redeem with a standby", func() error { return r.Redeem(r.ctx, r.analyst, coins, status) })
	for _, s := range status {
		if s != core.StatusRedeemedBefore && s != core.StatusOK {
			r.t.Errorf("a coin is %v", s)
		}
	}
	a, err := r.Account(r.ctx, r.analyst)
	if err != nil || a.Redeemed != r.before.Redeemed+int64(len(coins)) {
		r.t.Errorf("%d coins redeemed, %v, want %d", a.Redeemed-r.before.Redeemed, err, len(coins))
	}
}
