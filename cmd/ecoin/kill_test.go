package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

// newClient connects to the bank as a new account.
func (b *testBank) newClient(name, role string, credit int) *client.Client {
	b.t.Helper()
	cert, key := b.party(name, role, credit)
	id, err := identity.Load(cert, key)
	if err != nil {
		b.t.Fatal(err)
	}
	roots, err := identity.ReadRoots(b.cert())
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := client.New(client.Options{URL: b.url(), Identity: id, Roots: roots, Timeout: 5 * time.Second})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

// settle repeats a call with the same arguments until its outcome is known.
func settle[T any](t *testing.T, ask func() (T, error)) T {
	var last error
	for range 2000 {
		v, err := ask()
		last = err
		if err == nil {
			return v
		}
		if client.Definite(err) && !strings.Contains(err.Error(), "503") {
			t.Errorf("refused: %v", err)
			return v
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("no answer after 2000 tries: %v", last)
	var none T
	return none
}

// TestKillBankUnderLoad kills the bank process again and again while collectors
// withdraw and refund and analysts redeem and return. Each call whose answer was
// lost is asked again. In the end every coin must have gone exactly one way, which is
// asked of the bank coin by coin, and the ledger must agree to the last credit.
func TestKillBankUnderLoad(t *testing.T) {
	const (
		workers   = 4
		batch     = 20
		withdrawn = 60 // coins a withdrawal
	)
	kills := 6
	if raceEnabled { // which makes everything many times slower
		kills = 3
	}
	b := newBank(t)
	var keysOnce []client.Key
	ctx := context.Background()

	// round is what one worker did with the coins of one withdrawal: the first batch
	// of them redeemed, the first 5 of these returned and refunded, and the next 15
	// refunded while live; the rest lives.
	type round struct {
		id      [16]byte
		coins   []core.Coin
		records [][]byte
	}
	type worker struct {
		collector, analyst           *client.Client
		redeemed, returned, refunded int
		rounds                       []round
	}
	ws := make([]*worker, workers)
	for i := range ws {
		ws[i] = &worker{
			collector: b.newClient(fmt.Sprintf("collector-%d", i), "collector", 1_000_000),
			analyst:   b.newClient(fmt.Sprintf("analyst-%d", i), "analyst", 0),
		}
	}
	keysOnce = settle(t, func() ([]client.Key, error) { return ws[0].collector.Keys(ctx) })
	rival := b.newClient("rival", "analyst", 0)

	var stop atomic.Bool
	var running sync.WaitGroup
	for _, w := range ws {
		running.Go(func() {
			var s core.Scratch
			for !stop.Load() {
				var id [16]byte
				rand.Read(id[:])
				coins := settle(t, func() ([]core.Coin, error) { return w.collector.Withdraw(ctx, id, withdrawn) })
				if len(coins) != withdrawn {
					t.Errorf("withdrew %d coins, want %d", len(coins), withdrawn)
					return
				}
				records := make([][]byte, batch)
				for i := range records {
					secrets := core.Secrets{Coin: coins[i]}
					rand.Read(secrets.IV[:])
					r, err := keysOnce[0].Public.AppendHeader(nil, &s, &secrets)
					if err != nil {
						t.Error(err)
						return
					}
					records[i] = r
				}
				// A third is redeemed and kept, a third is refunded while live, and
				// of the redeemed third a part is returned and then refunded.
				for {
					again := false
					for i, r := range settle(t, func() ([]client.Redeemed, error) { return w.analyst.Redeem(ctx, records) }) {
						switch r.Status {
						case core.StatusOK, core.StatusRedeemedBefore:
							if r.Secrets.Coin != coins[i] {
								t.Error("the bank returned another coin")
							}
						case core.StatusTemporary:
							again = true
						default:
							t.Errorf("own redeem of a live coin: %v", r.Status)
						}
					}
					if !again {
						break
					}
				}
				w.redeemed += batch
				for _, r := range settle(t, func() ([]client.Redeemed, error) { return rival.Redeem(ctx, records[:4]) }) {
					if r.Status != core.StatusRedeemed {
						t.Errorf("a rival redeemed a coin that was acknowledged as redeemed: %v", r.Status)
					}
				}
				for _, st := range settle(t, func() ([]core.Status, error) { return w.analyst.Return(ctx, records[:5]) }) {
					if st != core.StatusOK {
						t.Errorf("return of an own coin: %v", st)
					}
				}
				w.returned += 5
				back := append(append([]core.Coin{}, coins[:5]...), coins[batch:batch+15]...)
				for _, r := range settle(t, func() ([]client.Refunded, error) { return w.collector.Refund(ctx, back) }) {
					if r.Status != core.StatusOK {
						t.Errorf("refund of a live or returned coin: %v", r.Status)
					}
				}
				w.refunded += len(back)
				for _, r := range settle(t, func() ([]client.Refunded, error) { return w.collector.Refund(ctx, coins[5:9]) }) {
					if r.Status != core.StatusRedeemed {
						t.Errorf("refund of a redeemed coin: %v", r.Status)
					}
				}
				w.rounds = append(w.rounds, round{id, coins, records})
			}
		})
	}
	for range kills {
		time.Sleep(400 * time.Millisecond)
		b.kill()
		b.start()
	}
	time.Sleep(200 * time.Millisecond)
	stop.Store(true)
	running.Wait()

	rounds := 0
	for i, w := range ws {
		a := settle(t, func() (redeemed int64, err error) {
			acc, err := w.analyst.Account(ctx)
			return acc.Balance, err
		})
		if want := int64(w.redeemed - w.returned); a != want {
			t.Errorf("analyst %d has %d credits, want %d", i, a, want)
		}
		c := settle(t, func() (refunded int64, err error) {
			acc, err := w.collector.Account(ctx)
			return acc.Refunded, err
		})
		if c != int64(w.refunded) {
			t.Errorf("collector %d has %d refunds, want %d", i, c, w.refunded)
		}
		rounds += len(w.rounds)
		for _, r := range w.rounds {
			again := settle(t, func() ([]core.Coin, error) { return w.collector.Withdraw(ctx, r.id, withdrawn) })
			if !slices.Equal(again, r.coins) {
				t.Error("a withdrawal asked for again gives other coins")
			}
			statuses := func(who *client.Client) (st []core.Status) {
				for _, a := range settle(t, func() ([]client.Redeemed, error) { return who.Redeem(ctx, r.records) }) {
					st = append(st, a.Status)
				}
				return st
			}
			own := slices.Repeat([]core.Status{core.StatusRedeemedBefore}, batch)
			copy(own, slices.Repeat([]core.Status{core.StatusRedeemed}, 5)) // returned and refunded
			if got := statuses(w.analyst); !slices.Equal(got, own) {
				t.Errorf("retries of acknowledged redeems: %v", got)
			}
			if got := statuses(rival); !slices.Equal(got, slices.Repeat([]core.Status{core.StatusRedeemed}, batch)) {
				t.Errorf("a rival's redeems: %v", got)
			}
			for i, a := range settle(t, func() ([]client.Refunded, error) { return w.collector.Refund(ctx, r.coins) }) {
				want := core.StatusOK // refunded before, or live until now
				if i >= 5 && i < batch {
					want = core.StatusRedeemed
				}
				if a.Status != want {
					t.Errorf("refund of coin %d: %v, want %v", i, a.Status, want)
				}
			}
		}
		if acc := settle(t, func() (wire.Account, error) { return w.collector.Account(ctx) }); acc.Balance != 1_000_000-int64(len(w.rounds)*(batch-5)) {
			t.Errorf("collector %d has %d credits after %d rounds", i, acc.Balance, len(w.rounds))
		}
	}
	if rounds < kills {
		t.Errorf("only %d rounds between %d kills: the test did not load the bank", rounds, kills)
	}
	t.Logf("%d rounds of %d coins across %d kills", rounds, withdrawn, kills)
	if out := mustEcoin(t, "audit", "--dir", b.dir); !strings.HasSuffix(out, "ok\n") {
		t.Errorf("audit through the running bank:\n%s", out)
	}
	b.terminate()
	if out := mustEcoin(t, "audit", "--dir", b.dir); !strings.HasSuffix(out, "ok\n") {
		t.Errorf("audit of the ledger itself:\n%s", out)
	}
}
