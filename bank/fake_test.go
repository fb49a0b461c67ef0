package bank

import (
	"context"
	"sync"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// fakeLedger keeps the state rules of ARCHITECTURE.md, "Ledger", in maps. Its fields
// below mu may be set by a test before calls: an error for every call, or a status
// for one fingerprint.
type fakeLedger struct {
	mint *core.Mint
	now  time.Time

	mu       sync.Mutex
	accounts map[ledger.AccountID]*ledger.Account
	requests map[ledger.AccountID]map[ledger.RequestID]fakeWithdrawal
	live     map[core.Fingerprint]bool
	spent    map[core.Fingerprint]fakeSpent
	batches  []int // coins of every Redeem, Return and Refund call

	fail   error // returned by every call, which does nothing
	forget bool  // Redeem, Return and Refund return nil without setting an outcome
}

type fakeWithdrawal struct {
	salt core.Salt
	n    int
}

type fakeSpent struct {
	by     ledger.AccountID
	digest core.Digest
	state  string // "redeemed", "returned" or "refunded"
}

func newFakeLedger(mint *core.Mint) *fakeLedger {
	return &fakeLedger{
		mint: mint, now: time.UnixMilli(1_700_000_000_123).UTC(),
		accounts: map[ledger.AccountID]*ledger.Account{},
		requests: map[ledger.AccountID]map[ledger.RequestID]fakeWithdrawal{},
		live:     map[core.Fingerprint]bool{},
		spent:    map[core.Fingerprint]fakeSpent{},
	}
}

func (l *fakeLedger) add(name string, role ledger.Role, credit int64) ledger.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &ledger.Account{Client: ledger.Client{Name: name, Role: role}, Granted: credit}
	a.ID[0] = byte(len(l.accounts) + 1)
	l.accounts[a.ID] = a
	return a.Client
}

func (l *fakeLedger) Withdraw(_ context.Context, acc ledger.AccountID, id ledger.RequestID, salt core.Salt, n int) (core.Salt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return core.Salt{}, l.fail
	}
	if w, ok := l.requests[acc][id]; ok {
		if w.n != n {
			return core.Salt{}, ledger.ErrRequestMismatch
		}
		return w.salt, nil
	}
	a := l.accounts[acc]
	if a.Balance() < int64(n) {
		return core.Salt{}, ledger.ErrInsufficient
	}
	a.Issued += int64(n)
	if l.requests[acc] == nil {
		l.requests[acc] = map[ledger.RequestID]fakeWithdrawal{}
	}
	l.requests[acc][id] = fakeWithdrawal{salt, n}
	for _, f := range l.mint.AppendFingerprints(nil, &salt, n) {
		l.live[f] = true
	}
	return salt, nil
}

func (l *fakeLedger) enter(n int) (done bool, err error) {
	l.batches = append(l.batches, n)
	return l.fail != nil || l.forget, l.fail
}

func (l *fakeLedger) Redeem(_ context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if done, err := l.enter(len(coins)); done {
		return err
	}
	for i, c := range coins {
		s, spent := l.spent[c.Fingerprint]
		switch {
		case l.live[c.Fingerprint]:
			delete(l.live, c.Fingerprint)
			l.spent[c.Fingerprint] = fakeSpent{acc, c.Digest, "redeemed"}
			l.accounts[acc].Redeemed++
			out[i] = core.StatusOK
		case spent && s.by == acc && s.digest == c.Digest && s.state == "redeemed":
			out[i] = core.StatusRedeemedBefore
		case spent:
			out[i] = core.StatusRedeemed
		default:
			out[i] = core.StatusNotLive
		}
	}
	return nil
}

func (l *fakeLedger) Return(_ context.Context, acc ledger.AccountID, coins []ledger.Redemption, out []core.Status) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if done, err := l.enter(len(coins)); done {
		return err
	}
	for i, c := range coins {
		s, spent := l.spent[c.Fingerprint]
		switch {
		case !spent:
			out[i] = core.StatusNotLive
		case s.by != acc || s.digest != c.Digest || s.state == "refunded":
			out[i] = core.StatusRedeemed
		default:
			if s.state == "redeemed" {
				l.accounts[acc].Returned++
				l.spent[c.Fingerprint] = fakeSpent{acc, c.Digest, "returned"}
			}
			out[i] = core.StatusOK
		}
	}
	return nil
}

