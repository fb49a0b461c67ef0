package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// op is one call of a client, and its answer.
type op struct {
	kind    opKind
	acc     int
	coins   []*coin
	header  []int // which header of each coin
	wd      *withdrawal
	n       int       // coins to withdraw
	salt    core.Salt // that counts if the withdrawal is new
	used    bool      // the salt was used before
	amount  int64     // to grant
	viaBank bool
	now     int64 // when it was sent, unix ms

	// What was known of the account when it was sent. A withdrawal that was sent before
	// and is still looking at its salt need not be in the answer, even if it ends first.
	least, shown books

	// What the goroutine that runs it needs, as it was then.
	account ledger.Account
	mint    *core.Mint
	ring    *core.Keyring

	done  chan struct{} // closed after ans is set
	ans   answer
	heard bool // ans was taken in
	maybe bool // the world expects that it may have happened
}

// answer is what a client was told.
type answer struct {
	err     error
	coins   []outcomeID
	salt    core.Salt   // withdrawal
	secrets []core.Coin // withdrawal through the bank
	account ledger.Account
}

// outcomeID is an outcome whose account is named by its id.
type outcomeID struct {
	status core.Status
	by     ledger.AccountID
	at     int64
}

// narrow reports whether the call goes to at most one shard, so that the order of
// all that it writes is certain.
func (o *op) narrow() bool {
	for _, c := range o.coins {
		if c.shard != o.coins[0].shard {
			return false
		}
	}
	return o.kind != withdraw || o.n == 1
}

// answered reports whether the answer is there.
func (o *op) answered() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// send runs the call in a goroutine of its own.
func (w *world) send(o *op, l *ledger.Ledger) {
	a := w.accounts[o.acc]
	o.now, o.mint, o.ring = w.nowMs(), w.mint, w.ring
	o.least, _ = w.books(o.acc)
	o.shown = a.told
	o.account = ledger.Account{Client: ledger.Client{ID: a.id, Name: a.name, Role: a.role}, Pin: a.pin}
	o.done, o.ans, o.heard, o.maybe = make(chan struct{}), answer{}, false, false
	go func() {
		ans := o.run(l)
		o.ans = ans
		close(o.done)
	}()
}

func (o *op) run(l *ledger.Ledger) (ans answer) {
	ctx := context.Background()
	switch o.kind {
	case addAccount:
		ans.account, ans.err = l.AddAccount(ctx, o.account.Name, o.account.Role, o.account.Pin)
		if errors.Is(ans.err, ledger.ErrAccountExists) {
			ans.account.Client, _ = l.ClientByPin(ctx, o.account.Pin)
		}
	case removeAccount:
		ans.account, ans.err = l.SetState(ctx, o.account.ID, ledger.Removed)
	case grant:
		ans.account, ans.err = l.Grant(ctx, o.account.ID, o.amount)
	case look:
		ans.account, ans.err = l.Account(ctx, o.account.ID)
	default:
		if o.viaBank {
			return o.ask(ctx, l)
		}
		return o.direct(ctx, l)
	}
	return ans
}

// direct calls the ledger.
func (o *op) direct(ctx context.Context, l *ledger.Ledger) (ans answer) {
	n := len(o.coins)
	fps, list := make([]core.Fingerprint, n), make([]ledger.Redemption, n)
	for i, c := range o.coins {
		fps[i] = c.fp
		list[i] = ledger.Redemption{Fingerprint: c.fp, Digest: c.headers[o.header[i]].digest}
	}
	status := make([]core.Status, n)
	switch o.kind {
	case withdraw:
		ans.salt, ans.err = l.Withdraw(ctx, o.account.ID, o.wd.id, o.salt, o.n)
		return ans
	case refund:
		out := make([]ledger.Refund, n)
		ans.err = l.Refund(ctx, o.account.ID, fps, out)
		for _, r := range out {
			x := outcomeID{status: r.Status, by: r.Redeemer}
			if !r.At.IsZero() {
				x.at = r.At.UnixMilli()
			}
			ans.coins = append(ans.coins, x)
		}
		return ans
	case redeem:
		ans.err = l.Redeem(ctx, o.account.ID, list, status)
	case giveBack:
		ans.err = l.Return(ctx, o.account.ID, list, status)
	}
	for _, s := range status {
		ans.coins = append(ans.coins, outcomeID{status: s})
	}
	return ans
}

