package loadgen

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/result"
)

// audit accounts for every coin of the load: it asks for what was not answered, and
// then proves what became of the coins by asking for the refund of each (or of as many as the
// plan says, drawn at random): a live coin is refunded, a redeemed one is not, and the bank
// says who redeemed it, and one that was refunded is refunded to the same collector again.
func (w *worker) audit(ctx context.Context) *result.Audit {
	a := &result.Audit{}
	w.settle(ctx, a)
	books := w.books()
	if w.withdraws != nil {
		books = append(books, w.withdraws.book())
		defer books[len(books)-1].wipe()
	}
	if n := repeated(books); n > 0 {
		w.problem(fmt.Sprintf("%d coins were issued that had been issued before", n))
	}
	for _, b := range books {
		if w.plan.Audit != 0 {
			w.prove(ctx, b)
		}
		a.Issued += int64(len(b.coins))
		for _, s := range b.state {
			switch s {
			case live:
				a.Live++
			case redeemed:
				a.Redeemed++
				a.ByFleet++
			case served:
				a.Redeemed++
			case refunded:
				a.Refunded++
			}
		}
	}
	if w.redeems != nil {
		t := &w.redeems.tricks
		a.DoubleSpends, a.DoubleSpendsRefused = t.tried[doubleSpend], t.held[doubleSpend]
		a.Retries, a.RetriesSame = t.tried[retry], t.held[retry]
		a.BadHeaders, a.BadHeadersRefused = t.tried[badHeader], t.held[badHeader]
		for _, p := range t.problems {
			w.problem(p)
		}
	}
	if left := a.Issued - a.Live - a.Redeemed - a.Refunded; left > 0 {
		w.problem(fmt.Sprintf("%d coins are neither live nor redeemed nor refunded, or nobody could say", left))
	}
	if left := a.Unanswered - a.UnansweredSettled; left > 0 {
		w.problem(fmt.Sprintf("%d coins of requests without an answer could not be settled within %v", left, settleTime))
	}
	w.mu.Lock()
	a.Proved, a.Refunds = w.proved, w.refunded
	a.Problems = w.problems
	w.mu.Unlock()
	a.OK = len(a.Problems) == 0
	return a
}

// book makes a book of everything that was withdrawn during the load.
func (w *withdraws) book() *book {
	b := &book{}
	for i := range w.bought {
		for _, p := range w.bought[i].all {
			if p.coins == nil {
				continue // a problem already: it could not be settled
			}
			b.owners = append(b.owners, span{len(b.coins), p.owner})
			b.coins = append(b.coins, p.coins...)
			clear(p.coins)
		}
	}
	b.state = make([]state, len(b.coins))
	b.by = make([]uint8, len(b.coins))
	return b
}

// prove compares what the bank says of coins with what the load believes. Live ones are
// refunded by that.
func (w *worker) prove(ctx context.Context, b *book) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	group := map[uint32][]int{}
	send := func(coins []int) {
		g.Go(func() error { w.proveSome(ctx, b, coins); return nil })
	}
	chosen := 1.0
	if n := len(b.coins); w.plan.Audit > 0 && w.plan.Audit < n {
		chosen = float64(w.plan.Audit) / float64(n)
	}
	for i, s := range b.state {
		if s != live && s != redeemed && s != served && s != refunded || chosen < 1 && rand.Float64() >= chosen {
			continue
		}
		who := b.owner(i)
		if group[who] = append(group[who], i); len(group[who]) == wire.MaxBatch {
			send(group[who])
			delete(group, who)
		}
	}
	for _, coins := range group {
		send(coins)
	}
	_ = g.Wait()
}

// proveSome asks for the coins of one collector.
func (w *worker) proveSome(ctx context.Context, b *book, coins []int) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	left := coins
	if again(ctx, func() bool {
		answers := w.refund(ctx, b, left)
		if answers == nil {
			return false
		}
		var temporary []int
		for j, a := range answers {
			if a.status == core.StatusTemporary {
				temporary = append(temporary, left[j])
				continue
			}
			w.compare(b, left[j], a)
		}
		left = temporary
		return len(left) == 0
	}) {
		return
	}
	w.problem(fmt.Sprintf("the bank does not say what became of %d coins", len(left)))
}

// compare holds one answer against what the load believes.
func (w *worker) compare(b *book, i int, a refundAnswer) {
	said := fmt.Sprintf("%v", a.status)
	// The bank keeps the evidence for a while only; a longer load cannot ask for it.
	forgotten := time.Since(w.started) > w.plan.Evidence && a.status == core.StatusNotLive
	switch b.state[i] {
	case live, refunded:
		if a.status == core.StatusOK {
			w.agreed(b.state[i] == live) // it counts as live, which it was
			return
		}
		w.problem("a coin that nobody redeemed: its refund was answered " + said)
	case redeemed:
		switch {
		case forgotten, a.status == core.StatusRedeemed && (a.redeemer == [16]byte{} || a.redeemer == w.plan.Analysts[b.by[i]].ID):
			w.agreed(false)
			return
		case a.status == core.StatusRedeemed:
			w.problem("a coin that an analyst of this load redeemed is said to be another's")
		default:
			w.problem("a redeemed coin: its refund was answered " + said)
		}
	case served:
		if forgotten || a.status == core.StatusRedeemed {
			w.agreed(false)
			return
		}
		w.problem("a coin of an operation that was served: its refund was answered " + said)
	}
	b.state[i] = broken
}

// agreed counts a coin of which the bank says what the load believes.
func (w *worker) agreed(refund bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proved++
	if refund {
		w.refunded++
	}
}

// repeated counts coins that are in the books more than once. It looks at their first 64 bits,
// which two of a million random coins share once in 37 million runs.
func repeated(books []*book) (n int) {
	var heads []uint64
	for _, b := range books {
		for i := range b.coins {
			heads = append(heads, binary.BigEndian.Uint64(b.coins[i][:]))
		}
	}
	slices.Sort(heads)
	for i := 1; i < len(heads); i++ {
		if heads[i] == heads[i-1] {
			n++
		}
	}
	clear(heads)
	return n
}

// maxProblems is how many problems of a kind are told one by one.
const maxProblems = 20

// problem notes something that must not be.
func (w *worker) problem(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.problems {
		if w.problems[i] == text {
			return
		}
	}
	if len(w.problems) < maxProblems {
		w.problems = append(w.problems, text)
	}
}
