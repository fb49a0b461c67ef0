package pgledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
)

// fresh returns 32 bytes that no other call returns.
func fresh() (b [32]byte) {
	binary.BigEndian.PutUint64(b[:], freshCount.Add(1))
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	return b
}

var freshCount atomic.Uint64

func open(t testing.TB, dsn string, o pgledger.Options) *pgledger.Ledger {
	t.Helper()
	o.Mint, o.NoSync, o.Logger = benchMint, true, quiet
	l, err := pgledger.Open(context.Background(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// until repeats what a client would repeat: the same call until it has an answer.
func until(t testing.TB, what string, call func() error) {
	t.Helper()
	for range 1000 {
		err := call()
		if err == nil {
			return
		}
		if errors.Is(err, ledger.ErrInsufficient) || errors.Is(err, ledger.ErrRequestMismatch) || errors.Is(err, ledger.ErrNoAccount) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: no answer in 1000 tries", what)
}

// people are a collector with credit and two analysts.
type people struct{ collector, analyst, rival ledger.AccountID }

func addPeople(t testing.TB, l *pgledger.Ledger, credit int64) (p people) {
	t.Helper()
	for i, id := range []*ledger.AccountID{&p.collector, &p.analyst, &p.rival} {
		n := ledger.NewAccount{Name: fmt.Sprintf("%x", fresh()), Role: ledger.RoleAnalyst, Pin: fresh()}
		if i == 0 {
			n.Role, n.Credit = ledger.RoleCollector, credit
		}
		until(t, "add an account", func() error {
			var ids [1]ledger.AccountID
			var errs [1]error
			err := l.AddAccounts(context.Background(), []ledger.NewAccount{n}, ids[:], errs[:])
			if err == nil && errs[0] != nil && !errors.Is(errs[0], ledger.ErrAccountSame) {
				t.Fatal(errs[0])
			}
			*id = ids[0]
			return err
		})
	}
	return p
}

// spend withdraws n coins, redeems the first half, offers it to a rival, returns the first
// quarter and refunds both quarters that can be. It checks every answer, and returns the
// coins that were redeemed and kept.
func (p people) spend(t testing.TB, l *pgledger.Ledger, n int) []ledger.Redemption {
	ctx := context.Background()
	id, salt := fresh(), core.Salt(fresh())
	until(t, "withdraw", func() (err error) {
		got, err := l.Withdraw(ctx, p.collector, ledger.RequestID(id[:16]), salt, n)
		if err == nil {
			salt = got
		}
		return err
	})
	fps := benchMint(nil, &salt, n)
	all := make([]ledger.Redemption, n)
	for i := range all {
		all[i] = ledger.Redemption{Fingerprint: fps[i], Digest: core.Digest(fps[i])}
	}
	half, quarter := all[:n/2], all[:n/4]
	status := make([]core.Status, n)
	check := func(what string, status []core.Status, ok ...core.Status) {
		t.Helper()
		for _, s := range status {
			good := false
			for _, o := range ok {
				good = good || s == o
			}
			if !good {
				t.Errorf("%s: a coin is %v, want %v", what, s, ok)
				return
			}
		}
	}
	until(t, "redeem", func() error { return l.Redeem(ctx, p.analyst, half, status[:len(half)]) })
	check("redeem", status[:len(half)], core.StatusOK, core.StatusRedeemedBefore)
	until(t, "redeem again", func() error { return l.Redeem(ctx, p.analyst, half, status[:len(half)]) })
	check("redeem again", status[:len(half)], core.StatusRedeemedBefore)
	until(t, "the rival's redeem", func() error { return l.Redeem(ctx, p.rival, half, status[:len(half)]) })
	check("the rival's redeem", status[:len(half)], core.StatusRedeemed)
	until(t, "return", func() error { return l.Return(ctx, p.analyst, quarter, status[:len(quarter)]) })
	check("return", status[:len(quarter)], core.StatusOK)
	refund := append(append([]core.Fingerprint{}, fps[:n/4]...), fps[3*n/4:]...)
	out := make([]ledger.Refund, len(refund))
	until(t, "refund", func() error { return l.Refund(ctx, p.collector, refund, out) })
	for i, r := range out {
		status[i] = r.Status
	}
	check("refund", status[:len(out)], core.StatusOK)
	return all[n/4 : n/2]
}

// settle checks what people of that many rounds have in the end.
func (p people) settle(t testing.TB, l *pgledger.Ledger, credit int64, rounds, n int) {
	t.Helper()
	for id, balance := range map[ledger.AccountID]int64{
		p.collector: credit - int64(rounds*n) + int64(rounds)*int64(n/4+n-3*n/4),
		p.analyst:   int64(rounds) * int64(n/2-n/4),
		p.rival:     0,
	} {
		until(t, "account", func() error {
			a, err := l.Account(context.Background(), id)
			if err == nil && a.Balance() != balance {
				t.Errorf("a balance is %d, want %d (%+v)", a.Balance(), balance, a)
			}
			return err
		})
	}
}

// auditAll audits, and compares the live coins after that many rounds of all.
func auditAll(t testing.TB, l *pgledger.Ledger, rounds, n int) {
	t.Helper()
	a, err := l.Audit(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range a.Problems {
		t.Error(problem)
	}
	if want := int64(rounds) * int64(3*n/4-n/2); a.Live != want {
		t.Errorf("%d coins live, want %d", a.Live, want)
	}
}

// Connections break all the time, before requests reach the database and after it has
// done them: every answer is right, and in the end nothing was done twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	const workers, rounds, n, credit = 6, 6, 40, 1000
	p, dsn := startProxy(t, pgtest.Shared(t).NewDatabase(t))
	l := open(t, dsn, pgledger.Options{Statements: 4, Conns: 8, Patience: 200 * time.Millisecond, Timeout: 5 * time.Second})
	p.lose(40)
	var all []people
	for range workers {
		all = append(all, addPeople(t, l, credit))
	}
	var wg sync.WaitGroup
	for _, who := range all {
		wg.Go(func() {
			for range rounds {
				who.spend(t, l, n)
			}
		})
	}
	wg.Wait()
	p.lose(0)
	if p.lost[0] == 0 || p.lost[1] == 0 {
		t.Errorf("%d requests and %d answers were lost: too few to see anything", p.lost[0], p.lost[1])
	}
	t.Logf("lost %d requests and %d answers", p.lost[0], p.lost[1])
	for _, who := range all {
		who.settle(t, l, credit, rounds, n)
	}
	auditAll(t, l, workers*rounds, n)
}

// A grant whose answer is lost is done once, or its caller is told that nobody knows.
func TestLostGrants(t *testing.T) {
	t.Parallel()
	p, dsn := startProxy(t, pgtest.Shared(t).NewDatabase(t))
	l := open(t, dsn, pgledger.Options{Patience: 10 * time.Second})
	who := addPeople(t, l, 0)
	p.lose(25)
	var want, unknown int64
	for range 15 {
		_, err := l.Grant(context.Background(), who.collector, 1)
		switch {
		case err == nil:
			want++
		case !errors.Is(err, ledger.ErrUnavailable):
			unknown++
		}
	}
	p.lose(0)
	var a ledger.Account
	until(t, "account", func() (err error) {
		a, err = l.Account(context.Background(), who.collector)
		return err
	})
	if a.Granted < want || a.Granted > want+unknown {
		t.Errorf("granted %d; %d grants were confirmed, of %d nobody knows", a.Granted, want, unknown)
	}
	if unknown > 0 {
		t.Errorf("of %d grants nobody knows, though nobody else changed the account", unknown)
	}
}

// The database is killed and started again while everything works: what was answered stays.
func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	const workers, n, credit = 4, 40, 100_000
	server := pgtest.Start(t, pgtest.Options{})
	l := open(t, server.NewDatabase(t), pgledger.Options{Statements: 4, Patience: time.Second})
	var all []people
	for range workers {
		all = append(all, addPeople(t, l, credit))
	}
	var rounds [workers]int
	var done atomic.Int64
	stop := make(chan struct{})
	var kept [workers][]ledger.Redemption
	var wg sync.WaitGroup
	for i, who := range all {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				kept[i] = append(kept[i], who.spend(t, l, n)...)
				rounds[i]++
				done.Add(1)
			}
		})
	}
	for kill := range int64(3) {
		for done.Load() < (kill+1)*2*workers && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		server.Kill()
		server.Restart()
	}
	close(stop)
	wg.Wait()
	total := 0
	for i, who := range all {
		out := make([]core.Status, len(kept[i]))
		until(t, "redeem in the end", func() error { return l.Redeem(context.Background(), who.analyst, kept[i], out) })
		for _, s := range out {
			if s != core.StatusRedeemedBefore {
				t.Fatalf("a redeemed coin is %v after the kills", s)
			}
		}
		who.settle(t, l, credit, rounds[i], n)
		total += rounds[i]
	}
	auditAll(t, l, total, n)
}

