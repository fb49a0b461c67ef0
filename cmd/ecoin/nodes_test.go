package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

// nodes are several banks on one database, with the same keys, and what their clients saw.
type nodes struct {
	t     *testing.T
	banks []*testBank
	roots string // certificate of all of them

	asked atomic.Int64 // calls that were asked again

	mu      sync.Mutex
	last    []time.Time     // when each node acknowledged a write
	longest []time.Duration // between two such moments
}

// startNodes starts n banks on a database.
func startNodes(t *testing.T, dsn string, n int) *nodes {
	t.Helper()
	ns := &nodes{t: t, last: make([]time.Time, n), longest: make([]time.Duration, n)}
	first := newBank(t, "--ledger", dsn)
	ns.banks, ns.roots = append(ns.banks, first), first.cert()
	for len(ns.banks) < n {
		b := ns.prepare(dsn)
		b.start()
		ns.banks = append(ns.banks, b)
	}
	return ns
}

// prepare returns another node, which is not started.
func (ns *nodes) prepare(dsn string) *testBank {
	ns.t.Helper()
	dir, err := os.MkdirTemp("", "ecoin-test-")
	if err != nil {
		ns.t.Fatal(err)
	}
	ns.t.Cleanup(func() { os.RemoveAll(dir) })
	from, to := filepath.Join(ns.banks[0].dir, "keys"), filepath.Join(dir, "keys")
	files, err := os.ReadDir(from)
	if err := errors.Join(err, os.Mkdir(to, 0o700)); err != nil {
		ns.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err := errors.Join(err, os.WriteFile(filepath.Join(to, f.Name()), b, 0o600)); err != nil {
			ns.t.Fatal(err)
		}
	}
	return &testBank{t: ns.t, dir: dir, listen: "127.0.0.1:0", args: []string{"--ledger", dsn}}
}

// clients opens an account and returns a client of it for each node.
func (ns *nodes) clients(name, role string, credit int) (out []*client.Client) {
	ns.t.Helper()
	id := ns.account(name, role, credit)
	for _, b := range ns.banks {
		out = append(out, ns.client(b.url(), id, 10*time.Second))
	}
	return out
}

// account opens an account through the first node.
func (ns *nodes) account(name, role string, credit int) *identity.Identity {
	ns.t.Helper()
	id, err := identity.Load(ns.banks[0].party(name, role, credit))
	if err != nil {
		ns.t.Fatal(err)
	}
	return id
}

func (ns *nodes) client(url string, id *identity.Identity, timeout time.Duration) *client.Client {
	ns.t.Helper()
	roots, err := identity.ReadRoots(ns.roots)
	if err != nil {
		ns.t.Fatal(err)
	}
	c, err := client.New(client.Options{URL: url, Identity: id, Roots: roots, Timeout: timeout})
	if err != nil {
		ns.t.Fatal(err)
	}
	ns.t.Cleanup(c.Close)
	return c
}

// askLimit is how long a call may go without an answer, over all nodes.
const askLimit = 60 * time.Second

// ask repeats a call with the same arguments until its outcome is known: at the node home,
// and while that does not answer at the others in turn.
func ask[T any](ns *nodes, home int, of func(node int) (T, error)) T {
	var last error
	for try, limit := 0, time.Now().Add(askLimit); time.Now().Before(limit); try++ {
		node := (home + try) % len(ns.banks)
		v, err := of(node)
		if err == nil {
			ns.acknowledged(node) // keys and accounts are read before and after the load alone
			return v
		}
		var p *problem.Problem
		if errors.As(err, &p) && p.Status != 503 {
			ns.t.Errorf("refused: %v", err)
			return v
		}
		last = err
		ns.asked.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
	ns.t.Errorf("no node answered for %v: %v", askLimit, last)
	var none T
	return none
}

func (ns *nodes) acknowledged(node int) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	now := time.Now()
	if before := ns.last[node]; !before.IsZero() {
		ns.longest[node] = max(ns.longest[node], now.Sub(before))
	}
	ns.last[node] = now
}

