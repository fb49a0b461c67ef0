package sim

import (
	"context"
	"crypto/sha256"
	"fmt"

	"ecoin/core"
	"ecoin/ledger"
)

// check compares everything with what clients know, once they have settled all doubts.
func (p *process) check() {
	w := p.w
	for _, c := range w.coins {
		if !c.certain() {
			violated("coin %d is in doubt though all clients asked again: %v", c.index, c.belief)
		}
	}
	for i, a := range w.accounts {
		if len(a.granted) != 1 || len(a.removed) != 1 {
			violated("account %d is in doubt though all clients asked again: %+v", i, a)
		}
		p.ask(&op{kind: look, acc: i})
	}
	p.audit(p.l)
	w.trace.add("all coins: %x", p.probe())
	w.checks += len(w.coins)
	w.lives++
}

// audit lets the ledger check itself, and what it counts against what clients know.
func (p *process) audit(l *ledger.Ledger) ledger.Audit {
	w := p.w
	a, err := l.Audit(context.Background())
	if err != nil || !a.OK() {
		violated("audit: %v, %q", err, a.Problems)
	}
	if sum := a.Balances + a.Live + a.Returned + a.Pending; sum != a.Granted {
		violated("audit: %d coins granted, %d there", a.Granted, sum)
	}
	if len(w.doubts) > 0 {
		return a
	}
	w.trace.add("audit: %d accounts, %d live, %d returned, %d spent, %d granted, %d balances, %d issued, %d redeemed, %d refunded",
		a.Accounts, a.Live, a.Returned, a.Spent, a.Granted, a.Balances, a.Issued, a.Redeemed, a.Refunded)
	var live_, back, accounts int64
	for _, c := range w.coins {
		switch c.belief[0].phase {
		case live:
			live_++
		case returned:
			back++
		}
	}
	var all books
	for i := range w.accounts {
		b, _ := w.books(i)
		all = all.add(b)
		accounts++
	}
	want := fmt.Sprint(accounts, live_, back, all.granted, all.balance(), all.issued, all.redeemed, all.refunded, 0)
	if got := fmt.Sprint(a.Accounts, a.Live, a.Returned, a.Granted, a.Balances, a.Issued, a.Redeemed, a.Refunded, a.Pending); got != want {
		violated("audit counts %s; clients know %s", got, want)
	}
	return a
}

// probe opens a copy of the disk as the end of the process would leave it. There
// everybody who redeemed asks again, and then a stranger asks for every coin: he gets
// what is live and nothing else. It returns a digest of all answers.
func (p *process) probe() [8]byte {
	w := p.w
	l, err := ledger.Open(dir, p.options(p.disk.image(loss{percent: 100})))
	if err != nil {
		violated("probe: %v", err)
	}
	ctx := context.Background()
	a, err := l.AddAccount(ctx, "stranger", ledger.RoleAnalyst, w.fresh())
	if err != nil {
		violated("probe: %v", err)
	}
	w.accounts = append(w.accounts, &account{id: a.ID})
	stranger := len(w.accounts) - 1
	sum := sha256.New()
	redeemAll := func(acc int, coins []*coin, digests []core.Digest) {
		list, status := make([]ledger.Redemption, len(coins)), make([]core.Status, len(coins))
		for i, c := range coins {
			list[i] = ledger.Redemption{Fingerprint: c.fp, Digest: digests[i]}
		}
		if err := l.Redeem(ctx, w.accounts[acc].id, list, status); err != nil {
			violated("probe: %v", err)
		}
		for i, c := range coins {
			known := *c // what happens in the copy stays there
			if err := known.learn(redeem, acc, digests[i], w.nowMs(), outcome{status: status[i]}); err != nil {
				violated("probe: %w", err)
			}
			sum.Write([]byte{byte(status[i])})
		}
	}
	for acc := range w.accounts {
		var coins []*coin
		var digests []core.Digest
		for _, c := range w.coins {
			if s := c.belief[0]; s.phase == redeemed && s.redeemer == acc+1 || acc == stranger {
				coins, digests = append(coins, c), append(digests, s.digest)
			}
			if len(coins) == 10_000 || c.index == len(w.coins)-1 && len(coins) > 0 {
				redeemAll(acc, coins, digests)
				coins, digests = nil, nil
			}
		}
	}
	if a, err := l.Audit(ctx); err != nil || !a.OK() {
		violated("probe: audit: %v, %q", err, a.Problems)
	}
	if err := l.Close(); err != nil {
		violated("probe: %v", err)
	}
	w.accounts = w.accounts[:stranger]
	return [8]byte(sum.Sum(nil))
}
