package analyst

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/analyst/analysis"
	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// state is what became of a coin at the fake bank.
type state int

const (
	unknown state = iota // never issued
	live
	redeemed
	returned
)

// fakeBank follows the bank's rules for one analyst, in memory. A fault may be set
// to make its calls go wrong.
type fakeBank struct {
	keys *core.Keyring
	key  *core.PublicKey

	mu      sync.Mutex
	coins   map[core.Coin]*fakeCoin
	redeems []int // size of each redeem call
	returns []int // size of each return call

	// fault, unless nil, is asked at each call, outside of mu. With act the bank does
	// its work; then err, unless nil, is all that the caller learns.
	fault func(ctx context.Context, call string, n int) (act bool, err error)
	// twist, unless nil, may replace the status told for a record; called with mu.
	twist func(call string, s core.Status) core.Status
}

type fakeCoin struct {
	state  state
	digest core.Digest // of the record that redeemed it
}

func newFakeBank(tb testing.TB) *fakeBank {
	tb.Helper()
	key, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := core.NewKeyring(key)
	if err != nil {
		tb.Fatal(err)
	}
	return &fakeBank{keys: ring, key: key.Public(), coins: map[core.Coin]*fakeCoin{}}
}

var errLost = errors.New("connection lost")

func busyError() error { return problem.New(http.StatusServiceUnavailable, "busy") }

