package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/collector/wallet"
	"ecoin/core"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

func refusal(status int) error {
	return fmt.Errorf("client: withdraw: %w", problem.New(status, "as the test wants"))
}

func TestWalletAgreesWithTheBankOnLimits(t *testing.T) {
	if wallet.MaxWithdraw != wire.MaxWithdraw {
		t.Errorf("the wallet withdraws %d coins at most, the bank gives %d", wallet.MaxWithdraw, wire.MaxWithdraw)
	}
}

func TestRefill(t *testing.T) {
	v := newWorld(t, 0, 12, func(o *Options) { o.Refill, o.Low = 5, 2 })
	for i := range 12 {
		if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
			t.Fatalf("operation %d: %v", i, err)
		}
	}
	// 0 -> 5, at 2 left -> 7, at 2 left -> 4, because the balance is 2 then.
	if got := len(v.bank.withdrawals); got != 3 {
		t.Errorf("%d withdrawals, want 3", got)
	}
	_, err := v.c.Do(ctx, "summary", []byte("x"))
	if !errors.Is(err, ErrNoCoin) || !strings.Contains(err.Error(), "402") || !strings.Contains(err.Error(), "ecoin trust credit") {
		t.Errorf("without credit: %v", err)
	}
	v.wantCounts(wallet.Counts{})
}

func TestEmptyWallet(t *testing.T) {
	v := newWorld(t, 0, 10)
	_, err := v.c.Do(ctx, "summary", []byte("x"))
	if !errors.Is(err, ErrNoCoin) || !errors.Is(err, wallet.ErrEmpty) {
		t.Errorf("error %v", err)
	}
	if v.bank.calls["withdraw"] != 0 {
		t.Error("coins were withdrawn unasked")
	}
}

