package bank

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// idleOpener is an opener without workers: calls queue and stay.
func idleOpener() *opener {
	o := &opener{queues: map[ledger.AccountID]*accountQueue{}}
	o.work.L = &o.mu
	return o
}

// queue lets an account call with n records, and returns once they wait.
func (o *opener) queue(wg *sync.WaitGroup, account byte, n int) *batch {
	w := newBatch()
	w.records = make([][]byte, n)
	before := o.queued()
	wg.Go(func() { o.open(ledger.AccountID{account}, w) })
	for o.queued() != before+n {
	}
	return w
}

// TestTurns looks at whose records a worker gets: all in turn, in order of arrival, a
// flood no more than the others.
func TestTurns(t *testing.T) {
	o := idleOpener()
	var wg sync.WaitGroup
	flood := o.queue(&wg, 1, 1000)
	small := o.queue(&wg, 2, 1)
	first, second := o.queue(&wg, 3, 5), o.queue(&wg, 3, 20)
	for i, want := range [][]piece{
		{{flood, 0, 8}, {small, 0, 1}, {first, 0, 5}, {second, 0, 3}, {flood, 8, 16}, {second, 3, 11}, {flood, 16, 24}, {second, 11, 19}, {flood, 24, 32}, {second, 19, 20}, {flood, 32, 38}},
		{{flood, 38, 46}, {flood, 46, 54}, {flood, 54, 62}, {flood, 62, 70}, {flood, 70, 78}, {flood, 78, 86}, {flood, 86, 94}, {flood, 94, 102}},
	} {
		if got := o.take(nil); !slices.Equal(got, want) {
			t.Fatalf("batch %d: %v, want %v", i, got, want)
		}
	}
	late := o.queue(&wg, 2, 9)
	if got, want := o.take(nil)[:3], []piece{{flood, 102, 110}, {late, 0, 8}, {flood, 110, 118}}; !slices.Equal(got, want) {
		t.Errorf("after a newcomer: %v, want %v", got, want)
	}
	for got := o.take(nil); o.queued() > 0; got = o.take(nil) {
		if n := size(got); n != openBatch {
			t.Fatalf("a batch of %d while more wait", n)
		}
	}
	if len(o.queues) != 0 || o.first != nil {
		t.Error("queues stay behind")
	}
	for _, w := range []*batch{flood, small, first, second, late} {
		w.opened <- struct{}{}
	}
	wg.Wait()
}

func size(pieces []piece) (n int) {
	for _, p := range pieces {
		n += p.to - p.from
	}
	return n
}

// TestCallsTogether redeems from many goroutines of two accounts, lone records and many,
// good and bad: everybody gets the answers to his own.
func TestCallsTogether(t *testing.T) {
	w := newWorld(t)
	const calls = 64
	coins := w.coins(t, 20*calls)
	var wg sync.WaitGroup
	for i := range calls {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		mine := coins[20*i : 20*(i+1)]
		account, keys := w.analyst, []*core.PublicKey{w.key, w.xwing}
		if i%2 == 1 {
			account = w.competing
		}
		wg.Go(func() {
			for len(mine) > 0 {
				n := min(1+rng.IntN(7)*rng.IntN(2), len(mine))
				var body []byte
				var good []bool
				for _, c := range mine[:n] {
					r := record(t, keys[rng.IntN(len(keys))], c, byte(i))
					good = append(good, rng.IntN(4) > 0)
					if !good[len(good)-1] {
						r[len(r)-1] ^= 1
					}
					body = append(body, r...)
				}
				out, err := w.Redeem(t.Context(), account, nil, body)
				if err != nil {
					t.Error(err)
					return
				}
				for j, c := range mine[:n] {
					want := wire.AppendRedeemRecord(nil, core.StatusNotOpen, nil)
					if good[j] {
						s := secretsOf(c, byte(i))
						want = wire.AppendRedeemRecord(nil, core.StatusOK, &s)
					}
					if got := out[j*wire.RedeemRecordLen:][:wire.RedeemRecordLen]; !bytes.Equal(got, want) {
						t.Errorf("call of %d records, record %d (good %v): status %d", n, j, good[j], got[0])
					}
				}
				mine = mine[n:]
			}
		})
	}
	wg.Wait()
	if s := &w.stages; s.records.Load() != 20*calls || s.batches.Load() > s.records.Load() || w.room.coins.InUse() != 0 {
		t.Errorf("%d records in %d batches, %d coins under way", s.records.Load(), s.batches.Load(), w.room.coins.InUse())
	}
}
