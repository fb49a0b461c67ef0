package server

import (
	"sync/atomic"
	"testing"
	"time"

	"ecoin/internal/wire"
	"ecoin/ledger"
)

// TestDrillClockJumps lets the ledger's clock jump by years, both ways, under clients that
// work: all are served, and the books balance (the harness audits at the end).
func TestDrillClockJumps(t *testing.T) {
	var jump atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
	h := startWith(t, func(o *ledger.Options) { o.Now = clock })
	collector, analyst := h.collector(), h.analyst()
	const year = 365 * 24 * time.Hour
	for i, d := range []time.Duration{0, year, -year, -20 * year, 0, 10 * time.Minute, 5 * year, time.Second} {
		jump.Store(int64(d))
		coins := collector.withdraw(20)
		r := analyst.do("POST", wire.PathRedeem, h.records(coins[:10])).want(t, "redeem", 200)
		for _, st := range statuses(r.body, wire.RedeemRecordLen) {
			if st != 0 {
				t.Fatalf("jump %d by %v: a coin is answered %d", i, d, st)
			}
		}
		r = collector.do("POST", wire.PathRefund, wire.AppendCoins(nil, coins)).want(t, "refund", 200)
		for j, st := range statuses(r.body, wire.RefundRecordLen) {
			if want := byte(4 * (1 - j/10)); st != want {
				t.Fatalf("jump %d by %v: refund of coin %d is answered %d, want %d", i, d, j, st, want)
			}
		}
	}
}
