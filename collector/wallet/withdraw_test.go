package wallet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ecoin/core"
)

func TestWithdrawLimits(t *testing.T) {
	w, _ := newWallet(t, 0)
	var b testBank
	for _, n := range []int{-1, 0, MaxWithdraw + 1} {
		_, err := w.Withdraw(context.Background(), b.ask, n)
		wantError(t, err, "choose 1 to 10000")
	}
	if b.asked != 0 {
		t.Error("the bank was asked")
	}
}

// A lost answer is asked for again under the same key, by this process or a later
// one, and a new withdrawal waits for it.
func TestWithdrawLostAnswer(t *testing.T) {
	w, dir := newWallet(t, 0)
	ctx := context.Background()
	b := &testBank{lose: 2}
	keys := map[[16]byte]int{}
	ask := func(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) {
		keys[key] += n
		return b.ask(ctx, key, n)
	}
	if _, err := w.Withdraw(ctx, ask, 3); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	if _, err := w.Withdraw(ctx, ask, 5); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	if got, want := w.Counts(), (Counts{Requests: 1}); got != want || len(keys) != 1 {
		t.Fatalf("counts %+v and %d keys, want %+v and one key", got, len(keys), want)
	}
	w.Close()
	w = reopen(t, dir)
	if got, want := w.Counts(), (Counts{Requests: 1}); got != want {
		t.Fatalf("counts after reopening %+v, want %+v", got, want)
	}
	if n, err := w.Resume(ctx, ask); err != nil || n != 3 {
		t.Fatalf("resumed %d coins, %v", n, err)
	}
	if n, err := w.Resume(ctx, ask); err != nil || n != 0 {
		t.Fatalf("resumed %d coins twice, %v", n, err)
	}
	if n, err := w.Withdraw(ctx, ask, 5); err != nil || n != 5 {
		t.Fatalf("withdrew %d coins, %v", n, err)
	}
	if got, want := w.Counts(), (Counts{Coins: 8}); got != want || len(keys) != 2 || len(b.issued) != 8 {
		t.Errorf("counts %+v, %d keys, %d issued", got, len(keys), len(b.issued))
	}
}

// When a request may be dropped: only when it is certain that nothing was debited.
func TestWithdrawRefused(t *testing.T) {
	refused, poor, other := fmt.Errorf("overloaded: %w", ErrRefused), fmt.Errorf("balance 2: %w", ErrNoCredit), fmt.Errorf("not 3: %w", ErrOtherCount)
	tests := []struct {
		name    string
		answers []error // to all questions of one call after the other
		want    int     // requests left
	}{
		{"refused at once", []error{refused}, 0},
		{"no credit at once", []error{poor}, 0},
		{"no credit again and again", []error{poor, poor}, 0},
		{"another count at once", []error{other}, 0},
		{"unknown", []error{errLost}, 1},
		{"refused after unknown", []error{errLost, refused}, 1},
		{"no credit after unknown", []error{errLost, poor, poor}, 1},
		{"another count after unknown", []error{errLost, other}, 1},
		{"canceled", []error{context.Canceled}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := newWallet(t, 0)
			for _, answer := range tt.answers {
				ask := func(context.Context, [16]byte, int) ([]core.Coin, error) { return nil, answer }
				if _, err := w.Withdraw(context.Background(), ask, 3); !errors.Is(err, answer) {
					t.Fatalf("error %v, want %v", err, answer)
				}
			}
			if got := w.Counts().Requests; got != tt.want {
				t.Errorf("%d requests counted, want %d", got, tt.want)
			}
			if left := ls(t, filepath.Join(dir, withdrawDir)); len(left) != tt.want {
				t.Errorf("files left %q, want %d", left, tt.want)
			}
		})
	}
}

// account is an account at a testBank: a key that it knows costs nothing.
type account struct {
	testBank
	balance int
	known   map[[16]byte]bool
}