// salted is the ledger behind a bank whose salts come from the seed.
type salted struct {
	*ledger.Ledger
	salt core.Salt
}

func (s salted) Withdraw(ctx context.Context, acc ledger.AccountID, id ledger.RequestID, _ core.Salt, n int) (core.Salt, error) {
	return s.Ledger.Withdraw(ctx, acc, id, s.salt, n)
}

// ask calls the bank, with sealed headers and coins as they travel.
func (o *op) ask(ctx context.Context, l *ledger.Ledger) (ans answer) {
	b, err := bank.New(bank.Options{Ledger: salted{l, o.salt}, Keys: o.ring, Mint: o.mint, URL: "https://bank.example"})
	if err != nil {
		return answer{err: err}
	}
	defer b.Close()
	var body, out []byte
	for i, c := range o.coins {
		if o.kind == refund {
			body = append(body, c.secret[:]...)
		} else {
			body = append(body, c.headers[o.header[i]].bytes...)
		}
	}
	switch o.kind {
	case withdraw:
		if out, ans.err = b.Withdraw(ctx, o.account.Client, nil, o.wd.id, o.n); ans.err == nil {
			ans.secrets, ans.err = wire.ParseWithdrawn(nil, out, o.n)
		}
	case redeem:
		out, ans.err = b.Redeem(ctx, o.account.Client, nil, body)
		for i := 0; ans.err == nil && i < len(o.coins); i++ {
			var s core.Secrets
			x := outcomeID{}
			x.status, ans.err = wire.ParseRedeemRecord(out[i*wire.RedeemRecordLen:][:wire.RedeemRecordLen], &s)
			c := o.coins[i]
			if told := x.status == core.StatusOK || x.status == core.StatusRedeemedBefore; told && s != (core.Secrets{Coin: c.secret, IV: c.headers[o.header[i]].iv}) {
				ans.err = errors.New("sim: the bank opened another coin or IV")
			}
			ans.coins = append(ans.coins, x)
		}
	case giveBack:
		out, ans.err = b.Return(ctx, o.account.Client, nil, body)
		for _, s := range out {
			ans.coins = append(ans.coins, outcomeID{status: core.Status(s)})
		}
	case refund:
		out, ans.err = b.Refund(ctx, o.account.Client, nil, body)
		for i := 0; ans.err == nil && i < len(o.coins); i++ {
			var x outcomeID
			var at time.Time
			x.status, at, x.by, ans.err = wire.ParseRefundRecord(out[i*wire.RefundRecordLen:][:wire.RefundRecordLen])
			if !at.IsZero() {
				x.at = at.UnixMilli()
			}
			ans.coins = append(ans.coins, x)
		}
	}
	return ans
}

// who returns the account of an id, + 1.
func (w *world) who(id ledger.AccountID) int {
	if id == (ledger.AccountID{}) {
		return 0
	}
	return 1 + slices.IndexFunc(w.accounts, func(a *account) bool { return a.id == id })
}

