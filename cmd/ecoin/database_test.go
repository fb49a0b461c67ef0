package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/pgtest"
)

// A bank whose ledger is in a database: it says when the database is away, to clients,
// to balancers and in its metrics, and goes on by itself; audits work beside it and
// without it; its settings are checked with the database.
func TestBankOnDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	dsn := server.NewDatabase(t)
	ns := startNodes(t, dsn, 1)
	b := ns.banks[0]
	p := ns.patron(0)
	ctx := context.Background()
	coins := p.withdraw([16]byte{1})
	records := seal(t, p.key, coins)
	ns.redeem(p.analyst, 0, records[:4])

	get := func(path string) (int, string) {
		t.Helper()
		res, err := http.Get(fmt.Sprintf("http://%v%s", b.says("listening")["health"], path))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	wait := func(what string, done func() bool) {
		t.Helper()
		for limit := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("not %s after 30 s", what)
			}
		}
	}
	if _, m := get("/metrics"); !strings.Contains(m, "\necoin_database_away 0\n") || !strings.Contains(m, `ecoin_database_connections{pool="coins",state="idle"}`) {
		t.Error("the metrics do not show the database")
	}
	wait("counted", func() bool { _, m := get("/metrics"); return strings.Contains(m, "\necoin_ledger_redeemed_coins 4\n") })

	server.Stop()
	wait("away", func() bool {
		_, err := p.analyst[0].Redeem(ctx, records[4:8])
		return err != nil && strings.Contains(err.Error(), "database does not answer")
	})
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "database") {
		t.Errorf("without its database: /readyz is %d %q", code, body)
	}
	if _, m := get("/metrics"); !strings.Contains(m, "\necoin_database_away 1\n") || !strings.Contains(m, "\necoin_ready 0\n") {
		t.Error("without its database: the metrics say nothing")
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("without its database: /healthz is %d", code)
	}
	server.Restart()
	if got := ns.redeem(p.analyst, 0, records[4:8]); len(got) != 4 {
		t.Errorf("redeems after the restart: %v", got)
	}
	wait("ready", func() bool { code, _ := get("/readyz"); return code == http.StatusOK })

	audit := func(when string, args ...string) {
		t.Helper()
		code, out, errs := ecoinProcess(t, append([]string{"audit", "--dir", b.dir}, args...)...)
		if code != 0 || !strings.Contains(out, fmt.Sprintf("redeemed 8, refunded 0\ngranted %d = balances", patronCredit)) || !strings.HasSuffix(out, "ok\n") {
			t.Errorf("audit %s: %d\n%s%s", when, code, out, errs)
		}
	}
	audit("beside the bank")
	if code, out, _ := ecoinProcess(t, "bank", "--dir", b.dir, "--ledger", dsn, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--check-config"); code != 0 || !strings.Contains(out, "ok   database: PostgreSQL") {
		t.Errorf("check of the settings: %d\n%s", code, out)
	}
	if code, _, errs := ecoinProcess(t, "ledger", "backup", "--dir", b.dir, t.TempDir()+"/copy"); code == 0 || !strings.Contains(errs, "database's own tools") {
		t.Errorf("a backup: %d %s", code, errs)
	}
	b.terminate()
	audit("without the bank", "--ledger", dsn)

	execute := []string{"bank", "--dir", b.dir, "--ledger", "postgres://ecoin:secret-word@127.0.0.1:1/x", "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--check-config"}
	if code, out, errs := ecoinProcess(t, execute...); code != 1 || !strings.Contains(out, "BAD  database") || strings.Contains(out+errs, "secret-word") {
		t.Errorf("check of a database that is not there: %d\n%s%s", code, out, errs)
	}
	if code, _, errs := ecoinProcess(t, "bank", "--dir", b.dir, "--ledger", dsn, "--shards", "4"); code != 2 || !strings.Contains(errs, "--shards") {
		t.Errorf("--shards with --ledger: %d %s", code, errs)
	}
}

// Whom one node does not trust any more, the others do not either: what they remember of
// an account goes, and its open connections.
func TestNodesFollowRemovals(t *testing.T) {
	t.Parallel()
	ns := startNodes(t, pgtest.Start(t, pgtest.Options{}).NewDatabase(t), 2)
	ctx := context.Background()
	trust := func(args ...string) {
		t.Helper()
		if code, out, errs := ecoinProcess(t, append([]string{"trust"}, append(args, "--dir", ns.banks[0].dir)...)...); code != 0 {
			t.Fatalf("trust %v: %d %s%s", args, code, out, errs)
		}
	}
	cam := ns.account("cam", "collector", 5)
	there := ns.client(ns.banks[1].url(), cam, 10*time.Second)
	works := func() bool { _, err := there.Account(ctx); return err == nil }
	becomes := func(what string, want bool) {
		t.Helper()
		for limit := time.Now().Add(30 * time.Second); works() != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("the other node has not heard that the account was %s", what)
			}
		}
	}
	if !works() {
		t.Fatal("the other node does not know the account")
	}
	trust("suspend", "cam")
	becomes("suspended", false)
	trust("resume", "cam")
	becomes("resumed", true)

	dir := t.TempDir()
	mustEcoin(t, "keys", "client", "next", "--dir", dir)
	trust("add-key", "cam", "--cert", filepath.Join(dir, "next.crt"))
	trust("drop-key", "cam") // the older one
	becomes("given another key", false)
}

// Two bank processes on one database, and two analysts who offer the same coins to them at
// once, under the same headers: each coin is redeemed once and paid once.
func TestNodesRaceForCoins(t *testing.T) {
	t.Parallel()
	ns := startNodes(t, pgtest.Start(t, pgtest.Options{}).NewDatabase(t), 2)
	a, b := ns.patron(0), ns.patron(1)
	ctx := context.Background()
	won := [2]int64{}
	for round := range 8 {
		coins := a.withdraw([16]byte{byte(round)})
		records := seal(t, a.key, coins)
		var answers [2][]core.Status
		var wg sync.WaitGroup
		for i, p := range []*patron{a, b} {
			wg.Go(func() { answers[i] = ns.redeem(p.analyst, i, records) })
		}
		wg.Wait()
		for c := range records {
			first, second := answers[0][c], answers[1][c]
			switch {
			case first == core.StatusOK && second == core.StatusRedeemed:
				won[0]++
			case second == core.StatusOK && first == core.StatusRedeemed:
				won[1]++
			default:
				t.Fatalf("one coin at two banks: %v and %v", first, second)
			}
		}
	}
	for i, p := range []*patron{a, b} {
		if acc, err := p.analyst[1-i].Account(ctx); err != nil || acc.Balance != won[i] {
			t.Errorf("analyst %d won %d coins and has %d, %v", i+1, won[i], acc.Balance, err)
		}
	}
}
