package ledgertest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"ecoin/core"
	"ecoin/ledger"
)

// testOneWinner lets 64 analysts race for each coin, some by single calls, some by
// calls of all coins in different orders.
func testOneWinner(t *testing.T, newStore func(testing.TB) Store) {
	const racers, coins = 64, 32
	w := newWorld(t, newStore)
	fps := w.coins(w.collector(coins), coins)
	accounts := make([]ledger.AccountID, racers)
	digests := make([]core.Digest, racers)
	for i := range accounts {
		accounts[i], digests[i] = w.analyst(), w.digest()
	}
	var won [coins]atomic.Int32
	var credit [racers]int64
	together(racers, func(i int) {
		count := func(coin int, s core.Status) {
			switch s {
			case core.StatusOK:
				won[coin].Add(1)
				credit[i]++
			case core.StatusRedeemed:
			default:
				t.Errorf("racer %d, coin %d: %v", i, coin, s)
			}
		}
		if i%2 == 0 {
			for k := range coins {
				coin := (k + i) % coins
				count(coin, w.redeem(accounts[i], fps[coin], digests[i]))
			}
			return
		}
		call, out := make([]ledger.Redemption, coins), make([]core.Status, coins)
		for k := range call {
			call[k] = ledger.Redemption{Fingerprint: fps[(k+i)%coins], Digest: digests[i]}
		}
		if err := w.Redeem(w.ctx, accounts[i], call, out); err != nil {
			t.Error(err)
			return
		}
		for k := range call {
			count((k+i)%coins, out[k])
		}
	})
	for coin := range won {
		if n := won[coin].Load(); n != 1 {
			t.Errorf("coin %d was won %d times", coin, n)
		}
	}
	for i, acc := range accounts {
		w.wantBalance(acc, credit[i])
	}
	if a := w.audit(); a.Live != 0 {
		t.Errorf("%d coins are still live", a.Live)
	}
}

// testRedeemRefundRace lets an analyst and the collector race for each coin.
func testRedeemRefundRace(t *testing.T, newStore func(testing.TB) Store) {
	const coins = 200
	w := newWorld(t, newStore)
	c, an := w.collector(coins), w.analyst()
	fps, d := w.coins(c, coins), w.digest()
	redeemed, refunded := make([]core.Status, coins), make([]core.Status, coins)
	together(8, func(i int) {
		for k := i / 2; k < coins; k += 4 {
			if i%2 == 0 {
				redeemed[k] = w.redeem(an, fps[k], d)
			} else {
				refunded[k] = w.refund(c, fps[k]).Status
			}
		}
	})
	var toAnalyst, toCollector int64
	for k := range fps {
		switch [2]core.Status{redeemed[k], refunded[k]} {
		case [2]core.Status{core.StatusOK, core.StatusRedeemed}:
			toAnalyst++
		case [2]core.Status{core.StatusRedeemed, core.StatusOK}:
			toCollector++
		default:
			t.Errorf("coin %d: redeem %v, refund %v", k, redeemed[k], refunded[k])
		}
	}
	w.wantBalance(an, toAnalyst)
	w.wantBalance(c, toCollector)
}

// testReturnRefundRace lets returns, repeated, and refunds, repeated, race for each
// redeemed coin: in the end each coin's credit is at exactly one of the two.
func testReturnRefundRace(t *testing.T, newStore func(testing.TB) Store) {
	const coins = 100
	w := newWorld(t, newStore)
	c, an := w.collector(coins), w.analyst()
	fps, d := w.coins(c, coins), w.digest()
	for _, fp := range fps {
		w.redeem(an, fp, d)
	}
	var refunds [4][coins]core.Status
	together(8, func(i int) {
		for k := range fps {
			if i < 4 {
				if s := w.giveBack(an, fps[k], d); s != core.StatusOK {
					t.Errorf("return of coin %d: %v", k, s)
				}
			} else {
				refunds[i-4][k] = w.refund(c, fps[k]).Status
			}
		}
	})
	var toCollector int64
	for k := range fps {
		got := false
		for i := range refunds {
			switch refunds[i][k] {
			case core.StatusOK:
				got = true
			case core.StatusRedeemed:
			default:
				t.Errorf("refund of coin %d: %v", k, refunds[i][k])
			}
		}
		if got {
			toCollector++
		}
	}
	w.wantBalance(an, 0)
	w.wantBalance(c, toCollector)
	if a := w.audit(); a.Returned != coins-toCollector {
		t.Errorf("%d coins wait for their refund, want %d", a.Returned, coins-toCollector)
	}
}

