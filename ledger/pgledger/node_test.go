package pgledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
)

// node is a ledger on a database of its own, with a clock that a test moves and two accounts.
type node struct {
	t testing.TB
	*Ledger
	dsn       string
	clock     atomic.Int64 // unix ms
	collector ledger.AccountID
	analyst   ledger.AccountID
	salts     byte
}

func newNode(t testing.TB, server *pgtest.Server, o Options) *node {
	t.Helper()
	n := &node{t: t, dsn: server.NewDatabase(t)}
	n.clock.Store(time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC).UnixMilli())
	o.Mint, o.NoSync, o.Logger = testMint, true, slog.New(slog.NewTextHandler(io.Discard, nil))
	o.Now = func() time.Time { return time.UnixMilli(n.clock.Load()) }
	var err error
	if n.Ledger, err = Open(t.Context(), n.dsn, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, role := range []ledger.Role{ledger.RoleCollector, ledger.RoleAnalyst} {
		a, err := n.AddAccount(t.Context(), role.String(), role, ledger.Pin{byte(i + 1)})
		if err == nil {
			a, err = n.Grant(t.Context(), a.ID, 1000)
		}
		if err != nil {
			t.Fatal(err)
		}
		if role == ledger.RoleCollector {
			n.collector = a.ID
		} else {
			n.analyst = a.ID
		}
	}
	return n
}

func testMint(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
	for i := range n {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(salt[:], uint32(i)))
		dst = append(dst, core.Fingerprint(sum[:16]))
	}
	return dst
}

// withdraw makes a coin live.
func (n *node) withdraw() (ledger.Redemption, error) {
	n.salts++
	salt, err := n.Withdraw(n.t.Context(), n.collector, ledger.RequestID{n.salts}, core.Salt{n.salts}, 1)
	return ledger.Redemption{Fingerprint: testMint(nil, &salt, 1)[0], Digest: core.Digest{n.salts}}, err
}

func (n *node) mustWithdraw() ledger.Redemption {
	n.t.Helper()
	coin, err := n.withdraw()
	if err != nil {
		n.t.Fatal(err)
	}
	return coin
}

func (n *node) redeem(coin ledger.Redemption) (core.Status, error) {
	var out [1]core.Status
	err := n.Redeem(n.t.Context(), n.analyst, []ledger.Redemption{coin}, out[:])
	return out[0], err
}

// sql runs statements on the node's database, beside it.
func (n *node) sql(statements ...string) {
	n.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, n.dsn)
	if err != nil {
		n.t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, s := range statements {
		if _, err := c.Exec(ctx, s); err != nil {
			n.t.Fatalf("%s: %v", s, err)
		}
	}
}
