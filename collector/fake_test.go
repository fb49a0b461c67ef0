package collector

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/client"
	"ecoin/collector/wallet"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

var _ Bank = (*client.Client)(nil)

var errLost = errors.New("the answer was lost")

// fakeBank keeps its books as a bank does, and loses answers when told to.
type fakeBank struct {
	key *core.PrivateKey

	mu          sync.Mutex
	balance     int
	withdrawals map[[16]byte][]core.Coin
	coins       map[core.Coin]core.Status // OK: live; Redeemed; anything else: as a refund shall answer
	refunds     map[core.Coin]int
	lose        int   // so many answers are lost after the work was done
	refuse      error // what the next calls fail with; nothing is done
	calls       map[string]int
	publish     []*core.PublicKey
}

func newBank(t testing.TB, balance int) *fakeBank {
	t.Helper()
	key, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeBank{
		key: key, balance: balance, publish: []*core.PublicKey{key.Public()},
		withdrawals: map[[16]byte][]core.Coin{}, coins: map[core.Coin]core.Status{},
		refunds: map[core.Coin]int{}, calls: map[string]int{},
	}
}

// set changes the bank while it may be in use.
func (b *fakeBank) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// begin counts a call and says whether it fails. The caller holds mu.
func (b *fakeBank) begin(call string) error {
	b.calls[call]++
	return b.refuse
}

// end says whether an answer is lost. The caller holds mu.
func (b *fakeBank) end() error {
	if b.lose > 0 {
		b.lose--
		return errLost
	}
	return nil
}

func (b *fakeBank) Withdraw(_ context.Context, id [16]byte, n int) ([]core.Coin, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin("withdraw"); err != nil {
		return nil, err
	}
	coins, repeat := b.withdrawals[id]
	if !repeat {
		if b.balance < n {
			return nil, fmt.Errorf("client: withdraw: %w", problem.New(http.StatusPaymentRequired, "balance too small"))
		}
		b.balance -= n
		coins = make([]core.Coin, n)
		for i := range coins {
			rand.Read(coins[i][:])
			b.coins[coins[i]] = core.StatusOK
		}
		b.withdrawals[id] = coins
	}
	return copyCoins(coins), b.end()
}

// copyCoins copies coins, because the receiver wipes what it gets.
func copyCoins(coins []core.Coin) []core.Coin { return append([]core.Coin(nil), coins...) }

func (b *fakeBank) Refund(_ context.Context, coins []core.Coin) ([]client.Refunded, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin("refund"); err != nil {
		return nil, err
	}
	if len(coins) == 0 || len(coins) > wire.MaxBatch {
		return nil, fmt.Errorf("%d coins in one refund", len(coins))
	}
	out := make([]client.Refunded, len(coins))
	for i, c := range coins {
		st, known := b.coins[c]
		switch {
		case !known:
			st = core.StatusNotLive
		case st == core.StatusOK:
			if b.refunds[c]++; b.refunds[c] == 1 {
				b.balance++
			}
		case st == core.StatusRedeemed:
			out[i].At, out[i].Redeemer = time.UnixMilli(1e12).UTC(), [16]byte{0xaa}
		}
		out[i].Status = st
	}
	return out, b.end()
}

func (b *fakeBank) Account(context.Context) (wire.Account, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin("account"); err != nil {
		return wire.Account{}, err
	}
	return wire.Account{Balance: int64(b.balance)}, b.end()
}

func (b *fakeBank) Keys(context.Context) ([]client.Key, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin("keys"); err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, k := range b.publish {
		keys = append(keys, client.Key{Public: k})
	}
	return keys, b.end()
}

// redeem is an analyst's call: it opens a request's header and consumes the coin.
func (b *fakeBank) redeem(record []byte, sec *core.Secrets) error {
	ring, err := core.NewKeyring(b.key)
	if err != nil {
		return err
	}
	var s core.Scratch
	if err := ring.OpenHeader(&s, record, sec); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if st, known := b.coins[sec.Coin]; !known || st != core.StatusOK || b.refunds[sec.Coin] > 0 {
		return errors.New("the coin is not live")
	}
	b.coins[sec.Coin] = core.StatusRedeemed
	return nil
}