// testWithdrawRepeatRace asks for one withdrawal many times at once.
func testWithdrawRepeatRace(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	rounds := int64(part(25))
	c := w.collector(20 * rounds)
	for round := range rounds {
		id := w.id()
		var mu sync.Mutex
		salts := make(map[core.Salt]bool)
		together(16, func(i int) {
			n := 10
			if i == 15 {
				n = 11 // loses against fifteen others, or wins against them all
			}
			salt, err := w.Withdraw(w.ctx, c, id, w.salt(), n)
			if errors.Is(err, ledger.ErrRequestMismatch) {
				return
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			salts[salt] = true
			mu.Unlock()
		})
		if len(salts) != 1 {
			t.Errorf("round %d: one request id gave %d salts", round, len(salts))
		}
	}
	a := w.account(c)
	if a.Issued < 10*rounds || a.Issued > 11*rounds {
		t.Errorf("%d request ids of 10 or 11 coins issued %d coins", rounds, a.Issued)
	}
	if audit := w.audit(); audit.Live != a.Issued {
		t.Errorf("%d coins are live, %d were issued", audit.Live, a.Issued)
	}
}

// testWithdrawBalanceRace withdraws more than there is.
func testWithdrawBalanceRace(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	for range part(20) {
		c := w.collector(105)
		var ok atomic.Int64
		together(16, func(int) {
			_, err := w.Withdraw(w.ctx, c, w.id(), w.salt(), 10)
			switch {
			case err == nil:
				ok.Add(1)
			case !errors.Is(err, ledger.ErrInsufficient):
				t.Error(err)
			}
		})
		if ok.Load() != 10 {
			t.Errorf("%d withdrawals of 10 out of 105 went through, want 10", ok.Load())
		}
		w.wantBalance(c, 5)
	}
}

// testGrantRace gives and takes credit at once, with withdrawals and refunds between.
func testGrantRace(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	c := w.collector(50)
	var granted, taken atomic.Int64
	granted.Store(50)
	together(16, func(i int) {
		for range 5 {
			switch i % 3 {
			case 0:
				if _, err := w.Grant(w.ctx, c, 3); err != nil {
					t.Error(err)
				}
				granted.Add(3)
			case 1:
				_, err := w.Grant(w.ctx, c, -7)
				if err == nil {
					taken.Add(7)
				} else if !errors.Is(err, ledger.ErrInsufficient) {
					t.Error(err)
				}
			case 2:
				salt, err := w.Withdraw(w.ctx, c, w.id(), w.salt(), 2)
				if errors.Is(err, ledger.ErrInsufficient) {
					continue
				}
				if err != nil {
					t.Error(err)
					continue
				}
				for _, fp := range mint(nil, &salt, 2) {
					if r := w.refund(c, fp); r.Status != core.StatusOK {
						t.Errorf("refund: %v", r.Status)
					}
				}
			}
			if b := w.account(c).Balance(); b < 0 {
				t.Errorf("balance of %d", b)
			}
		}
	})
	w.wantBalance(c, granted.Load()-taken.Load())
}

// testPinRace adds one pin many times at once, and removes it in between.
func testPinRace(t *testing.T, newStore func(testing.TB) Store) {
	rounds := part(50)
	w := newWorld(t, newStore)
	for range rounds {
		pin := w.pin()
		var added, removed atomic.Int64
		var mu sync.Mutex
		ids := make(map[ledger.AccountID]bool)
		together(16, func(i int) {
			a, err := w.AddAccount(w.ctx, "racer "+pin.String(), ledger.RoleAnalyst, pin)
			switch {
			case err == nil:
				added.Add(1)
				mu.Lock()
				ids[a.ID] = true
				mu.Unlock()
			case !errors.Is(err, ledger.ErrAccountExists):
				t.Error(err)
			}
			if i%4 == 0 {
				var c ledger.Client
				if c, err = w.ClientByPin(w.ctx, pin); err == nil {
					_, err = w.SetState(w.ctx, c.ID, ledger.Removed)
					removed.Add(1)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
		if len(ids) != 1 || added.Load() > removed.Load()+1 {
			t.Errorf("one pin: %d ids, %d times added, %d times removed", len(ids), added.Load(), removed.Load())
		}
	}
	if a := w.audit(); a.Accounts != rounds {
		t.Errorf("%d pins made %d accounts", rounds, a.Accounts)
	}
}

// testAuditUnderLoad audits while everything happens.
func testAuditUnderLoad(t *testing.T, newStore func(testing.TB) Store) {
	w := newWorld(t, newStore)
	an := w.analyst()
	var stop atomic.Bool
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			c := w.collector(1 << 30)
			for !stop.Load() {
				fps := w.coins(c, 16)
				d := w.digest()
				for i, fp := range fps {
					switch i % 4 {
					case 0:
						w.redeem(an, fp, d)
					case 1:
						w.refund(c, fp)
					case 2:
						w.redeem(an, fp, d)
						w.giveBack(an, fp, d)
					}
				}
				if _, err := w.Grant(w.ctx, c, 5); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range part(40) {
		w.audit()
	}
	stop.Store(true)
	load.Wait()
}
