package loadgen

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/result"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBank is a bank in memory, over real mutual TLS, that can be made to lie. It lets in
// every key: the name in its certificate says whose account it is.
type fakeBank struct {
	*httptest.Server
	key  *core.PrivateKey
	ring *core.Keyring
	seed fleet.Seed

	mu        sync.Mutex
	coins     map[core.Coin]*fakeCoin
	withdrawn map[string][]core.Coin // by account and idempotency key
	paid      map[string]int64
	charged   map[string]int64
	refunds   map[string]int64
	issued    int
	calls     int // of withdraw
	last      core.Coin

	lie fakeLie
	// lose is asked before and after each call whether its request or answer is lost.
	lose func(path string, after bool) bool
}

type fakeCoin struct {
	by       string // who redeemed it
	digest   core.Digest
	refunded bool
	owner    string
}

// fakeLie is what a bank gets wrong.
type fakeLie struct {
	doubleSpend  bool // pays twice
	forgets      bool // loses every 50th coin that it issues
	unpaid       bool // does not pay for every 50th redeem
	opensAll     bool // says "redeemed" to a header that does not open
	forgetsRetry bool // answers a retry like a double spend
	refundsAll   bool // refunds redeemed coins
	anotherCoin  bool // gives a redeemer another coin than the header's
	again        bool // gives other coins for the same idempotency key
	repeats      bool // issues every 50th coin a second time
	refundsTwice bool // credits every 50th refund twice
	chargesTwice bool // debits every 50th withdrawal twice
}

func newFakeBank(t *testing.T) *fakeBank {
	t.Helper()
	key, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := core.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := identity.New("bank", []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBank{key: key, ring: ring, seed: fleet.NewSeed(), coins: map[core.Coin]*fakeCoin{}, withdrawn: map[string][]core.Coin{}, paid: map[string]int64{}, charged: map[string]int64{}, refunds: map[string]int64{}}
	b.Server = httptest.NewUnstartedServer(b)
	b.TLS = identity.ServerConfig(id, nil)
	b.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

func (b *fakeBank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := r.TLS.PeerCertificates[0].Subject.CommonName
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if b.lose != nil && b.lose(r.URL.Path, false) {
		panic(http.ErrAbortHandler)
	}
	b.mu.Lock()
	var out []byte
	switch r.URL.Path {
	case wire.PathKeys:
		pub := b.key.Public()
		id := pub.ID()
		out, _ = json.Marshal(wire.Keys{Keys: []wire.Key{{Suite: "x25519", KeyID: hex.EncodeToString(id[:]), PublicKey: base64.StdEncoding.EncodeToString(pub.Bytes())}}})
	case wire.PathAccount:
		id := accountID(who)
		a := wire.Account{ID: hex.EncodeToString(id[:]), Name: who, Role: roleAnalyst, Redeemed: b.paid[who], Issued: b.charged[who], Refunded: b.refunds[who]}
		if strings.HasPrefix(who, b.seed.Prefix(roleCollector)) {
			a.Role = roleCollector
		}
		out, _ = json.Marshal(a)
	case wire.PathWithdraw:
		out = b.withdraw(who, r)
	case wire.PathRedeem:
		out = b.redeem(who, body)
	case wire.PathRefund:
		out = b.refund(who, body)
	}
	b.mu.Unlock()
	if b.lose != nil && b.lose(r.URL.Path, true) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	_, _ = w.Write(out)
}

func accountID(name string) [16]byte {
	sum := sha256.Sum256([]byte(name))
	return [16]byte(sum[:])
}

func (b *fakeBank) withdraw(who string, r *http.Request) (out []byte) {
	n, _ := wire.ParseCount(r.URL.Query().Get(wire.ParamCount))
	key := who + r.Header.Get(wire.HeaderIdempotencyKey)
	coins, again := b.withdrawn[key]
	if !again || b.lie.again {
		coins = nil
		b.charged[who] += int64(n)
		if b.calls++; b.lie.chargesTwice && b.calls%50 == 0 {
			b.charged[who] += int64(n)
		}
		for range n {
			var c core.Coin
			_, _ = rand.Read(c[:])
			if b.lie.repeats && b.issued%50 == 49 {
				c = b.last
			}
			b.last = c
			coins = append(coins, c)
			if b.issued++; !b.lie.forgets || b.issued%50 != 0 {
				b.coins[c] = &fakeCoin{owner: who}
			}
		}
		b.withdrawn[key] = coins
	}
	return wire.AppendCoins(nil, coins)
}

func (b *fakeBank) redeem(who string, body []byte) (out []byte) {
	records, err := wire.AppendRecords(nil, body)
	if err != nil {
		return nil
	}
	var s core.Scratch
	secs, ok := make([]core.Secrets, len(records)), make([]bool, len(records))
	b.ring.OpenHeaders(&s, records, secs, ok)
	for i := range records {
		c := b.coins[secs[i].Coin]
		st := core.StatusNotOpen
		switch {
		case !ok[i] && b.lie.opensAll:
			st = core.StatusOK
		case !ok[i]:
		case c == nil:
			st = core.StatusNotLive
		case c.refunded:
			st = core.StatusRedeemed
		case c.by == who && c.digest == core.RecordDigest(records[i]) && !b.lie.forgetsRetry:
			st = core.StatusRedeemedBefore
		case c.by != "" && !b.lie.doubleSpend:
			st = core.StatusRedeemed
		default:
			st = core.StatusOK
			c.by, c.digest = who, core.RecordDigest(records[i])
			if b.paid[who]++; b.lie.unpaid && b.paid[who]%50 == 0 {
				b.paid[who]--
			}
			if b.lie.anotherCoin && b.paid[who]%50 == 0 {
				secs[i].Coin[0] ^= 1
			}
		}
		out = wire.AppendRedeemRecord(out, st, &secs[i])
	}
	return out
}

func (b *fakeBank) refund(who string, body []byte) (out []byte) {
	for ; len(body) > 0; body = body[wire.CoinLen:] {
		c := b.coins[core.Coin(body[:wire.CoinLen])]
		switch {
		case c == nil:
			out = wire.AppendRefundRecord(out, core.StatusNotLive, time.Time{}, [16]byte{})
		case c.by != "" && !b.lie.refundsAll:
			out = wire.AppendRefundRecord(out, core.StatusRedeemed, time.Now(), accountID(c.by))
		default:
			if !c.refunded {
				b.refunds[who]++
				if b.calls++; b.lie.refundsTwice && b.calls%50 == 0 {
					b.refunds[who]++
				}
			}
			c.refunded = true
			out = wire.AppendRefundRecord(out, core.StatusOK, time.Time{}, [16]byte{})
		}
	}
	return out
}

// stage returns a stage on the bank.
func (b *fakeBank) stage(t *testing.T) *Stage {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bank.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.TLS.Certificates[0].Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := NewStage(t.Context(), StageOptions{URL: b.URL, Certificate: file, Suite: "x25519", Seed: b.seed, Fleet: 5, Analysts: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// job is a short load.
func job(mix ...Weight) Job {
	return Job{Mix: mix, Schedule: "constant:300", Duration: time.Second, Patience: 5 * time.Second, Timeout: 5 * time.Second,
		Conns: 8, Batch: 4, DoubleSpend: 0.02, Retry: 0.02, Bad: 0.02, Resume: 1, Idle: 10, Audit: -1, Evidence: time.Hour, MostCoins: 100_000}
}

func runJob(t *testing.T, b *fakeBank, j Job) *result.Run {
	t.Helper()
	run, err := b.stage(t).Run(context.Background(), Load{Job: j, Command: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return run
}