// world is a bank, a director with an analyst behind it, and a collector's wallet.
type world struct {
	t    testing.TB
	bank *fakeBank
	dir  string
	w    *wallet.Wallet
	c    *Collector
	log  *bytes.Buffer

	server *httptest.Server
	roots  *x509.CertPool

	mu     sync.Mutex
	handle func(w http.ResponseWriter, r *http.Request, request []byte)
	seen   []sighting
}

// sighting is what the director and the analyst behind it saw of one operation.
type sighting struct {
	pin      [32]byte
	request  []byte
	analysis string
	sec      core.Secrets
	name     string // inside the request
	body     []byte
}

// safeBuffer is a buffer for a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  *bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// newWorld makes everything, with coins in the wallet and as many credits at the bank.
func newWorld(t testing.TB, coins, balance int, change ...func(*Options)) *world {
	t.Helper()
	v := &world{t: t, bank: newBank(t, coins+balance), dir: filepath.Join(t.TempDir(), "wallet"), log: &bytes.Buffer{}}
	certPEM, keyPEM, err := identity.New("director", []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	v.roots = x509.NewCertPool()
	v.roots.AppendCertsFromPEM(certPEM)
	v.handle = v.honest
	v.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			return // the collector gave up
		}
		v.mu.Lock()
		handle := v.handle
		v.mu.Unlock()
		handle(w, r, request)
	}))
	v.server.TLS = identity.ServerConfig(id, nil)
	v.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.server.StartTLS()
	t.Cleanup(v.server.Close)

	if v.w, err = wallet.Open(v.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.w.Close() })
	o := Options{
		Wallet: v.w, Bank: v.bank, DirectorURL: v.server.URL, DirectorRoots: v.roots,
		Timeout: 10 * time.Second,
		Logger:  slog.New(slog.NewTextHandler(&safeBuffer{b: v.log}, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	if v.c, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.c.Close)
	if coins > 0 {
		if _, err := v.c.Withdraw(ctx, coins); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// director makes the director do something else from now on.
func (v *world) director(h func(w http.ResponseWriter, r *http.Request, request []byte)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.handle = h
}

func (v *world) sightings() []sighting {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]sighting(nil), v.seen...)
}

// analyse is an honest analyst: it redeems the coin and returns the reply, which
// holds the body again behind "result of".
func (v *world) analyse(r *http.Request, request []byte) ([]byte, error) {
	req, err := core.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	see := sighting{request: request, analysis: strings.TrimPrefix(r.URL.Path, "/v1/operations/")}
	see.pin = identity.PinOf(r.TLS.PeerCertificates[0])
	if err := v.bank.redeem(req.AppendRecord(nil), &see.sec); err != nil {
		return nil, err
	}
	var s core.Scratch
	plaintext, err := req.Open(nil, &s, &see.sec)
	if err != nil {
		return nil, err
	}
	name, body, err := core.CutOperation(plaintext)
	if err != nil {
		return nil, err
	}
	see.name, see.body = string(name), body
	v.mu.Lock()
	v.seen = append(v.seen, see)
	v.mu.Unlock()
	status := core.ReplyOK
	if bytes.HasPrefix(body, []byte("refuse")) {
		status = core.ReplyRefused
	}
	return req.AppendReply(nil, &s, &see.sec, core.AppendResult(nil, status, append([]byte("result of "), body...)))
}

func (v *world) honest(w http.ResponseWriter, r *http.Request, request []byte) {
	reply, err := v.analyse(r, request)
	if err != nil {
		problem.Write(w, problem.New(http.StatusUnprocessableEntity, ""))
		return
	}
	w.Write(reply)
}

// leaks reports what of the world's secrets text shows.
func (v *world) leaks(text string, body []byte) string {
	v.bank.mu.Lock()
	defer v.bank.mu.Unlock()
	for c := range v.bank.coins {
		for _, form := range []string{string(c[:8]), hex.EncodeToString(c[:8]), fmt.Sprint(c[:8])} {
			if strings.Contains(text, strings.Trim(form, "[]")) {
				return "a coin"
			}
		}
	}
	if len(body) > 3 && strings.Contains(text, string(body)) {
		return "the input"
	}
	return ""
}

// wantCounts checks what the wallet holds.
func (v *world) wantCounts(want wallet.Counts) {
	v.t.Helper()
	if got := v.w.Counts(); got != want {
		v.t.Errorf("the wallet holds %+v, want %+v", got, want)
	}
}
