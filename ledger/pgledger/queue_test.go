package pgledger

import (
	"errors"
	"testing"

	"ecoin/ledger"
)

// The queue gives calls of one kind, up to a batch, each kind in turn, and what was put is
// taken even after the end.
func TestQueue(t *testing.T) {
	q := newQueue(Options{MaxQueued: 10, BatchCoins: 4})
	coins := func(n int) []ledger.Redemption { return make([]ledger.Redemption, n) }
	put := func(kind op, n int) *call {
		c := &call{op: kind, coins: coins(n), done: make(chan struct{})}
		if err := q.put(c); err != nil {
			t.Fatalf("put: %v", err)
		}
		return c
	}
	a, b, c := put(opRedeem, 2), put(opRedeem, 2), put(opRedeem, 1)
	d := put(opRefund, 5) // more than a batch
	if err := q.put(&call{coins: coins(1)}); !errors.Is(err, ledger.ErrOverload) {
		t.Errorf("put over the limit: %v", err)
	}
	want := [][]*call{{a, b}, {d}, {c}}
	for i := range want {
		got := q.take()
		if len(got) != len(want[i]) || got[0] != want[i][0] {
			t.Fatalf("take %d gave %d calls", i+1, len(got))
		}
		q.answered(got)
		<-got[len(got)-1].done
	}
	if n := q.waiting(); n != 0 {
		t.Errorf("%d coins still count", n)
	}
	put(opReturn, 1)
	q.close()
	if got := q.take(); len(got) != 1 {
		t.Error("what was put before the end is not taken")
	}
	if q.take() != nil {
		t.Error("taken after the end")
	}
}

// The coins of calls that were taken are not kept in memory.
func TestQueueForgets(t *testing.T) {
	q := newQueue(Options{MaxQueued: 10, BatchCoins: 1})
	for range 3 {
		if err := q.put(&call{coins: make([]ledger.Redemption, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	array := q.calls[opRedeem]
	if calls := q.take(); len(calls) != 1 || calls[0] == nil || array[0] != nil || array[1] == nil {
		t.Errorf("took %v of %v", calls, array)
	}
}