func (b *fakeBank) call(ctx context.Context, call string, n int, work func()) error {
	if n < 1 || n > maxBatch {
		panic(fmt.Sprintf("%s of %d records", call, n))
	}
	act, err := true, error(nil)
	if b.fault != nil {
		act, err = b.fault(ctx, call, n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if call == "redeem" {
		b.redeems = append(b.redeems, n)
	} else {
		b.returns = append(b.returns, n)
	}
	if act {
		work()
	}
	return err
}

func (b *fakeBank) Redeem(ctx context.Context, records [][]byte) ([]client.Redeemed, error) {
	out := make([]client.Redeemed, len(records))
	err := b.call(ctx, "redeem", len(records), func() {
		for i, r := range records {
			out[i] = b.redeemLocked(r)
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (b *fakeBank) redeemLocked(record []byte) client.Redeemed {
	var s core.Scratch
	var out client.Redeemed
	if b.keys.OpenHeader(&s, record, &out.Secrets) != nil {
		return client.Redeemed{Status: core.StatusNotOpen}
	}
	c, digest := b.coins[out.Secrets.Coin], core.RecordDigest(record)
	switch {
	case c == nil || c.state == unknown:
		out.Status = core.StatusNotLive
	case c.state == live:
		c.state, c.digest = redeemed, digest
	case c.state == redeemed && c.digest == digest:
		out.Status = core.StatusRedeemedBefore
	default:
		out.Status = core.StatusRedeemed
	}
	if b.twist != nil {
		out.Status = b.twist("redeem", out.Status)
	}
	if out.Status > core.StatusRedeemedBefore {
		out.Secrets = core.Secrets{}
	}
	return out
}

func (b *fakeBank) Return(ctx context.Context, records [][]byte) ([]core.Status, error) {
	out := make([]core.Status, len(records))
	err := b.call(ctx, "return", len(records), func() {
		for i, r := range records {
			out[i] = b.returnLocked(r)
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (b *fakeBank) returnLocked(record []byte) core.Status {
	var s core.Scratch
	var sec core.Secrets
	if b.keys.OpenHeader(&s, record, &sec) != nil {
		return core.StatusNotLive
	}
	c := b.coins[sec.Coin]
	st := core.StatusNotLive
	switch {
	case c == nil || c.state == unknown || c.state == live:
	case c.digest != core.RecordDigest(record):
		st = core.StatusRedeemed
	default:
		st = core.StatusOK
	}
	if b.twist != nil {
		st = b.twist("return", st)
	}
	if st == core.StatusOK {
		c.state = returned
	}
	return st
}

func (b *fakeBank) state(coin core.Coin) state {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.coins[coin]; c != nil {
		return c.state
	}
	return unknown
}

// credit is what the analyst has earned.
func (b *fakeBank) credit() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.coins {
		if c.state == redeemed {
			n++
		}
	}
	return n
}

func (b *fakeBank) calls() (redeems, returns []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int(nil), b.redeems...), append([]int(nil), b.returns...)
}

// op is an operation as its collector knows it.
type op struct {
	bank *fakeBank
	sec  core.Secrets
	msg  []byte
}

// newOp makes an operation with a live coin.
func (b *fakeBank) newOp(tb testing.TB, name, body string) *op {
	tb.Helper()
	o := &op{bank: b}
	_, _ = rand.Read(o.sec.Coin[:])
	_, _ = rand.Read(o.sec.IV[:])
	b.mu.Lock()
	b.coins[o.sec.Coin] = &fakeCoin{state: live}
	b.mu.Unlock()
	o.msg = o.seal(tb, name, body)
	return o
}

// seal makes a request with the operation's coin and IV under a new header.
func (o *op) seal(tb testing.TB, name, body string) []byte {
	tb.Helper()
	var s core.Scratch
	record, err := o.bank.key.AppendHeader(nil, &s, &o.sec)
	if err != nil {
		tb.Fatal(err)
	}
	plaintext, err := core.AppendOperation(nil, name, []byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	msg, err := core.AppendRequest(nil, &s, record, &o.sec, plaintext)
	if err != nil {
		tb.Fatal(err)
	}
	return msg
}

// open opens a reply as the collector would.
func (o *op) open(reply []byte) (core.ReplyStatus, string, error) {
	var s core.Scratch
	plaintext, err := core.OpenReply(nil, &s, o.bank.key, &o.sec, reply)
	if err != nil {
		return 0, "", err
	}
	st, body, err := core.CutResult(plaintext)
	return st, string(body), err
}

// mustOpen fails unless reply is the sealed want.
func (o *op) mustOpen(tb testing.TB, reply []byte, want string) {
	tb.Helper()
	if st, body, err := o.open(reply); err != nil || st != core.ReplyOK || body != want {
		tb.Fatalf("reply: status %d, %.200q, %v; want %.200q", st, body, err, want)
	}
}

func (o *op) mustBe(tb testing.TB, want state) {
	tb.Helper()
	if got := o.bank.state(o.sec.Coin); got != want {
		tb.Fatalf("the coin is in state %d, want %d", got, want)
	}
}

// testAnalyses are analyses that do as their names say.
func testAnalyses() map[string]analysis.Func {
	return map[string]analysis.Func{
		"upper": func(_ context.Context, body []byte) ([]byte, error) { return bytes.ToUpper(body), nil },
		"other": func(_ context.Context, body []byte) ([]byte, error) { return bytes.Clone(body), nil },
		"refuses": func(context.Context, []byte) ([]byte, error) {
			return nil, &analysis.InputError{Text: "line 3: no"}
		},
		"fails":  func(context.Context, []byte) ([]byte, error) { return nil, errors.New("disk on fire") },
		"panics": func(_ context.Context, body []byte) ([]byte, error) { panic(string(body)) },
		"sleeps": func(ctx context.Context, body []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"late": func(ctx context.Context, body []byte) ([]byte, error) {
			<-ctx.Done()
			return []byte("done"), nil
		},
		"long": func(context.Context, []byte) ([]byte, error) { return make([]byte, 1<<20), nil },
	}
}

func newIdentity(tb testing.TB, name string) *identity.Identity {
	tb.Helper()
	cert, key, err := identity.New(name, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := identity.Parse(cert, key)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// testOptions are options for an analyst of bank, complete but for a director that
// exists.
func testOptions(tb testing.TB, bank Bank) Options {
	return Options{
		Identity: newIdentity(tb, "analyst"), Director: "https://127.0.0.1:1", DirectorPin: [32]byte{1},
		Bank: bank, Analyses: testAnalyses(), Logger: slog.New(slog.DiscardHandler),
	}
}

// inside runs an analyst without network, for a synctest bubble. stop ends it the
// way Run does and returns how many coins it still owes.
func inside(tb testing.TB, o Options) (a *Analyst, stop func() int) {
	tb.Helper()
	if err := o.setDefaults(); err != nil {
		tb.Fatal(err)
	}
	a = assemble(o)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { a.redeemer.run(ctx) })
	cutCtx, cutReturner := context.WithCancel(context.Background())
	finish := make(chan struct{})
	var returner sync.WaitGroup
	returner.Go(func() { a.returner.run(cutCtx, finish) })
	return a, func() int {
		cancel()
		wg.Wait()
		cut := time.AfterFunc(o.DrainTimeout, cutReturner)
		defer cut.Stop()
		close(finish)
		returner.Wait()
		cutReturner()
		return a.returner.owed()
	}
}
