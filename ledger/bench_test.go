package ledger

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

func benchLedger(b *testing.B) (*Ledger, AccountID) {
	o := testOptions(vfs.Default)
	o.Shards, o.CacheBytes = 0, 0
	l := open(b, b.TempDir(), o)
	return l, addAccount(b, l, 1<<40)
}

// BenchmarkRedeem redeems live coins, durably, for 16 analysts, on the disk of the
// temporary folder.
func BenchmarkRedeem(b *testing.B) {
	for _, c := range []struct{ waiters, coins int }{{256, 1}, {64, 64}} {
		b.Run(fmt.Sprintf("waiters=%d/coins=%d", c.waiters, c.coins), func(b *testing.B) {
			l, acc := benchLedger(b)
			analysts := make([]AccountID, 16)
			for i := range analysts {
				analysts[i] = addAccount(b, l, 0)
			}
			// b.N calls, spread over the waiters; the coins are issued before.
			var fps []core.Fingerprint
			for len(fps) < b.N*c.coins {
				fps = append(fps, withdraw(b, l, acc, min(maxCall, b.N*c.coins-len(fps)))...)
			}
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for w := range c.waiters {
				wg.Go(func() {
					coins, out := make([]Redemption, c.coins), make([]core.Status, c.coins)
					for {
						i := int(next.Add(1)) - 1
						if i >= b.N {
							return
						}
						for k := range coins {
							coins[k].Fingerprint = fps[i*c.coins+k]
						}
						if err := l.Redeem(ctx, analysts[w%len(analysts)], coins, out); err != nil {
							b.Error(err)
							return
						}
						for _, s := range out {
							if s != core.StatusOK {
								b.Error(s)
								return
							}
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N*c.coins)/b.Elapsed().Seconds(), "coins/s")
		})
	}
}

// BenchmarkWithdraw withdraws 1000 coins a call, for 1 and for 16 accounts at once.
func BenchmarkWithdraw(b *testing.B) {
	const n = 1000
	for _, accounts := range []int{1, 16} {
		b.Run(fmt.Sprintf("accounts=%d/coins=%d", accounts, n), func(b *testing.B) {
			l, _ := benchLedger(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			ids := make([]AccountID, accounts)
			for i := range ids {
				ids[i] = addAccount(b, l, 1<<40)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, id := range ids {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if _, err := l.Withdraw(ctx, id, freshRequest(), freshSalt(), n); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "coins/s")
		})
	}
}