func TestRefillOnceForAll(t *testing.T) {
	v := newWorld(t, 0, 100, func(o *Options) { o.Refill = 20 })
	var g sync.WaitGroup
	for range 10 {
		g.Go(func() {
			if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n := v.bank.calls["withdraw"]; n != 1 {
		t.Errorf("%d withdrawals for ten operations at once, want 1", n)
	}
}

// An early top-up that fails does not hold operations up, nor is it tried for each.
func TestEarlyRefillMayFail(t *testing.T) {
	v := newWorld(t, 4, 10, func(o *Options) { o.Refill, o.Low = 9, 8 })
	v.bank.set(func() { v.bank.refuse = refusal(http.StatusServiceUnavailable) })
	v.c.keys.fixed = v.bank.key.Public()
	calls := v.bank.calls["withdraw"]
	for range 4 {
		if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if n := v.bank.calls["withdraw"] - calls; n != 1 {
		t.Errorf("%d questions, want 1", n)
	}
	if _, err := v.c.Do(ctx, "summary", []byte("x")); !errors.Is(err, ErrNoCoin) {
		t.Errorf("empty: %v", err)
	}
}

func TestWithdrawLostAnswers(t *testing.T) {
	v := newWorld(t, 0, 10)
	v.bank.lose = 2
	for range 2 {
		if _, err := v.c.Withdraw(ctx, 4); !errors.Is(err, errLost) {
			t.Fatalf("error %v", err)
		}
	}
	v.wantCounts(wallet.Counts{Requests: 1})
	// An operation completes the withdrawal, though it may make none of its own.
	if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
		t.Fatal(err)
	}
	v.wantCounts(wallet.Counts{Coins: 3})
	if v.bank.balance != 6 || len(v.bank.withdrawals) != 1 {
		t.Errorf("balance %d after %d withdrawals, want 6 after one", v.bank.balance, len(v.bank.withdrawals))
	}
}

func TestWithdrawRefusals(t *testing.T) {
	tests := []struct {
		name     string
		lose     int
		refuse   error
		requests int // left
	}{
		{"overloaded", 0, refusal(http.StatusServiceUnavailable), 0},
		{"overloaded after a lost answer", 1, refusal(http.StatusServiceUnavailable), 1},
		{"wrong role", 0, refusal(http.StatusForbidden), 0},
		{"no credit", 0, refusal(http.StatusPaymentRequired), 0},
		{"no credit after a lost answer", 1, refusal(http.StatusPaymentRequired), 1},
		{"another count", 0, refusal(http.StatusConflict), 0},
		{"another count after a lost answer", 1, refusal(http.StatusConflict), 1},
		{"unknown", 0, errors.New("connection reset"), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newWorld(t, 0, 10)
			v.bank.lose = tt.lose
			for range tt.lose {
				if _, err := v.c.Withdraw(ctx, 4); !errors.Is(err, errLost) {
					t.Fatal(err)
				}
			}
			v.bank.refuse = tt.refuse
			if _, err := v.c.Withdraw(ctx, 4); !errors.Is(err, tt.refuse) {
				t.Errorf("error %v, want %v", err, tt.refuse)
			}
			v.wantCounts(wallet.Counts{Requests: tt.requests})
			if changed := strings.HasPrefix(tt.name, "another count after"); (len(v.w.Problems()) == 1) != changed {
				t.Errorf("problems %v", v.w.Problems())
			}
		})
	}
}

// delayedBank keeps its first withdrawal waiting, beyond the client's patience, until
// release.
type delayedBank struct {
	*fakeBank
	release func() ([]core.Coin, error) // of what waits; nil before
}

func (b *delayedBank) Withdraw(ctx context.Context, id [16]byte, n int) ([]core.Coin, error) {
	if b.release == nil {
		b.release = func() ([]core.Coin, error) { return b.fakeBank.Withdraw(ctx, id, n) }
		return nil, errLost
	}
	return b.fakeBank.Withdraw(ctx, id, n)
}

// TestDelayedWithdrawal: a withdrawal waits inside the bank while the account has too
// little credit for it. The collector goes on with the credit there is, and has the
// coins of that withdrawal when it went through after all.
func TestDelayedWithdrawal(t *testing.T) {
	var bank *delayedBank
	v := newWorld(t, 0, 2, func(o *Options) {
		bank = &delayedBank{fakeBank: o.Bank.(*fakeBank)}
		o.Bank, o.Refill = bank, 4
	})
	if _, err := v.c.Do(ctx, "summary", []byte("x")); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	work := func() {
		t.Helper()
		if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	work()
	work()
	v.wantCounts(wallet.Counts{Requests: 1})
	if _, err := v.c.Do(ctx, "summary", []byte("x")); !errors.Is(err, ErrNoCoin) || passing(err) || !strings.Contains(err.Error(), "ecoin trust credit") {
		t.Errorf("without credit: %v", err)
	}
	v.wantCounts(wallet.Counts{Requests: 1})

	v.bank.balance = 5
	if _, err := bank.release(); err != nil {
		t.Fatal(err)
	}
	work()
	v.wantCounts(wallet.Counts{Coins: 4}) // left of 4 that came late and 1 for the credit left
	if v.bank.balance != 0 || len(v.bank.coins) != 7 {
		t.Errorf("balance %d, %d coins made", v.bank.balance, len(v.bank.coins))
	}
}

func TestWithdrawNumbers(t *testing.T) {
	v := newWorld(t, 0, 7)
	for _, n := range []int{0, -3} {
		if _, err := v.c.Withdraw(ctx, n); err == nil || !strings.Contains(err.Error(), "choose 1 or more") {
			t.Errorf("%d coins: %v", n, err)
		}
	}
	if n, err := v.c.Withdraw(ctx, 30); err != nil || n != 7 {
		t.Errorf("more than the balance: %d coins, %v; want the 7 there are", n, err)
	}
	if _, err := v.c.Withdraw(ctx, 1); err == nil || !strings.Contains(err.Error(), "402") {
		t.Errorf("without balance: %v", err)
	}
	v.wantCounts(wallet.Counts{Coins: 7})
}

func TestRefund(t *testing.T) {
	v := newWorld(t, 4, 0)
	statuses := []core.Status{core.StatusOK, core.StatusNotLive, core.StatusRedeemed, core.StatusTemporary}
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		req, err := core.ParseRequest(request)
		var sec core.Secrets
		if err == nil {
			err = v.bank.redeem(req.AppendRecord(nil), &sec)
		}
		if err != nil {
			t.Error(err)
		}
		v.bank.set(func() { v.bank.coins[sec.Coin] = statuses[0] })
		statuses = statuses[1:]
		cutOff()
	})
	for range 4 {
		v.mustFail("no reply")
	}
	refund := func(o RefundOptions) map[core.Status]Refunded {
		t.Helper()
		all := map[core.Status]Refunded{}
		if err := v.c.Refund(ctx, o, func(r Refunded) { all[r.Status] = r }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	v.bank.lose = 1
	if err := v.c.Refund(ctx, RefundOptions{}, nil); !errors.Is(err, errLost) || !strings.Contains(err.Error(), "ask again") {
		t.Errorf("lost answer: %v", err)
	}
	v.wantCounts(wallet.Counts{Bad: 4})

	all := refund(RefundOptions{})
	if len(all) != 4 || all[core.StatusOK].Kept || !all[core.StatusNotLive].Kept || !all[core.StatusRedeemed].Kept || !all[core.StatusTemporary].Kept {
		t.Errorf("refunds %+v", all)
	}
	if r := all[core.StatusRedeemed]; r.Redeemer != [16]byte{0xaa} || !r.At.Equal(time.UnixMilli(1e12)) || r.Coin == "" {
		t.Errorf("evidence %+v", r)
	}
	if v.bank.balance != 1 {
		t.Errorf("balance %d, want 1: refunded once, though asked twice", v.bank.balance)
	}
	v.wantCounts(wallet.Counts{Bad: 3})

	all = refund(RefundOptions{Forget: true})
	if len(all) != 3 || all[core.StatusNotLive].Kept || all[core.StatusRedeemed].Kept || !all[core.StatusTemporary].Kept {
		t.Errorf("refunds with Forget %+v", all)
	}
	v.wantCounts(wallet.Counts{Bad: 1})

	v.bank.refuse = refusal(http.StatusServiceUnavailable)
	if err := v.c.Refund(ctx, RefundOptions{Forget: true}, nil); err == nil {
		t.Error("a refused refund is no error")
	}
	v.wantCounts(wallet.Counts{Bad: 1})
}

func TestRefundAll(t *testing.T) {
	v := newWorld(t, 5, 10)
	v.bank.lose = 1
	if _, err := v.c.Withdraw(ctx, 3); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	v.director(func(http.ResponseWriter, *http.Request, []byte) { cutOff() })
	v.t = t
	if _, err := v.c.Do(ctx, "summary", []byte("x")); err == nil {
		t.Fatal("no error")
	}
	n := 0
	if err := v.c.Refund(ctx, RefundOptions{All: true}, func(r Refunded) {
		n++
		if r.Status != core.StatusOK {
			t.Errorf("refund %+v", r)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if n != 8 || v.bank.balance != 15 {
		t.Errorf("%d coins refunded, balance %d; want all 8 and 15", n, v.bank.balance)
	}
	v.wantCounts(wallet.Counts{})
}

// A wallet of more bad coins than one call takes.
func TestRefundInBatches(t *testing.T) {
	const bad = 2*wire.MaxBatch + 5
	v := newWorld(t, 0, 0)
	if err := v.w.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range bad {
		c := core.Coin{1, byte(i), byte(i >> 8)}
		v.bank.coins[c] = core.StatusOK
		if i%2 == 1 {
			v.bank.coins[c] = core.StatusRedeemed
		}
		if err := os.WriteFile(filepath.Join(v.dir, "bad", fmt.Sprintf("%032x-%05d", 7, i)), c[:], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := wallet.Open(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c, err := New(Options{Wallet: w, Bank: v.bank})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	if err := c.Refund(ctx, RefundOptions{}, func(r Refunded) { seen[r.Coin] = true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != bad || v.bank.calls["refund"] != 3 || v.bank.balance != bad/2+1 {
		t.Errorf("%d coins in %d calls, balance %d", len(seen), v.bank.calls["refund"], v.bank.balance)
	}
	if got := w.Counts().Bad; got != bad/2 {
		t.Errorf("%d bad coins left, want %d", got, bad/2)
	}
}

func TestKeys(t *testing.T) {
	v := newWorld(t, 0, 0)
	now := time.Now()
	k := &v.c.keys
	k.now = func() time.Time { return now }
	get := func() core.KeyID {
		t.Helper()
		key, err := k.get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return key.ID()
	}
	first := get()
	if again := get(); again != first || v.bank.calls["keys"] != 1 {
		t.Errorf("%d questions, want 1", v.bank.calls["keys"])
	}
	second, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	v.bank.publish = []*core.PublicKey{second.Public(), v.bank.key.Public()}
	now = now.Add(k.refresh)
	if get() != second.Public().ID() {
		t.Error("the new first key is not used after a while")
	}
	v.bank.publish = v.bank.publish[1:]
	k.doubt()
	if get() != second.Public().ID() {
		t.Error("one doubt asks the bank at once")
	}
	now = now.Add(fetchPause)
	if get() != first {
		t.Error("a doubtful key is used on")
	}
	v.bank.refuse = errors.New("unreachable")
	now = now.Add(k.refresh)
	calls := v.bank.calls["keys"]
	for range 2 {
		if get() != first {
			t.Error("the last key is not used while the bank is away")
		}
	}
	if v.bank.calls["keys"] != calls+1 {
		t.Error("a bank that is away is asked every time")
	}

	v.bank.refuse = nil
	v.bank.publish = nil
	empty := newWorld(t, 1, 0, func(o *Options) { o.Suite = core.SuiteRSA3072 })
	if _, err := empty.c.Do(ctx, "summary", nil); err == nil || !strings.Contains(err.Error(), "no rsa3072 key, but these: x25519") {
		t.Errorf("error %v", err)
	}
	empty.wantCounts(wallet.Counts{Coins: 1})
}

// A 422 is what an analyst answers when the bank has retired the key.
func TestRetiredKeyIsNoticed(t *testing.T) {
	v := newWorld(t, 3, 0)
	now := time.Now()
	v.c.keys.now = func() time.Time { return now }
	v.mustWork()
	next, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	v.bank.set(func() { v.bank.key, v.bank.publish = next, []*core.PublicKey{next.Public()} })
	v.mustFail("answered 422")
	now = now.Add(fetchPause)
	v.mustWork()
}

// One caller asks for the keys; those that come meanwhile wait for its answer, and
// give up with their own context.
func TestKeysAskedOnce(t *testing.T) {
	bank := &slowBank{fakeBank: newBank(t, 0), release: make(chan struct{})}
	k := keys{bank: bank, suite: core.SuiteX25519, refresh: time.Hour, now: time.Now}
	var g sync.WaitGroup
	for range 5 {
		g.Go(func() {
			if _, err := k.get(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	for k.mu.Lock(); k.fetching == nil; k.mu.Lock() {
		k.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	k.mu.Unlock()
	if _, err := k.get(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	close(bank.release)
	g.Wait()
	if bank.calls["keys"] != 1 {
		t.Errorf("%d questions, want 1", bank.calls["keys"])
	}
}

type slowBank struct {
	*fakeBank
	release chan struct{}
}

func (b *slowBank) Keys(ctx context.Context) ([]client.Key, error) {
	<-b.release
	return b.fakeBank.Keys(ctx)
}

// What the wallet leaves alone is said once, with the path and without a secret.
func TestWalletProblemsAreLogged(t *testing.T) {
	v := newWorld(t, 1, 0)
	h, err := v.w.Take()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.dir, "coins", "stray"), h.Coin[:], 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := wallet.Open(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	v.log.Reset()
	if _, err := New(Options{Wallet: w, Bank: v.bank, Logger: v.c.log}); err != nil {
		t.Fatal(err)
	}
	text := v.log.String()
	if !strings.Contains(text, filepath.Join(v.dir, "coins", "stray")) || !strings.Contains(text, "coins=1") {
		t.Errorf("log %q", text)
	}
	if bytes.Contains([]byte(text), h.Coin[:4]) || v.leaks(text, nil) != "" {
		t.Error("the log shows a coin")
	}
}