// gaps returns the longest times for which each node acknowledged no write, since the last
// time that somebody asked.
func (ns *nodes) gaps() string {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	var out []string
	for i, d := range ns.longest {
		out = append(out, fmt.Sprintf("node %d %v", i+1, max(d, time.Since(ns.last[i])).Round(time.Millisecond)))
	}
	clear(ns.longest)
	return strings.Join(out, ", ")
}

// Of each withdrawal the first coins are redeemed, the next refunded, and the others live.
const (
	withdrawnCoins = 100
	redeemedCoins  = 60
	refundedCoins  = 20
)

// round is a withdrawal, and what was acknowledged.
type round struct {
	id      [16]byte
	coins   []core.Coin
	records [][]byte
}

// patron withdraws, redeems and refunds, round after round.
type patron struct {
	ns                 *nodes
	collector, analyst []*client.Client // of each node
	home               int
	key                *core.PublicKey
	rounds             []round
	done               atomic.Int64 // rounds
}

const patronCredit = 10_000_000

func (ns *nodes) patron(i int) *patron {
	ns.t.Helper()
	p := &patron{
		ns: ns, home: i % len(ns.banks),
		collector: ns.clients(fmt.Sprintf("cam-%d", i), "collector", patronCredit),
		analyst:   ns.clients(fmt.Sprintf("lab-%d", i), "analyst", 0),
	}
	p.key = ask(ns, p.home, func(node int) ([]client.Key, error) { return p.collector[node].Keys(context.Background()) })[0].Public
	return p
}

// run does rounds until stop is closed, and finishes the one under way.
func (p *patron) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		var r round
		rand.Read(r.id[:])
		if r.coins = p.withdraw(r.id); len(r.coins) != withdrawnCoins {
			return // ask has said why
		}
		r.records = seal(p.ns.t, p.key, r.coins)
		for i, st := range p.ns.redeem(p.analyst, p.home, r.records[:redeemedCoins]) {
			if st != core.StatusOK && st != core.StatusRedeemedBefore {
				p.ns.t.Errorf("redeem of live coin %d: %v", i, st)
			}
		}
		for i, st := range p.refund(r.refunded()) {
			if st != core.StatusOK {
				p.ns.t.Errorf("refund of live coin %d: %v", i, st)
			}
		}
		p.rounds = append(p.rounds, r)
		p.done.Add(1)
	}
}

func (r *round) refunded() []core.Coin { return r.coins[redeemedCoins : redeemedCoins+refundedCoins] }

func (p *patron) withdraw(id [16]byte) []core.Coin {
	return ask(p.ns, p.home, func(node int) ([]core.Coin, error) {
		return p.collector[node].Withdraw(context.Background(), id, withdrawnCoins)
	})
}

func seal(t *testing.T, key *core.PublicKey, coins []core.Coin) [][]byte {
	var s core.Scratch
	records := make([][]byte, len(coins))
	for i, c := range coins {
		secrets := core.Secrets{Coin: c}
		rand.Read(secrets.IV[:])
		var err error
		if records[i], err = key.AppendHeader(nil, &s, &secrets); err != nil {
			t.Error(err)
		}
	}
	return records
}

// redeem asks until no coin has a temporary answer, and returns the last ones.
func (ns *nodes) redeem(who []*client.Client, home int, records [][]byte) []core.Status {
	for {
		var out []core.Status
		for _, r := range ask(ns, home, func(node int) ([]client.Redeemed, error) {
			return who[node].Redeem(context.Background(), records)
		}) {
			out = append(out, r.Status)
		}
		if !slices.Contains(out, core.StatusTemporary) {
			return out
		}
	}
}

func (p *patron) refund(coins []core.Coin) []core.Status {
	for {
		var out []core.Status
		for _, r := range ask(p.ns, p.home, func(node int) ([]client.Refunded, error) {
			return p.collector[node].Refund(context.Background(), coins)
		}) {
			out = append(out, r.Status)
		}
		if !slices.Contains(out, core.StatusTemporary) {
			return out
		}
	}
}

// verdict is what asking for every coin again found.
type verdict struct {
	rounds, redeemed int // in all
	lost             int // redeems that were acknowledged and are not known any more
	revived          int // coins that could be redeemed twice
	missing          int // coins that were issued and could not be redeemed, or not for the withdrawal's owner
}