// learn takes in the answer of an operation, or stops the run.
func (w *world) learn(o *op) {
	o.heard = true
	a := w.accounts[o.acc]
	switch o.kind {
	case redeem, giveBack, refund:
		if o.ans.err != nil {
			violated("%v: %v", o, o.ans.err)
		}
		for i, c := range o.coins {
			got := o.ans.coins[i]
			if got.status == core.StatusTemporary {
				if !w.readFaults {
					violated("%v: a temporary failure on a disk that can be read", o)
				}
				continue
			}
			out := outcome{got.status, w.who(got.by), got.at}
			if err := c.learn(o.kind, o.acc, c.headers[o.header[i]].digest, o.now, out); err != nil {
				violated("%v: %w", o, err)
			}
		}
	case withdraw:
		w.learnWithdraw(o)
	case addAccount:
		exists := errors.Is(o.ans.err, ledger.ErrAccountExists)
		if o.ans.err != nil && !(exists && slices.Contains(a.removed, false)) || o.ans.account.State == ledger.Removed || a.id != (ledger.AccountID{}) && a.id != o.ans.account.ID {
			violated("%v: %v, %+v", o, o.ans.err, o.ans.account)
		}
		a.id, a.removed = o.ans.account.ID, []bool{false}
	case removeAccount:
		if o.ans.err != nil || o.ans.account.State != ledger.Removed {
			violated("%v: %v, %+v", o, o.ans.err, o.ans.account)
		}
		a.removed = []bool{true}
	case grant:
		lo, hi := w.balance(o.acc)
		switch {
		case errors.Is(o.ans.err, ledger.ErrInsufficient) && lo+o.amount < 0:
		case o.ans.err == nil && (o.amount > 0 || hi+o.amount >= 0):
			if !o.maybe {
				for i := range a.granted {
					a.granted[i] += o.amount
				}
			}
			w.learnAccount(o)
		default:
			violated("%v: %v; the balance was %d to %d", o, o.ans.err, lo, hi)
		}
	case look:
		if o.ans.err != nil {
			violated("%v: %v", o, o.ans.err)
		}
		w.learnAccount(o)
	}
}

// learnAccount takes in the account that an answer shows.
func (w *world) learnAccount(o *op) {
	a := w.accounts[o.acc]
	a.granted = slices.DeleteFunc(a.granted, func(g int64) bool { return g != o.ans.account.Granted })
	a.removed = slices.DeleteFunc(a.removed, func(r bool) bool { return r != (o.ans.account.State == ledger.Removed) })
	if len(a.granted) == 0 || len(a.removed) == 0 {
		violated("%v: granted or removed is not what was acknowledged: %+v", o, o.ans.account)
	}
	lo, hi := w.books(o.acc)
	lo = lo.each(o.least, minOf)
	x := o.ans.account
	got := books{x.Granted, x.Issued, x.Redeemed, x.Returned, x.Refunded}
	if got.each(lo, maxOf) != got || got.each(hi, minOf) != got {
		violated("%v: the account shows %+v; clients know %+v to %+v", o, got, lo, hi)
	}
	shown := o.shown
	shown.granted = got.granted
	if got.each(shown, maxOf) != got {
		violated("%v: the account shows %+v, and showed %+v before", o, got, shown)
	}
	a.told = a.told.each(got, maxOf)
}

func (w *world) learnWithdraw(o *op) {
	lo, hi := w.balance(o.acc)
	err := o.ans.err
	if o.used {
		if err == nil || isNamed(err) && !(errors.Is(err, ledger.ErrInsufficient) && lo < int64(o.n)) {
			violated("%v: a used salt was answered %v", o, err)
		}
		return
	}
	fresh := issue{o.salt, o.n}
	var next []issue
	add := func(i issue) {
		if !slices.Contains(next, i) {
			next = append(next, i)
		}
	}
	for _, b := range o.wd.belief {
		switch {
		case b == issue{}:
			if err == nil && w.gave(o, fresh) && hi >= int64(o.n) {
				add(fresh)
			}
			if errors.Is(err, ledger.ErrInsufficient) && lo < int64(o.n) {
				add(b)
			}
		case b.n != o.n:
			if errors.Is(err, ledger.ErrRequestMismatch) {
				add(b)
			}
		case err == nil && w.gave(o, b):
			add(b)
		}
	}
	if len(next) == 0 {
		violated("%v: answered %v; clients know %d possible withdrawals under this id, balance %d to %d", o, err, len(o.wd.belief), lo, hi)
	}
	if o.wd.belief = next; err != nil || slices.Contains(o.wd.known, next[0]) {
		return
	}
	if next[0] == fresh {
		o.wd.at = o.now
	}
	o.wd.known = append(o.wd.known, next[0])
	sealed := w.rng.IntN(4) == 0
	for _, secret := range w.mint.AppendCoins(nil, &next[0].salt, next[0].n) {
		w.newCoin(secret, state{phase: live}, sealed)
	}
}

