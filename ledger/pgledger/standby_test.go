package pgledger_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
)

// TestNothingIsAnsweredWithoutAStandby freezes the standby. A redeem then cannot commit, and
// one that is cancelled there commits on the primary alone, where everybody can see it: who
// asks again must not be told what a fail-over would undo.
func TestNothingIsAnsweredWithoutAStandby(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := pgtest.StartCluster(t, 1)
	dsn := c.NewDatabase()
	fingerprint := func(salt core.Salt, coin int) core.Fingerprint {
		sum := sha256.Sum256(append(salt[:], byte(coin)))
		return core.Fingerprint(sum[:16])
	}
	l, err := pgledger.Open(ctx, dsn, pgledger.Options{
		Mint: func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
			for i := range n {
				dst = append(dst, fingerprint(*salt, i))
			}
			return dst
		},
		Statements: 4, Conns: 4, Patience: time.Second, Timeout: 2 * time.Second, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	account := func(name string, role ledger.Role) ledger.AccountID {
		a, err := l.AddAccount(ctx, name, role, ledger.Pin{name[0]})
		if err != nil {
			t.Fatal(err)
		}
		return a.ID
	}
	cam, lab, rival := account("cam", ledger.RoleCollector), account("lab", ledger.RoleAnalyst), account("rival", ledger.RoleAnalyst)
	if _, err := l.Grant(ctx, cam, 10); err != nil {
		t.Fatal(err)
	}
	salt := core.Salt{1}
	if _, err := l.Withdraw(ctx, cam, ledger.RequestID{1}, salt, 2); err != nil {
		t.Fatal(err)
	}
	redeem := func(who ledger.AccountID, coin int) (core.Status, error) {
		out := make([]core.Status, 1)
		err := l.Redeem(ctx, who, []ledger.Redemption{{Fingerprint: fingerprint(salt, coin), Digest: core.Digest{1}}}, out)
		return out[0], err
	}
	if st, err := redeem(lab, 0); st != core.StatusOK || err != nil { // so that there is a connection
		t.Fatalf("a redeem: %v, %v", st, err)
	}
	primary, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Close(ctx)

	c.Standbys()[0].Freeze()
	if st, err := redeem(lab, 1); err == nil {
		t.Errorf("a redeem without a standby: %v", st)
	}
	const cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	for limit, live := time.Now().Add(time.Minute), 1; live > 0; {
		var cancelled int
		if err := primary.QueryRow(ctx, cancel).Scan(&cancelled); err != nil {
			t.Fatal(err)
		}
		if err := primary.QueryRow(ctx, "SELECT count(*) FROM coin").Scan(&live); err != nil || time.Now().After(limit) {
			t.Fatalf("the commit does not show: %v", err)
		}
	}
	if st, err := redeem(lab, 1); err == nil {
		t.Errorf("a redeem that no standby has, asked for again: %v", st)
	}

	c.Standbys()[0].Thaw()
	c.KillPrimary()
	c.Promote()
	ask := func(who ledger.AccountID) core.Status {
		for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
			if st, err := redeem(who, 1); err == nil && st != core.StatusTemporary {
				return st
			}
		}
		t.Fatal("no answer after the fail-over")
		return 0
	}
	if st := ask(lab); st != core.StatusOK && st != core.StatusRedeemedBefore { // the standby may have got it in the end
		t.Errorf("after the fail-over: %v", st)
	}
	if st := ask(rival); st != core.StatusRedeemed {
		t.Errorf("a rival after the fail-over: %v", st)
	}
	if a, err := l.Audit(ctx); err != nil || len(a.Problems) > 0 {
		t.Errorf("audit: %v, %v", a.Problems, err)
	}
}