func (a *account) ask(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) {
	if !a.known[key] {
		if a.balance < n {
			return nil, fmt.Errorf("balance %d: %w", a.balance, ErrNoCredit)
		}
		a.balance -= n
		if a.known == nil {
			a.known = map[[16]byte]bool{}
		}
		a.known[key] = true
	}
	return a.testBank.ask(ctx, key, n)
}

// TestNoCreditSettlesNothing: the first try waits inside the bank, a later one finds no
// credit, and then the first one finds some. Its coins must still be asked for, by
// another process too, and meanwhile the wallet uses the credit there is.
func TestNoCreditSettlesNothing(t *testing.T) {
	ctx := context.Background()
	w, dir := newWallet(t, 0)
	a := &account{balance: 2}
	var late func()
	delayed := func(_ context.Context, key [16]byte, n int) ([]core.Coin, error) {
		late = func() {
			if _, err := a.ask(ctx, key, n); err != nil {
				t.Error(err)
			}
		}
		return nil, errLost
	}
	if _, err := w.Withdraw(ctx, delayed, 5); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	w.Close()
	w = reopen(t, dir)
	if n, err := w.Resume(ctx, a.ask); n != 0 || !errors.Is(err, ErrNoCredit) {
		t.Fatalf("without credit: %d coins, %v", n, err)
	}
	if n, err := w.Withdraw(ctx, a.ask, 2); err != nil || n != 2 {
		t.Fatalf("with the credit there is: %d coins, %v", n, err)
	}
	if _, err := w.Withdraw(ctx, a.ask, 1); !errors.Is(err, ErrNoCredit) {
		t.Fatalf("with none left: %v", err)
	}
	if got, want := w.Counts(), (Counts{Coins: 2, Requests: 1}); got != want {
		t.Fatalf("counts %+v, want %+v", got, want)
	}
	a.balance += 9
	late()
	if n, err := w.Resume(ctx, a.ask); err != nil || n != 5 {
		t.Errorf("the first try went through: %d coins, %v", n, err)
	}
	if got, want := w.Counts(), (Counts{Coins: 7}); got != want || a.balance != 4 || len(a.issued) != 7 {
		t.Errorf("counts %+v, want %+v; balance %d, %d coins issued", got, want, a.balance, len(a.issued))
	}
}

// TestUnsettledWithdrawalsAreBounded: on a line that loses every first question of an
// empty account, requests pile up no further than so far, and so do questions.
func TestUnsettledWithdrawalsAreBounded(t *testing.T) {
	w, dir := newWallet(t, 0)
	asked := map[[16]byte]int{}
	ask := func(_ context.Context, key [16]byte, _ int) ([]core.Coin, error) {
		if asked[key]++; asked[key] == 1 {
			return nil, errLost
		}
		return nil, ErrNoCredit
	}
	for range 3 * maxUnsettled {
		if _, err := w.Withdraw(context.Background(), ask, 3); !errors.Is(err, errLost) && !errors.Is(err, ErrNoCredit) {
			t.Fatal(err)
		}
	}
	if got := w.Counts().Requests; got != maxUnsettled || len(asked) != maxUnsettled {
		t.Errorf("%d requests under %d keys, want %d", got, len(asked), maxUnsettled)
	}
	if left := ls(t, filepath.Join(dir, withdrawDir)); len(left) != maxUnsettled {
		t.Errorf("files left %q, want %d", left, maxUnsettled)
	}
	var b testBank
	if n, err := w.Withdraw(context.Background(), b.ask, 3); err != nil || n != 3*maxUnsettled+3 {
		t.Errorf("with credit: %d coins, %v", n, err)
	}
}