// audit asks for every coin of all patrons again, and compares balances. Nobody may be
// working any more; the coins that were live are not afterwards.
func (ns *nodes) audit(patrons []*patron) (v verdict) {
	rival := ns.clients("rival", "analyst", 0)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range patrons {
		wg.Go(func() {
			mine := p.audit(rival)
			mu.Lock()
			defer mu.Unlock()
			v.rounds += mine.rounds
			v.redeemed += mine.redeemed
			v.lost += mine.lost
			v.revived += mine.revived
			v.missing += mine.missing
		})
	}
	wg.Wait()
	for i, b := range ns.banks {
		if out := mustEcoin(ns.t, "audit", "--dir", b.dir); !strings.HasSuffix(out, "ok\n") {
			ns.t.Errorf("audit by node %d:\n%s", i+1, out)
		}
	}
	return v
}

func (p *patron) audit(rival []*client.Client) (v verdict) {
	ctx := context.Background()
	v.rounds, v.redeemed = len(p.rounds), len(p.rounds)*redeemedCoins
	account := func(who []*client.Client) wire.Account {
		return ask(p.ns, p.home, func(node int) (wire.Account, error) { return who[node].Account(ctx) })
	}
	if a := account(p.analyst); a.Redeemed != int64(v.redeemed) {
		p.ns.t.Errorf("an analyst that redeemed %d coins has credit for %d", v.redeemed, a.Redeemed)
	}
	a := account(p.collector)
	if out, back := int64(v.rounds*withdrawnCoins), int64(v.rounds*refundedCoins); a.Issued != out || a.Refunded != back || a.Balance != patronCredit-out+back {
		p.ns.t.Errorf("a collector that withdrew %d coins and refunded %d: %+v", out, back, a)
	}
	count := func(n *int, got []core.Status, bad func(core.Status) bool) {
		for _, st := range got {
			if bad(st) {
				*n++
			}
		}
	}
	isNot := func(want core.Status) func(core.Status) bool {
		return func(st core.Status) bool { return st != want }
	}
	redeems := func(st core.Status) bool { return st == core.StatusOK || st == core.StatusRedeemedBefore }
	i := 0
	for rounds := range slices.Chunk(p.rounds, wire.MaxBatch/redeemedCoins) {
		p.home, i = i%len(p.ns.banks), i+1 // every node is asked
		var redeemed, live [][]byte
		var refunded []core.Coin
		for _, r := range rounds {
			if !slices.Equal(p.withdraw(r.id), r.coins) {
				v.missing += withdrawnCoins
			}
			redeemed, live = append(redeemed, r.records[:redeemedCoins]...), append(live, r.records[redeemedCoins+refundedCoins:]...)
			refunded = append(refunded, r.refunded()...)
		}
		count(&v.lost, p.ns.redeem(p.analyst, p.home, redeemed), isNot(core.StatusRedeemedBefore))
		count(&v.revived, p.ns.redeem(rival, p.home, redeemed), redeems)
		count(&v.revived, p.ns.redeem(rival, p.home, seal(p.ns.t, p.key, refunded)), redeems)
		count(&v.lost, p.refund(refunded), isNot(core.StatusOK))
		count(&v.missing, p.ns.redeem(rival, p.home, live), isNot(core.StatusOK))
	}
	return v
}

// work has patrons work until the returned function is called, which waits for them.
func (ns *nodes) work(patrons []*patron) (end func()) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, p := range patrons {
		wg.Go(func() { p.run(stop) })
	}
	return sync.OnceFunc(func() { close(stop); wg.Wait() })
}

// progress waits until each patron has done n rounds more.
func (ns *nodes) progress(patrons []*patron, n int64) {
	ns.t.Helper()
	for i, p := range patrons {
		want := p.done.Load() + n
		for limit := time.Now().Add(askLimit); p.done.Load() < want; time.Sleep(5 * time.Millisecond) {
			if ns.t.Failed() || time.Now().After(limit) {
				var logs []string
				for _, b := range ns.banks {
					log := b.logText()
					logs = append(logs, log[max(0, len(log)-2000):])
				}
				ns.t.Fatalf("patron %d is not served; the banks say\n%s", i, strings.Join(logs, "\n\n"))
			}
		}
	}
}