// A database that hangs: calls end with an error in bounded time, and later ones are
// refused at once; when it goes on so does everything, and nothing was done twice.
func TestDatabaseHangs(t *testing.T) {
	t.Parallel()
	const credit, n = 1000, 40
	server := pgtest.Start(t, pgtest.Options{NoSync: true})
	l := open(t, server.NewDatabase(t), pgledger.Options{Statements: 2, Patience: 300 * time.Millisecond, Timeout: 500 * time.Millisecond})
	who := addPeople(t, l, credit)
	who.spend(t, l, n)
	id, salt := fresh(), core.Salt(fresh())
	coins := who.withdrawn(t, l, id, salt, 4)
	server.Freeze()
	var status [4]core.Status
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var status [4]core.Status
			if err := l.Redeem(context.Background(), who.analyst, coins, status[:]); err == nil {
				t.Error("a redeem went through on a database that hangs")
			}
		})
	}
	wg.Wait()
	refusedAtOnce := 0
	for range 20 {
		err := l.Redeem(context.Background(), who.analyst, coins, status[:])
		if errors.Is(err, ledger.ErrUnavailable) {
			refusedAtOnce++
		}
	}
	if refusedAtOnce == 0 {
		t.Error("no call was refused as unavailable")
	}
	if _, err := l.Audit(context.Background()); err == nil {
		t.Error("an audit of a database that hangs")
	}
	server.Thaw()
	until(t, "redeem after all", func() error { return l.Redeem(context.Background(), who.analyst, coins, status[:]) })
	for _, s := range status {
		if s != core.StatusOK && s != core.StatusRedeemedBefore {
			t.Errorf("a coin is %v", s)
		}
	}
	a, err := l.Account(context.Background(), who.analyst)
	if err != nil || a.Redeemed != int64(n/2+4) {
		t.Errorf("%d coins redeemed, %v, want %d", a.Redeemed, err, n/2+4)
	}
	if got, err := l.Audit(context.Background()); err != nil || !got.OK() {
		t.Errorf("audit: %v, %v", got.Problems, err)
	}
}

func (p people) withdrawn(t testing.TB, l *pgledger.Ledger, id [32]byte, salt core.Salt, n int) (out []ledger.Redemption) {
	t.Helper()
	if _, err := l.Withdraw(context.Background(), p.collector, ledger.RequestID(id[:16]), salt, n); err != nil {
		t.Fatal(err)
	}
	for _, fp := range benchMint(nil, &salt, n) {
		out = append(out, ledger.Redemption{Fingerprint: fp, Digest: core.Digest(fp)})
	}
	return out
}