// TestChangedCount: a request that the bank knows by another count is the owner's to
// repair, as a damaged one is, and keeps no other from its coins.
func TestChangedCount(t *testing.T) {
	w, dir := newWallet(t, 0)
	ctx := context.Background()
	var b testBank
	if _, err := w.Withdraw(ctx, func(context.Context, [16]byte, int) ([]core.Coin, error) { return nil, errLost }, 3); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	file := filepath.Join(dir, withdrawDir, ls(t, filepath.Join(dir, withdrawDir))[0])
	ask := func(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) {
		if strings.HasPrefix(filepath.Base(file), requestKey(key).String()) {
			return nil, ErrOtherCount
		}
		return b.ask(ctx, key, n)
	}
	if n, err := w.Withdraw(ctx, ask, 2); err != nil || n != 2 {
		t.Errorf("withdrew %d coins beside it, %v", n, err)
	}
	if got, want := w.Counts(), (Counts{Coins: 2, Requests: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if p := w.Problems(); len(p) != 1 || p[0].Path != file || !strings.Contains(p[0].Text, "another number of coins") {
		t.Errorf("problems %v", p)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the request is gone: %v", err)
	}
}

func TestWithdrawWrongNumberOfCoins(t *testing.T) {
	w, _ := newWallet(t, 0)
	var b testBank
	for _, wrong := range []int{0, 2, 4} {
		ask := func(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) { return b.ask(ctx, key, wrong) }
		_, err := w.Withdraw(context.Background(), ask, 3)
		wantError(t, err, fmt.Sprintf("the bank gave %d", wrong))
	}
	if n, err := w.Resume(context.Background(), b.ask); err != nil || n != 3 {
		t.Errorf("an honest answer: %d coins, %v", n, err)
	}
}

func TestWithdrawnCoinsAreWiped(t *testing.T) {
	w, _ := newWallet(t, 0)
	var given []core.Coin
	ask := func(_ context.Context, _ [16]byte, n int) ([]core.Coin, error) {
		given = make([]core.Coin, n)
		for i := range given {
			given[i][0] = byte(i + 1)
		}
		return given, nil
	}
	if _, err := w.Withdraw(context.Background(), ask, 2); err != nil {
		t.Fatal(err)
	}
	for _, c := range given {
		if c != (core.Coin{}) {
			t.Error("a coin is left in memory")
		}
	}
}

func TestDamagedRequest(t *testing.T) {
	key := requestKey{1}
	for name, content := range map[string]string{
		"empty":       "",
		"cut short":   string(formatRequest(key, 3)[:20]),
		"other key":   string(formatRequest(requestKey{2}, 3)),
		"no coins":    fmt.Sprintf(requestFormat, key, 0),
		"too many":    fmt.Sprintf(requestFormat, key, MaxWithdraw+1),
		"very long":   strings.Repeat("x", 1000),
		"with a tail": string(formatRequest(key, 3)) + "x",
	} {
		t.Run(name, func(t *testing.T) {
			w, dir := newWallet(t, 1)
			w.Close()
			path := filepath.Join(dir, key.path(endRequest))
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			w = reopen(t, dir)
			var b testBank
			if n, err := w.Withdraw(context.Background(), b.ask, 2); err != nil || n != 2 {
				t.Errorf("withdrew %d coins beside it, %v", n, err)
			}
			p := w.Problems()
			if len(p) != 1 || p[0].Path != path || !strings.Contains(p[0].Text, "put the file back") {
				t.Errorf("problems %v", p)
			}
			if got, want := w.Counts(), (Counts{Coins: 3, Requests: 1}); got != want {
				t.Errorf("counts %+v, want %+v", got, want)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != content {
				t.Error("the file was changed")
			}
		})
	}
}

// stagedPart puts an interrupted stage of three coins into a wallet: two written, one half.
func stagedPart(t *testing.T, dir string, key requestKey, request bool) {
	t.Helper()
	part := filepath.Join(dir, key.path(endPart))
	errs := []error{os.Mkdir(part, 0o700)}
	for i, n := range []int{32, 32, 9} {
		c := testCoin(key, i)
		errs = append(errs, os.WriteFile(filepath.Join(part, key.coin(i)), c[:n], 0o600))
	}
	if request {
		errs = append(errs, os.WriteFile(filepath.Join(dir, key.path(endRequest)), formatRequest(key, 3), 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptedStage(t *testing.T) {
	key := requestKey{7}
	other := func(_ context.Context, _ [16]byte, n int) ([]core.Coin, error) { // a bank that forgot the key
		var b testBank
		return b.ask(context.Background(), [16]byte{8}, n)
	}
	var b testBank
	tests := []struct {
		name    string
		request bool
		ask     Ask
		want    Counts
	}{
		{"same coins", true, b.ask, Counts{Coins: 3}},
		{"other coins", true, other, Counts{Coins: 3, Bad: 2}}, // two old ones were whole
		{"request deleted", false, b.ask, Counts{Bad: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := newWallet(t, 0)
			w.Close()
			stagedPart(t, dir, key, tt.request)
			w = reopen(t, dir)
			if _, err := w.Resume(context.Background(), tt.ask); err != nil {
				t.Fatal(err)
			}
			check := func(w *Wallet) {
				t.Helper()
				if got := w.Counts(); got != tt.want || len(w.Problems()) != 0 {
					t.Errorf("counts %+v, want %+v; problems %v", got, tt.want, w.Problems())
				}
			}
			check(w)
			w.Close()
			w = reopen(t, dir)
			check(w)
			bad, err := w.Bad("", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range bad {
				if c.Coin != testCoin(key, 0) && c.Coin != testCoin(key, 1) {
					t.Error("a bad coin is none of those that were staged")
				}
			}
		})
	}
}

func TestForeignFileInStage(t *testing.T) {
	key := requestKey{7}
	for _, end := range []string{endPart, endReady} {
		w, dir := newWallet(t, 1)
		w.Close()
		folder := filepath.Join(dir, key.path(end))
		if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(folder+"/note", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		c := testCoin(key, 0)
		if err := os.WriteFile(filepath.Join(folder, key.coin(0)), c[:], 0o600); err != nil {
			t.Fatal(err)
		}
		w = reopen(t, dir)
		var b testBank
		for range 2 { // the second must not find coins a second time
			if _, err := w.Withdraw(context.Background(), b.ask, 1); err != nil {
				t.Fatal(err)
			}
		}
		if p := w.Problems(); len(p) != 1 || !strings.Contains(p[0].Error(), "note") {
			t.Errorf("%s: problems %v", end, p)
		}
		got := w.Counts()
		if got.Coins+got.Bad != 4 { // one at first, one staged, two withdrawn
			t.Errorf("%s: counts %+v, want four coins", end, got)
		}
		if _, err := os.Stat(folder + "/note"); err != nil {
			t.Errorf("%s: the file was not left alone: %v", end, err)
		}
	}
}

// Any sequence of calls, lost answers, refusals, calls that the bank comes to late, power
// failures and reopenings.
func TestWalletModel(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		m, l := newMemFS(), newLife()
		w, err := open("wallet", m)
		if err != nil {
			t.Fatal(err)
		}
		var held []*Held
		type question struct {
			key [16]byte
			n   int
		}
		var delayed []question // inside the bank, with nobody waiting for them
		asking := func(t *rapid.T) Ask {
			return func(ctx context.Context, key [16]byte, n int) ([]core.Coin, error) {
				l.bank.lose = 0
				switch rapid.SampledFrom([]string{"answered", "lost", "delayed", "no credit"}).Draw(t, "question") {
				case "lost":
					l.bank.lose = 1
				case "delayed":
					delayed = append(delayed, question{key, n})
					return nil, errLost
				case "no credit":
					if !l.bank.issued[testCoin(key, 0)] {
						return nil, ErrNoCredit
					}
				}
				return l.bank.ask(ctx, key, n)
			}
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		restart := func(next *memFS) {
			m, held = next, nil
			w, err = open("wallet", m)
			must(err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"withdraw": func(t *rapid.T) {
				if _, err := w.Withdraw(ctx, asking(t), rapid.IntRange(1, 4).Draw(t, "n")); !errors.Is(err, errLost) && !errors.Is(err, ErrNoCredit) {
					must(err)
				}
			},
			"resume": func(t *rapid.T) {
				if _, err := w.Resume(ctx, asking(t)); !errors.Is(err, errLost) && !errors.Is(err, ErrNoCredit) {
					must(err)
				}
			},
			"late": func(*rapid.T) {
				if len(delayed) > 0 {
					l.bank.lose = 0
					_, err := l.bank.ask(ctx, delayed[0].key, delayed[0].n)
					must(err)
					delayed = delayed[1:]
				}
			},
			"take": func(*rapid.T) {
				h, err := l.take(w)
				if !errors.Is(err, ErrEmpty) {
					must(err)
					held = append(held, h)
				}
			},
			"settle": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("nothing is held")
				}
				h := held[0]
				held = held[1:]
				if rapid.Bool().Draw(t, "failed") {
					must(h.Failed())
				} else {
					l.gone[h.Coin] = true
					must(h.Spent())
				}
			},
			"remove": func(t *rapid.T) {
				bad, err := w.Bad("", rapid.IntRange(0, 3).Draw(t, "max"))
				must(err)
				must(l.remove(w, bad))
			},
			"retire": func(*rapid.T) {
				_, err := w.Retire()
				must(err)
			},
			"power failure": func(t *rapid.T) {
				restart(m.crash(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }))
			},
			"reopen": func(*rapid.T) {
				must(w.Close())
				restart(m)
			},
			"": func(*rapid.T) {
				if p := w.Problems(); len(p) > 0 {
					t.Fatal(p[0])
				}
				if c := w.Counts(); c.Coins+c.Bad+len(held) > len(l.bank.issued) {
					t.Fatalf("%+v and %d held, of %d issued", c, len(held), len(l.bank.issued))
				}
			},
		})
		must(l.check(m))
	})
}

func FuzzRequest(f *testing.F) {
	f.Add(formatRequest(requestKey{1, 2, 3}, 1))
	f.Add(formatRequest(newKey(), MaxWithdraw))
	f.Add([]byte("ecoin withdrawal 1\nkey \ncoins 1\n"))
	f.Add([]byte("ecoin withdrawal 1\nkey 0102030000000000000000000000000A\ncoins 01\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, n, ok := parseRequest(b)
		if !ok {
			if n != 0 || k != (requestKey{}) {
				t.Error("a refused request has content")
			}
			return
		}
		if n < 1 || n > MaxWithdraw || string(formatRequest(k, n)) != string(b) {
			t.Errorf("%q parses as %v and %d", b, k, n)
		}
	})
}

func FuzzCoinName(f *testing.F) {
	f.Add(requestKey{1}.coin(0))
	f.Add(requestKey{0xff}.coin(MaxWithdraw - 1))
	f.Add("00000000000000000000000000000000-1")
	f.Add("00000000000000000000000000000000-+0001")
	f.Add("../00000000000000000000000000000-00001")
	f.Fuzz(func(t *testing.T, s string) {
		if k, i, ok := parseCoinName(s); ok && (k.coin(i) != s || len(s) != coinNameLen || strings.ContainsAny(s, "/\\.")) {
			t.Errorf("%q parses as %v and %d", s, k, i)
		}
		if k, end, ok := cutEnding(s); ok && k.path(end) != withdrawDir+"/"+s {
			t.Errorf("%q cuts into %v and %q", s, k, end)
		}
	})
}

// A wallet file of any content is a coin or a problem, and no more than that.
func FuzzWalletFile(f *testing.F) {
	f.Add(make([]byte, 32), uint8(0))
	f.Add(make([]byte, 31), uint8(1))
	f.Add(make([]byte, 33), uint8(2))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, content []byte, folder uint8) {
		m := newMemFS()
		if _, err := open("wallet", m); err != nil {
			t.Fatal(err)
		}
		from := folders[folder%3]
		n := &memNode{mode: 0o600, data: content}
		m.change(memChange{dir: m.root.entries[from], name: requestKey{}.coin(0), node: n})
		w, err := open("wallet", m)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if len(content) == 32 {
			want = 1
		}
		c := w.Counts()
		if c.Coins+c.Bad != want || len(w.Problems()) != 1-want || (from == coinsDir) != (c.Coins == 1) && want == 1 {
			t.Errorf("%d bytes in %s: counts %+v, problems %v", len(content), from, c, w.Problems())
		}
	})
}