// gave reports whether the answer gave out this issue.
func (w *world) gave(o *op, i issue) bool {
	if o.viaBank {
		return slices.Equal(o.ans.secrets, w.mint.AppendCoins(nil, &i.salt, i.n))
	}
	return o.ans.salt == i.salt
}

// isNamed reports whether an error is one that clients branch on.
func isNamed(err error) bool {
	for _, e := range []error{ledger.ErrNoAccount, ledger.ErrInsufficient, ledger.ErrRequestMismatch, ledger.ErrLowDisk, ledger.ErrOverload, ledger.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// lose takes in that no answer will come; the client will ask again.
func (w *world) lose(o *op) {
	w.expect(o)
	if o.kind != look && !o.used {
		w.doubts = append(w.doubts, o)
	}
}

// expect takes in that an operation may have happened or not.
func (w *world) expect(o *op) {
	if o.maybe || o.used {
		return
	}
	o.maybe = true
	a := w.accounts[o.acc]
	switch o.kind {
	case redeem, giveBack, refund:
		for i, c := range o.coins {
			c.lose(o.kind, o.acc, c.headers[o.header[i]].digest, o.now)
		}
	case withdraw:
		if _, hi := w.balance(o.acc); hi >= int64(o.n) && slices.Contains(o.wd.belief, issue{}) {
			if len(o.wd.belief) == 1 {
				o.wd.at = o.now
			}
			o.wd.belief = append(o.wd.belief, issue{o.salt, o.n})
		}
	case addAccount, removeAccount:
		a.removed = []bool{false, true}
	case grant:
		for _, g := range slices.Clone(a.granted) {
			if !slices.Contains(a.granted, g+o.amount) {
				a.granted = append(a.granted, g+o.amount)
			}
		}
	}
}

// again returns the call by which a client finds out what became of o.
func (w *world) again(o *op) *op {
	switch o.kind {
	case grant, removeAccount:
		return &op{kind: look, acc: o.acc}
	case addAccount:
		return &op{kind: addAccount, acc: o.acc}
	}
	retry := *o
	retry.salt = w.fresh()
	return &retry
}

func (o *op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v a%d", o.kind, o.acc)
	if o.viaBank {
		b.WriteString(" bank")
	}
	switch o.kind {
	case withdraw:
		fmt.Fprintf(&b, " w%d n=%d", o.wd.index, o.n)
		if o.used {
			b.WriteString(" used salt")
		}
	case grant:
		fmt.Fprintf(&b, " %+d", o.amount)
	}
	for i, c := range o.coins {
		fmt.Fprintf(&b, " c%d.%d", c.index, o.header[i])
	}
	return b.String()
}

// told returns the answer as the trace shows it. The outcomes of a call that went to
// several shards when the power failed depend on which of them came first; asking again
// makes them all the same, and the trace says "mine" for both.
func (o *op) told(w *world, settled bool) string {
	var b bytes.Buffer
	if o.ans.err != nil {
		fmt.Fprintf(&b, " error %q", o.ans.err)
		return b.String()
	}
	switch o.kind {
	case withdraw:
		if o.viaBank {
			fmt.Fprintf(&b, " %d coins", len(o.ans.secrets))
		} else {
			fmt.Fprintf(&b, " %x", o.ans.salt[:4])
		}
	case grant, addAccount, removeAccount, look:
		x := o.ans.account
		fmt.Fprintf(&b, " %d/%d/%d/%d/%d %v", x.Granted, x.Issued, x.Redeemed, x.Returned, x.Refunded, x.State)
	}
	for _, c := range o.ans.coins {
		switch {
		case settled && (c.status == core.StatusOK || c.status == core.StatusRedeemedBefore):
			b.WriteString(" mine")
		case c.by != ledger.AccountID{}:
			fmt.Fprintf(&b, " %d(a%d@%d)", c.status, w.who(c.by)-1, c.at)
		default:
			fmt.Fprintf(&b, " %d", c.status)
		}
	}
	return b.String()
}
