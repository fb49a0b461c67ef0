package sim

import (
	"fmt"
	"slices"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

const (
	maxAccounts = 40
	ghosts      = 2 // coins for each shard that were never issued
)

// pick returns one of list.
func pick[T any](w *world, list []T) T { return list[w.rng.IntN(len(list))] }

// account draws one that an answer told of, with this role.
func (w *world) account(role ledger.Role) int {
	for {
		if i := w.rng.IntN(len(w.accounts)); w.accounts[i].role == role && w.accounts[i].id != (ledger.AccountID{}) {
			return i
		}
	}
}

// next draws what some client does next.
func (w *world) next() *op {
	switch x := w.rng.IntN(100); {
	case x < 18 || len(w.coins) < 200:
		return w.nextWithdraw()
	case x < 48:
		return w.nextCoins(redeem)
	case x < 66:
		return w.nextCoins(giveBack)
	case x < 84:
		return w.nextCoins(refund)
	case x < 92:
		return &op{kind: look, acc: w.account(pick(w, []ledger.Role{ledger.RoleCollector, ledger.RoleAnalyst}))}
	case x < 97:
		o := &op{kind: grant, acc: w.account(ledger.RoleCollector), amount: 1 + w.rng.Int64N(300)}
		if w.rng.IntN(3) == 0 {
			o.amount = -o.amount
		}
		return o
	}
	return w.nextAccount()
}

// nextAccount adds an account, or removes one, or adds a removed one again.
func (w *world) nextAccount() *op {
	if len(w.accounts) < maxAccounts && w.rng.IntN(3) == 0 {
		return w.newAccount(pick(w, []ledger.Role{ledger.RoleCollector, ledger.RoleAnalyst}))
	}
	acc := w.account(pick(w, []ledger.Role{ledger.RoleCollector, ledger.RoleAnalyst}))
	if a := w.accounts[acc]; a.removed[0] && len(a.removed) == 1 {
		return &op{kind: addAccount, acc: acc}
	}
	return &op{kind: removeAccount, acc: acc}
}

func (w *world) newAccount(role ledger.Role) *op {
	w.accounts = append(w.accounts, &account{name: fmt.Sprintf("somebody %d", len(w.accounts)), role: role, pin: w.fresh(), granted: []int64{0}})
	return &op{kind: addAccount, acc: len(w.accounts) - 1}
}

// nextWithdraw draws a new withdrawal, or a repeat of one, the same or another, or one
// whose salt was used before.
func (w *world) nextWithdraw() *op {
	if x := w.rng.IntN(20); x < 5 && len(w.withdrawals) > 0 {
		o := &op{kind: withdraw, salt: w.fresh(), viaBank: w.rng.IntN(4) == 0}
		o.wd = w.withdrawals[max(0, len(w.withdrawals)-1-w.rng.IntN(30))]
		o.acc, o.n = o.wd.acc, 1+w.rng.IntN(20)
		if b := o.wd.belief[0]; x > 0 && b.n > 0 {
			o.n = b.n
		}
		return o
	}
	o := w.newWithdraw(pick(w, []int{1, 1, 1, 200, 1 + w.rng.IntN(24), 1 + w.rng.IntN(24), 1 + w.rng.IntN(24), 1 + w.rng.IntN(24)}))
	if w.rng.IntN(20) == 0 && len(w.coins) > 0 {
		if old := pick(w, w.withdrawals); len(old.known) > 0 && w.remembered(old.known[0].salt) {
			o.salt, o.used, o.viaBank = old.known[0].salt, true, false
		}
	}
	return o
}

// newWithdraw returns a withdrawal of n coins under a new id.
func (w *world) newWithdraw(n int) *op {
	o := &op{kind: withdraw, acc: w.account(ledger.RoleCollector), n: n, salt: w.fresh(), viaBank: w.rng.IntN(4) == 0}
	o.wd = &withdrawal{index: len(w.withdrawals), acc: o.acc, id: w.id(), at: w.nowMs(), belief: []issue{{}}}
	w.withdrawals = append(w.withdrawals, o.wd)
	return o
}

// remembered reports whether the ledger must know the first coin of a salt.
func (w *world) remembered(salt core.Salt) bool {
	first := w.mint.AppendCoins(nil, &salt, 1)[0]
	i := slices.IndexFunc(w.coins, func(c *coin) bool { return c.secret == first })
	return i >= 0 && !slices.ContainsFunc(w.coins[i].belief, func(s state) bool { return s.phase == forgotten })
}

// nextCoins draws a call on several coins of one shard, or now and then of any.
func (w *world) nextCoins(kind opKind) *op {
	o := &op{kind: kind}
	list := pick(w, w.shards)
	if w.rng.IntN(5) == 0 {
		list = w.coins
	}
	list = list[max(0, len(list)-1200/len(w.shards)):]
	n := 1 + w.rng.IntN(8)
	if w.rng.IntN(8) == 0 {
		n = 40
	}
	first := pick(w, list)
	s := first.belief[0]
	role := ledger.RoleAnalyst
	if kind == refund {
		role = ledger.RoleCollector
	}
	o.acc = w.account(role)
	// Most calls are by whom the coin concerns: retries, and returns of what was redeemed.
	if w.rng.IntN(3) > 0 {
		if kind == refund && s.refunder > 0 {
			o.acc = s.refunder - 1
		}
		if kind != refund && s.redeemer > 0 {
			o.acc = s.redeemer - 1
		}
	}
	o.viaBank = first.headers[0].bytes != nil && w.rng.IntN(2) == 0
	for tries := 0; len(o.coins) < n && tries < 3*n; tries++ {
		c := first
		if tries > 0 {
			c = pick(w, list)
		}
		// A return is mostly of one's own coin. One coin may stand several times in a call.
		if kind == giveBack && tries > 0 && c.belief[0].redeemer != o.acc+1 && w.rng.IntN(4) > 0 {
			continue
		}
		if o.viaBank && kind != refund && c.headers[0].bytes == nil {
			continue
		}
		h := w.rng.IntN(2)
		if w.rng.IntN(4) > 0 && c.belief[0].digest == c.headers[1-h].digest {
			h = 1 - h
		}
		o.coins, o.header = append(o.coins, c), append(o.header, h)
	}
	return o
}

// nextWave draws calls to be sent at once, whose writes come in an order that is
// certain: each goes to one shard, and but for one withdrawal none writes twice. Calls
// that do not fit are asked before.
func (w *world) nextWave(ask func(*op)) []*op {
	var ops []*op
	withdrawals := 0
	for n := 2 + w.rng.IntN(9); len(ops) < n; {
		switch o := w.next(); {
		case o.kind == withdraw && withdrawals == 0:
			withdrawals++
			ops = append(ops, o)
		case o.kind != withdraw && o.narrow() && (o.kind <= refund || o.kind == look):
			ops = append(ops, o)
		default:
			ask(o)
		}
	}
	return ops
}

// nextForgotten draws a redeem of a coin that the ledger may have forgotten by now, nil if
// there is none. What it answers must be true for ever after.
func (w *world) nextForgotten() *op {
	var list []*coin
	for _, c := range w.coins {
		if slices.ContainsFunc(c.belief, func(s state) bool { return s.phase == forgotten }) && c.belief[0].phase != forgotten {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return &op{kind: redeem, acc: w.account(ledger.RoleAnalyst), coins: []*coin{pick(w, list)}, header: []int{0}}
}

// nextLoss draws what a power loss keeps.
func (w *world) nextLoss() loss {
	return loss{percent: pick(w, []int{0, 0, 100, 1 + w.rng.IntN(99), 1 + w.rng.IntN(99)}), prefix: w.rng.IntN(2) == 0, seed: w.rng.Uint64()}
}

// nextStep draws how far the clock moves: mostly within the windows, now and then past
// them or back.
func (w *world) nextStep() time.Duration {
	s := time.Second
	return pick(w, []time.Duration{s, 7 * s, 20 * s, 20 * s, 60 * s, 130 * s, 400 * s, -30 * s})
}

// nextBootTrap draws what goes wrong while the ledger is opened; mostly nothing. It
// aims at operations that are sure to come, and to come in this order. Only early reads
// are made to fail: when its Open fails late, Pebble may panic in a compaction that it
// has begun.
func (w *world) nextBootTrap() *trap {
	if w.rng.IntN(3) > 0 {
		return nil
	}
	if w.rng.IntN(4) == 0 {
		return &trap{op: pick(w, []string{"read", "open"}), class: pick(w, []string{"log", "manifest"}), n: 1, action: fail, times: 1 + w.rng.IntN(3)}
	}
	t := &trap{op: pick(w, []string{"write", "sync", "create", "read", "open"}), n: 1 + w.rng.IntN(4), action: cut, loss: w.nextLoss()}
	switch w.rng.IntN(4) {
	case 0:
		t.op, t.n = pick(w, []string{"rename", "remove"}), 1
	case 1:
		t.op, t.class, t.n = pick(w, []string{"write", "sync"}), pick(w, []string{"log", "manifest", "table"}), 1
	}
	return t
}
