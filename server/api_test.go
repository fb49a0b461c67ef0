package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// TestRoundTrip takes coins through their whole life by the API alone.
func TestRoundTrip(t *testing.T) {
	h := start(t)
	collector, analyst := h.collector(), h.analyst()

	var keys wire.Keys
	r := collector.do("GET", wire.PathKeys, nil).want(t, "keys", 200)
	if err := json.Unmarshal(r.body, &keys); err != nil || len(keys.Keys) != 1 || keys.Keys[0].URL != "https://bank.example" {
		t.Fatalf("keys: %s (%v)", r.body, err)
	}
	raw, _ := base64.StdEncoding.DecodeString(keys.Keys[0].PublicKey)
	if _, err := core.ParsePublicKey(core.SuiteX25519, raw); err != nil || !bytes.Equal(raw, h.key.Bytes()) {
		t.Fatalf("the key cannot be used: %v", err)
	}

	// The same withdrawal twice: the same coins, one debit.
	first := collector.do("POST", "/v1/withdraw?n=4", nil, wire.HeaderIdempotencyKey, key(1)).want(t, "withdraw", 200)
	again := collector.do("POST", "/v1/withdraw?n=4", nil, wire.HeaderIdempotencyKey, strings.ToUpper(key(1))).want(t, "withdraw", 200)
	if len(first.body) != 4*32 || !bytes.Equal(first.body, again.body) {
		t.Fatalf("withdrawal: %d and %d bytes, or other coins", len(first.body), len(again.body))
	}
	for name, want := range map[string]string{"Content-Type": wire.TypeBinary, "Cache-Control": "no-store", "Server": ""} {
		if got := first.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	coins, err := wire.ParseWithdrawn(nil, first.body, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range coins {
		h.secret(c[:])
	}
	collector.do("POST", "/v1/withdraw?n=5", nil, wire.HeaderIdempotencyKey, key(1)).want(t, "same key, other n", 409)

	// Coins 0, 1 redeemed, 1 returned; 2 refunded live; 3 stays.
	body := h.records(coins[:2])
	for i, want := range []core.Status{core.StatusOK, core.StatusRedeemedBefore} {
		r := analyst.do("POST", wire.PathRedeem, body).want(t, "redeem", 200)
		for j := range 2 {
			var sec core.Secrets
			st, err := wire.ParseRedeemRecord(r.body[j*wire.RedeemRecordLen:][:wire.RedeemRecordLen], &sec)
			if err != nil || st != want || sec.Coin != coins[j] || sec.IV != (core.IV{15: 7}) {
				t.Errorf("redeem %d, record %d: %v (%v) or another coin", i, j, st, err)
			}
		}
	}
	r = analyst.do("POST", wire.PathReturn, h.records(coins[1:2])).want(t, "return", 200) // another header: not this one
	if !bytes.Equal(r.body, []byte{4}) {
		t.Errorf("return under another header: %v", r.body)
	}
	r = analyst.do("POST", wire.PathReturn, body[len(body)/2:]).want(t, "return", 200)
	if !bytes.Equal(r.body, []byte{0}) {
		t.Errorf("return: %v", r.body)
	}
	refund := wire.AppendCoins(nil, append(coins[:3:3], core.Coin{1}))
	r = collector.do("POST", wire.PathRefund, refund).want(t, "refund", 200)
	if got := statuses(r.body, wire.RefundRecordLen); !bytes.Equal(got, []byte{4, 0, 0, 3}) {
		t.Errorf("refund: %v", got)
	}
	_, at, redeemer, err := wire.ParseRefundRecord(r.body[:wire.RefundRecordLen])
	if err != nil || redeemer != analyst.account.ID || time.Since(at) > time.Minute {
		t.Errorf("evidence: at %v by %x (%v)", at, redeemer, err)
	}

	for p, want := range map[*peer]wire.Account{
		collector: {Name: "cam-1", Role: "collector", Granted: 100_000, Issued: 4, Refunded: 2, Balance: 100_000 - 4 + 2},
		analyst:   {Name: "lab-1", Role: "analyst", Redeemed: 2, Returned: 1, Balance: 1},
	} {
		want.ID = p.account.ID.String()
		var got wire.Account
		r := p.do("GET", wire.PathAccount, nil).want(t, "account", 200)
		if err := json.Unmarshal(r.body, &got); err != nil || got != want {
			t.Errorf("account: %s (%v), want %+v", r.body, err, want)
		}
	}
	if r := analyst.do("GET", wire.PathOpenAPI, nil).want(t, "openapi", 200); string(r.body) != openAPI {
		t.Error("the OpenAPI file is not the embedded one")
	}
	for name, want := range map[string]float64{
		`ecoin_coins_total{call="redeem",outcome="ok"}`:               2,
		`ecoin_coins_total{call="redeem",outcome="redeemed_before"}`:  2,
		`ecoin_coins_total{call="return",outcome="already_redeemed"}`: 1,
		`ecoin_coins_total{call="refund",outcome="ok"}`:               2,
		`ecoin_http_requests_total{route="/v1/redeem",code="200"}`:    2,
		`ecoin_http_requests_total{route="/v1/withdraw",code="409"}`:  1,
		`ecoin_redeem_seconds_count`:                                  2,
	} {
		if got := h.metric(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestBadRequests sends what is wrong in every way that net/http can send.
func TestBadRequests(t *testing.T) {
	h := start(t)
	collector, analyst := h.collector(), h.analyst()
	coin := collector.withdraw(1)[0]
	rec := h.record(coin)
	edit := func(i int, v byte) []byte {
		b := slices.Clone(rec)
		b[i] = v
		return b
	}
	before := h.store.Stats()
	for _, c := range []struct {
		name   string
		who    *peer
		method string
		path   string
		body   []byte
		header []string
		want   int
	}{
		{"n missing", collector, "POST", "/v1/withdraw", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n empty", collector, "POST", "/v1/withdraw?n=", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n = 0", collector, "POST", "/v1/withdraw?n=0", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n negative", collector, "POST", "/v1/withdraw?n=-1", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n over the limit", collector, "POST", "/v1/withdraw?n=10001", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n beyond 64 bits", collector, "POST", "/v1/withdraw?n=99999999999999999999", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n not a number", collector, "POST", "/v1/withdraw?n=ten", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n hexadecimal", collector, "POST", "/v1/withdraw?n=0x10", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n with sign", collector, "POST", "/v1/withdraw?n=%2B1", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n twice", collector, "POST", "/v1/withdraw?n=1&n=2", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"n and more", collector, "POST", "/v1/withdraw?n=1&m=2", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"other parameter", collector, "POST", "/v1/withdraw?count=1", nil, []string{"Idempotency-Key", key(2)}, 400},
		{"no key", collector, "POST", "/v1/withdraw?n=1", nil, nil, 400},
		{"key empty", collector, "POST", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", ""}, 400},
		{"key short", collector, "POST", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", key(2)[1:]}, 400},
		{"key long", collector, "POST", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", key(2) + "0"}, 400},
		{"key not hexadecimal", collector, "POST", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", "g" + key(2)[1:]}, 400},
		{"key quoted", collector, "POST", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", `"` + key(2)[2:] + `"`}, 400},
		{"withdraw with a body of 1", collector, "POST", "/v1/withdraw?n=1", []byte{1}, []string{"Idempotency-Key", key(2)}, 413},
		{"withdraw with a body", collector, "POST", "/v1/withdraw?n=1", make([]byte, 500), []string{"Idempotency-Key", key(2)}, 413},
		{"insufficient credit", h.client("poor", ledger.RoleCollector, 5), "POST", "/v1/withdraw?n=6", nil, []string{"Idempotency-Key", key(2)}, 402},

		{"analyst withdraws", analyst, "POST", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", key(2)}, 403},
		{"analyst refunds", analyst, "POST", "/v1/refund", coin[:], nil, 403},
		{"collector redeems", collector, "POST", "/v1/redeem", rec, nil, 403},
		{"collector returns", collector, "POST", "/v1/return", rec, nil, 403},

		{"no such path", analyst, "GET", "/", nil, nil, 404},
		{"no such path under v1", analyst, "POST", "/v1/mint", rec, nil, 404},
		{"path with slash", analyst, "POST", "/v1/redeem/", rec, nil, 404},
		{"path with double slash", analyst, "POST", "//v1/redeem", rec, nil, 404},
		{"path with dots", analyst, "GET", "/v1/x/../keys", nil, nil, 404},
		{"path escaped", analyst, "GET", "/v1/%6beys", nil, nil, 404},
		{"path upper case", analyst, "GET", "/V1/keys", nil, nil, 404},
		{"admin path on the API", analyst, "GET", "/admin/accounts", nil, nil, 404},
		{"metrics on the API", analyst, "GET", "/metrics", nil, nil, 404},
		{"huge body on no path", analyst, "POST", "/v1/mint", make([]byte, 1<<20), nil, 404},

		{"redeem by GET", analyst, "GET", "/v1/redeem", nil, nil, 405},
		{"redeem by PUT", analyst, "PUT", "/v1/redeem", rec, nil, 405},
		{"keys by POST", analyst, "POST", "/v1/keys", nil, nil, 405},
		{"keys by DELETE", analyst, "DELETE", "/v1/keys", nil, nil, 405},
		{"withdraw by GET", collector, "GET", "/v1/withdraw?n=1", nil, []string{"Idempotency-Key", key(2)}, 405},
		{"huge body, wrong method", analyst, "PUT", "/v1/redeem", make([]byte, 1<<20), nil, 405},

		{"redeem JSON", analyst, "POST", "/v1/redeem", rec, []string{"Content-Type", "application/json"}, 415},
		{"refund a form", collector, "POST", "/v1/refund", coin[:], []string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
		{"return text", analyst, "POST", "/v1/return", rec, []string{"Content-Type", "text/plain"}, 415},

		{"redeem nothing", analyst, "POST", "/v1/redeem", nil, nil, 400},
		{"redeem a byte", analyst, "POST", "/v1/redeem", []byte{1}, nil, 400},
		{"redeem a truncated record", analyst, "POST", "/v1/redeem", rec[:107], nil, 400},
		{"redeem a byte too many", analyst, "POST", "/v1/redeem", append(slices.Clone(rec), 1), nil, 400},
		{"version unknown", analyst, "POST", "/v1/redeem", edit(0, 2), nil, 400},
		{"suite unknown", analyst, "POST", "/v1/redeem", edit(1, 0x7f), nil, 400},
		{"a reply", analyst, "POST", "/v1/redeem", edit(2, 2), nil, 400},
		{"reserved byte", analyst, "POST", "/v1/redeem", edit(3, 1), nil, 400},
		{"return a truncated record", analyst, "POST", "/v1/return", rec[:50], nil, 400},
		{"refund nothing", collector, "POST", "/v1/refund", nil, nil, 400},
		{"refund 33 bytes", collector, "POST", "/v1/refund", make([]byte, 33), nil, 400},
		{"1001 records", analyst, "POST", "/v1/redeem", bytes.Repeat(rec, 1001), nil, 413},
		{"redeem over the bytes", analyst, "POST", "/v1/redeem", make([]byte, wire.MaxRecordsBody+1), nil, 413},
		{"redeem far over the bytes", analyst, "POST", "/v1/redeem", make([]byte, 2<<20), nil, 413},
		{"1001 coins", collector, "POST", "/v1/refund", make([]byte, 1001*32), nil, 413},
		{"keys with a body", analyst, "GET", "/v1/keys", make([]byte, 100), nil, 413},
	} {
		r := c.who.do(c.method, c.path, c.body, c.header...).want(t, c.name, c.want)
		if c.want == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", c.name)
		}
		if leak := findSecret(string(r.body), coin[:]); leak != "" {
			t.Errorf("%s: the answer holds the coin in %s", c.name, leak)
		}
	}
	if after := h.store.Stats(); after.Live != before.Live || after.Issued != before.Issued || after.Redeemed != before.Redeemed {
		t.Errorf("bad requests moved coins: %+v, then %+v", before, after)
	}

	// Well-framed, and answered record by record.
	flipped := edit(60, rec[60]^1)
	foreign := edit(5, rec[5]^1) // key id
	r := analyst.do("POST", wire.PathRedeem, slices.Concat(flipped, foreign, h.record(core.Coin{8}), rec)).want(t, "redeem", 200)
	if got := statuses(r.body, wire.RedeemRecordLen); !bytes.Equal(got, []byte{2, 2, 3, 0}) {
		t.Errorf("statuses %v, want 2 2 3 0", got)
	}
	if !bytes.Equal(r.body[:49*3], slices.Concat([]byte{2}, make([]byte, 48), []byte{2}, make([]byte, 48), []byte{3}, make([]byte, 48))) {
		t.Error("a refused record is answered with more than zeros")
	}
}

// TestOneWinner lets 64 analysts race for each coin, over TLS connections of their own.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	h := start(t)
	collector := h.collector()
	const racers, rounds = 64, 3
	coins := collector.withdraw(rounds)
	peers := make([]*peer, racers)
	var wg sync.WaitGroup
	for i := range peers {
		peers[i] = h.client(fmt.Sprintf("lab-%d", i), ledger.RoleAnalyst, 0)
		wg.Go(func() { peers[i].do("GET", wire.PathKeys, nil) }) // connect beforehand
	}
	wg.Wait()
	for _, coin := range coins {
		var mu sync.Mutex
		count := map[byte]int{}
		begin := make(chan struct{})
		for _, p := range peers {
			rec := h.record(coin)
			wg.Go(func() {
				<-begin
				r, err := p.try("POST", wire.PathRedeem, rec)
				if err != nil || r.status != 200 || len(r.body) != wire.RedeemRecordLen {
					t.Errorf("redeem: %d %v", r.status, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				count[r.body[0]]++
				if won := r.body[0] == 0; won != bytes.Equal(r.body[1:33], coin[:]) {
					t.Errorf("status %d, coin shown: %v", r.body[0], !won)
				}
			})
		}
		close(begin)
		wg.Wait()
		if count[0] != 1 || count[4] != racers-1 {
			t.Errorf("outcomes %v, want one 0 and %d times 4", count, racers-1)
		}
	}
}

// fakeBank stands in front of the real one.
type fakeBank struct {
	Bank
	redeem func(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error)
}

func (b *fakeBank) Redeem(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	return b.redeem(ctx, acc, dst, body)
}

// TestRefusalTable lets the bank fail with every known error, and an unknown one.
func TestRefusalTable(t *testing.T) {
	var fail error
	h := start(t, func(o *Options) {
		o.Bank = &fakeBank{o.Bank, func(context.Context, ledger.Client, []byte, []byte) ([]byte, error) {
			return nil, fmt.Errorf("redeem: %w", fail)
		}}
	})
	analyst := h.analyst()
	for _, row := range refusals {
		fail = row.err
		r := analyst.do("POST", wire.PathRedeem, []byte{1}).want(t, row.err.Error(), row.status)
		if want := map[bool]string{true: "1"}[row.status == 503]; r.header.Get("Retry-After") != want {
			t.Errorf("%v: Retry-After %q, want %q", row.err, r.header.Get("Retry-After"), want)
		}
	}
	for _, fail = range []error{errors.New("shard 3 is on fire"), context.Canceled, context.DeadlineExceeded} {
		r := analyst.do("POST", wire.PathRedeem, []byte{1}).want(t, "unknown error", 500)
		if bytes.Contains(r.body, []byte("fire")) || !strings.Contains(h.log.String(), fail.Error()) {
			t.Errorf("%v: must be in the log and not in the answer %s", fail, r.body)
		}
	}

	// An account that is gone gets no answer.
	fail = ledger.ErrNoAccount
	if r, err := analyst.try("POST", wire.PathRedeem, []byte{1}); err == nil {
		t.Errorf("no account: answered %d", r.status)
	}
}

// TestPanic: a handler that panics is answered 500 and counted; the process, the
// connection and the others live on; what it panicked with is not logged.
func TestPanic(t *testing.T) {
	h := start(t, func(o *Options) {
		real := o.Bank
		o.Bank = &fakeBank{real, func(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
			if len(body) == 1 {
				panic("with a secret: swordfish")
			}
			if len(body) == 2 {
				_ = body[len(body)+len(dst)]
			}
			return real.Redeem(ctx, acc, dst, body)
		}}
	})
	analyst := h.analyst()
	for _, body := range [][]byte{{1}, {1, 2}, {1}} {
		analyst.do("POST", wire.PathRedeem, body).want(t, "panic", 500)
	}
	analyst.do("GET", wire.PathAccount, nil).want(t, "after the panics", 200)
	if got := h.metric("ecoin_panics_total"); got != 3 {
		t.Errorf("%v panics counted, want 3", got)
	}
	if got := h.metric("ecoin_connections_accepted_total"); got != 1 {
		t.Errorf("%v connections, want 1: a panic must not cost the connection", got)
	}
	log := h.log.String()
	if strings.Contains(log, "swordfish") || !strings.Contains(log, "index out of range") || !strings.Contains(log, "TestPanic") {
		t.Errorf("the log should say where and not with what:\n%s", log)
	}
}

// TestPanicInParser: a panic outside the handlers costs one connection.
func TestPanicInParser(t *testing.T) {
	h := start(t)
	h.s.http.HeaderReceived = func(header *fasthttp.RequestHeader) fasthttp.RequestConfig {
		if len(header.Peek("X-Panic")) > 0 {
			panic("with a secret: swordfish")
		}
		return h.s.headerReceived(header)
	}
	analyst := h.analyst()
	if _, err := analyst.try("GET", wire.PathKeys, nil, "X-Panic", "1"); err == nil {
		t.Error("a connection that panicked was answered")
	}
	analyst.do("GET", wire.PathKeys, nil).want(t, "after the panic", 200)
	if got := h.metric("ecoin_panics_total"); got != 1 {
		t.Errorf("%v panics counted, want 1", got)
	}
	if log := h.log.String(); strings.Contains(log, "swordfish") || !strings.Contains(log, "TestPanicInParser") {
		t.Errorf("the log should say where and not with what:\n%s", log)
	}
}

// TestAnswersAreWiped: what a released answer held is gone.
func TestAnswersAreWiped(t *testing.T) {
	a := newAnswer()
	a.b = append(a.b, "coins coins coins"...)
	memory := a.b
	if n, err := a.WriteTo(new(bytes.Buffer)); n != 17 || err != nil {
		t.Fatal(n, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(memory, make([]byte, 17)) {
		t.Errorf("the memory still holds %q", memory)
	}
}
