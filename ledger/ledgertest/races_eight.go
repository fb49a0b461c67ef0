package ledgertest

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"ecoin/core"
	"ecoin/ledger"
)

// testEveryCoinEightTimes offers every coin 8 times at once: six analysts redeem it and
// two collectors ask for its refund, in calls of up to 64 coins, each in another order.
// One of the eight gets each coin; the others are told so, collectors also by whom.
func testEveryCoinEightTimes(t *testing.T, newStore func(testing.TB) Store) {
	const racers, redeemers = 8, 6
	coins := part(4000)
	w := newWorld(t, newStore)
	fps := w.coins(w.collector(int64(coins)), coins)
	var accounts [racers]ledger.AccountID
	index := make(map[ledger.AccountID]int)
	for i := range accounts {
		if accounts[i] = w.analyst(); i >= redeemers {
			accounts[i] = w.collector(0)
		}
		index[accounts[i]] = i
	}
	winner := make([]atomic.Int32, coins) // racer + 1
	named := make([][racers]int, coins)   // racer + 1 that a loser was told of
	var won [racers]int64
	together(racers, func(i int) {
		d := core.Digest{byte(i)}
		rng := rand.New(rand.NewPCG(8, uint64(i)))
		for order := rng.Perm(coins); len(order) > 0; {
			part := order[:min(len(order), 1+rng.IntN(64))]
			order = order[len(part):]
			status := make([]core.Status, len(part))
			call, list := make([]core.Fingerprint, len(part)), make([]ledger.Redemption, len(part))
			for k, c := range part {
				call[k], list[k] = fps[c], ledger.Redemption{Fingerprint: fps[c], Digest: d}
			}
			var err error
			if i < redeemers {
				err = w.Redeem(w.ctx, accounts[i], list, status)
			} else {
				out := make([]ledger.Refund, len(part))
				err = w.Refund(w.ctx, accounts[i], call, out)
				for k := range out {
					if status[k] = out[k].Status; status[k] == core.StatusRedeemed {
						named[part[k]][i] = 1 + index[out[k].Redeemer]
					}
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
			for k, c := range part {
				switch status[k] {
				case core.StatusOK:
					won[i]++
					if before := winner[c].Swap(int32(i + 1)); before != 0 {
						t.Errorf("coin %d was won by %d and by %d", c, before-1, i)
					}
				case core.StatusRedeemed:
				default:
					t.Errorf("coin %d: racer %d was told %v", c, i, status[k])
				}
			}
		}
	})
	for c := range winner {
		by := int(winner[c].Load())
		if by == 0 {
			t.Errorf("nobody won coin %d", c)
		}
		for i, n := range named[c] {
			if n != 0 && n != by {
				t.Errorf("coin %d: racer %d was told that %d has it, but %d has", c, i, n-1, by-1)
			}
		}
	}
	for i := range accounts {
		w.wantBalance(accounts[i], won[i])
	}
	if a := w.audit(); a.Live != 0 || a.Redeemed+a.Refunded != int64(coins) {
		t.Errorf("of %d coins %d are live, %d redeemed, %d refunded", coins, a.Live, a.Redeemed, a.Refunded)
	}
}
