package loadgen

import (
	"context"
	"fmt"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/loadgen/result"
)

// settleTime is how long the bank may stay away after a load before coins count as
// unsettled.
const settleTime = 90 * time.Second

// settle asks again for everything that was asked and not answered, until it is, and
// says how many coins that were, and how many are answered now.
func (w *worker) settle(ctx context.Context, a *result.Audit) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, b := range w.books() {
		w.settleCoins(ctx, b, a)
	}
	if w.withdraws == nil {
		return
	}
	var buf []byte
	for i := range w.withdraws.bought {
		all := w.withdraws.bought[i].all
		for j := range all {
			p := &all[j]
			if p.coins != nil {
				continue
			}
			a.Unanswered += int64(p.n)
			// Denied now, it was not carried out before: else its coins would come again.
			if again(ctx, func() bool {
				o := w.withdraws.ask(ctx, p, time.Now().Add(w.plan.Timeout), &buf)
				return o.verdict == good || o.denied
			}) {
				a.UnansweredSettled += int64(p.n)
			}
		}
	}
}

// again calls f until it returns true or ctx ends, with growing pauses.
func again(ctx context.Context, f func() bool) bool {
	for pause := 10 * time.Millisecond; ctx.Err() == nil; pause = min(2*pause, time.Second) {
		if f() {
			return true
		}
		sleepPlain(ctx, time.Now().Add(pause))
	}
	return false
}

// settleCoins asks again for the coins of a book in one state after the other.
func (w *worker) settleCoins(ctx context.Context, b *book, a *result.Audit) {
	for _, doubtful := range []state{asked, refunding, operating} {
		w.groups(b, doubtful, func(coins []int) {
			a.Unanswered += int64(len(coins))
			again(ctx, func() bool {
				switch doubtful {
				case asked:
					w.redeemAgain(ctx, b, coins)
				default:
					w.refundAgain(ctx, b, coins, doubtful)
				}
				left := coins[:0]
				for _, i := range coins {
					if b.state[i] == doubtful {
						left = append(left, i)
					} else {
						a.UnansweredSettled++
					}
				}
				coins = left
				return len(coins) == 0
			})
		})
	}
}

// groups calls visit with the coins in a state, up to wire.MaxBatch at a time, that one
// account may ask for together.
func (w *worker) groups(b *book, in state, visit func(coins []int)) {
	group := map[uint32][]int{}
	for i := range b.state {
		if b.state[i] != in {
			continue
		}
		who := uint32(b.by[i])
		if in != asked {
			who = b.owner(i)
		}
		if group[who] = append(group[who], i); len(group[who]) == wire.MaxBatch {
			visit(group[who])
			delete(group, who)
		}
	}
	for _, coins := range group {
		visit(coins)
	}
}

// redeemAgain asks for coins of one analyst. Whether the first request was carried out or
// this one is: either way the coin is redeemed.
func (w *worker) redeemAgain(ctx context.Context, b *book, coins []int) {
	var body []byte
	for _, i := range coins {
		body = append(body, b.record(i)...)
	}
	who := w.plan.Analysts[b.by[coins[0]]].Index
	reply, o := post(ctx, w.analysts, who, wire.PathRedeem, "", body, time.Now().Add(w.plan.Timeout), nil)
	if o.verdict != good || len(reply) != len(coins)*wire.RedeemRecordLen {
		return
	}
	var sec core.Secrets
	defer func() { sec = core.Secrets{} }()
	for j, i := range coins {
		st, err := wire.ParseRedeemRecord(reply[j*wire.RedeemRecordLen:(j+1)*wire.RedeemRecordLen], &sec)
		switch {
		case err == nil && (st == core.StatusOK || st == core.StatusRedeemedBefore) && sec.Coin == b.coins[i]:
			b.state[i] = redeemed
		case err == nil && st == core.StatusTemporary:
		default:
			b.state[i] = broken
			w.problem(fmt.Sprintf("a coin whose redeem was not answered is answered %v when asked for again", st))
		}
	}
}

// refundAgain asks for coins of one collector: of refunds that were not answered, and of
// operations without a reply.
func (w *worker) refundAgain(ctx context.Context, b *book, coins []int, from state) {
	for j, answer := range w.refund(ctx, b, coins) {
		i := coins[j]
		switch {
		case answer.status == core.StatusOK:
			b.state[i] = refunded
		case answer.status == core.StatusTemporary:
		case from == operating && answer.status == core.StatusRedeemed:
			b.state[i] = served // the analyst was paid; its reply was lost
		default:
			b.state[i] = broken
			w.problem(fmt.Sprintf("a coin whose refund was not answered is answered %v when asked for again", answer.status))
		}
	}
}

// refundAnswer is the bank's answer for one coin.
type refundAnswer struct {
	status   core.Status
	redeemer [16]byte
}

// refund asks for coins of one collector; no answers when the call failed.
func (w *worker) refund(ctx context.Context, b *book, coins []int) []refundAnswer {
	body := make([]byte, 0, len(coins)*wire.CoinLen)
	for _, i := range coins {
		body = append(body, b.coins[i][:]...)
	}
	reply, o := post(ctx, w.collectors, b.owner(coins[0]), wire.PathRefund, "", body, time.Now().Add(w.plan.Timeout), nil)
	if o.verdict != good || len(reply) != len(coins)*wire.RefundRecordLen {
		return nil
	}
	out := make([]refundAnswer, len(coins))
	for j := range out {
		st, _, redeemer, err := wire.ParseRefundRecord(reply[j*wire.RefundRecordLen : (j+1)*wire.RefundRecordLen])
		if err != nil {
			return nil
		}
		out[j] = refundAnswer{st, redeemer}
	}
	return out
}