func (l *fakeLedger) Refund(_ context.Context, acc ledger.AccountID, coins []core.Fingerprint, out []ledger.Refund) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if done, err := l.enter(len(coins)); done {
		return err
	}
	for i, f := range coins {
		s, spent := l.spent[f]
		switch {
		case l.live[f] || s.state == "returned":
			delete(l.live, f)
			l.spent[f] = fakeSpent{by: acc, state: "refunded"}
			l.accounts[acc].Refunded++
			out[i].Status = core.StatusOK
		case spent && s.state == "refunded" && s.by == acc:
			out[i].Status = core.StatusOK
		case spent:
			out[i] = ledger.Refund{Status: core.StatusRedeemed, At: l.now, Redeemer: s.by}
		default:
			out[i].Status = core.StatusNotLive
		}
	}
	return nil
}

func (l *fakeLedger) Account(_ context.Context, id ledger.AccountID) (ledger.Account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return ledger.Account{}, l.fail
	}
	a, ok := l.accounts[id]
	if !ok {
		return ledger.Account{}, ledger.ErrNoAccount
	}
	return *a, nil
}

func (l *fakeLedger) Audit(context.Context) (ledger.Audit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := ledger.Audit{Accounts: len(l.accounts), Live: int64(len(l.live))}
	for _, s := range l.spent {
		if s.state == "returned" {
			a.Returned++
		}
	}
	for _, acc := range l.accounts {
		a.Granted += acc.Granted
		a.Balances += acc.Balance()
	}
	if a.Granted != a.Balances+a.Live+a.Returned {
		a.Problems = append(a.Problems, "granted is not balances + live + returned")
	}
	return a, l.fail
}

// world is a bank over a fake ledger, with a key of each suite and some accounts.
type world struct {
	*Bank
	fake               *fakeLedger
	mint               *core.Mint
	key, xwing, rsa    *core.PublicKey
	ring               *core.Keyring
	collector          ledger.Client
	analyst, competing ledger.Client
}

// rsaKey is made once: it takes a second.
var rsaKey = sync.OnceValue(func() *core.PrivateKey {
	k, err := core.GenerateKey(core.SuiteRSA3072)
	if err != nil {
		panic(err)
	}
	return k
})

func newWorld(t testing.TB) *world {
	t.Helper()
	k, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	pq, err := core.GenerateKey(core.SuiteXWing)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := core.NewKeyring(k, pq, rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	mint := core.NewMint(&[32]byte{1}, &[32]byte{2})
	w := &world{fake: newFakeLedger(mint), mint: mint, key: k.Public(), xwing: pq.Public(), rsa: rsaKey().Public(), ring: ring}
	w.collector = w.fake.add("cam-1", ledger.RoleCollector, 100_000)
	w.analyst = w.fake.add("lab-1", ledger.RoleAnalyst, 0)
	w.competing = w.fake.add("lab-2", ledger.RoleAnalyst, 0)
	if w.Bank, err = New(Options{Ledger: w.fake, Keys: ring, Mint: mint, URL: "https://bank.example:7443"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// coins withdraws n coins under a request id of their own.
func (w *world) coins(t testing.TB, n int) []core.Coin {
	t.Helper()
	w.fake.mu.Lock()
	id := ledger.RequestID{0xee, byte(len(w.fake.requests[w.collector.ID]))}
	w.fake.mu.Unlock()
	b, err := w.Withdraw(t.Context(), w.collector, nil, id, n)
	if err != nil {
		t.Fatal(err)
	}
	var out []core.Coin
	for ; len(b) > 0; b = b[32:] {
		out = append(out, core.Coin(b[:32]))
	}
	return out
}

// record seals one coin with an IV that repeats ivByte.
func record(t testing.TB, key *core.PublicKey, c core.Coin, ivByte byte) []byte {
	t.Helper()
	sec := secretsOf(c, ivByte)
	b, err := key.AppendHeader(nil, new(core.Scratch), &sec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
