package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

func newKey(t testing.TB) *core.PublicKey {
	t.Helper()
	k, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

func wireKey(k *core.PublicKey) wire.Key {
	return wire.Key{Suite: k.Suite().String(), KeyID: k.ID().String(), PublicKey: base64.StdEncoding.EncodeToString(k.Bytes()), URL: "https://bank.example"}
}

func keysJSON(t testing.TB, keys ...*core.PublicKey) []byte {
	t.Helper()
	var out wire.Keys
	for _, k := range keys {
		out.Keys = append(out.Keys, wireKey(k))
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewRefuses(t *testing.T) {
	good := Options{URL: "https://127.0.0.1:8443", Identity: newIdentity(t), Roots: x509.NewCertPool()}
	with := func(change func(*Options)) Options { o := good; change(&o); return o }
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no identity":      with(func(o *Options) { o.Identity = nil }),
		"no roots":         with(func(o *Options) { o.Roots = nil }),
		"negative timeout": with(func(o *Options) { o.Timeout = -1 }),
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, u := range []string{"", "bank", "127.0.0.1:8443", "http://bank", "https://", "https://:8443", "https://bank/v1", "https://bank?x", "https://bank?",
		"https://bank#x", "https://u:pw@bank", "ftp://bank", "https://bank:port", "https://ba nk", "\x00"} {
		if _, err := New(with(func(o *Options) { o.URL = u })); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("URL %q: %v", u, err)
		}
	}
	for _, u := range []string{"https://bank", "https://bank/", "https://[::1]:8443", "https://bank.example:443"} {
		if _, err := New(with(func(o *Options) { o.URL = u })); err != nil {
			t.Errorf("URL %q: %v", u, err)
		}
	}
}

// checkRequest fails unless a bank would take r as it is.
func checkRequest(t *testing.T, r *http.Request, method, uri, contentType string, size int) {
	t.Helper()
	if r.Method != method || r.RequestURI != uri || r.Proto != "HTTP/1.1" {
		t.Errorf("%s %s %s, want %s %s", r.Method, r.RequestURI, r.Proto, method, uri)
	}
	if len(r.TransferEncoding) != 0 || r.ContentLength != int64(size) {
		t.Errorf("%s: transfer encoding %v, length %d, want %d", uri, r.TransferEncoding, r.ContentLength, size)
	}
	if got := r.Header.Get("Content-Type"); got != contentType {
		t.Errorf("%s: content type %q", uri, got)
	}
}

func TestWithdraw(t *testing.T) {
	want := coinsOf(3)
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		checkRequest(t, r, "POST", "/v1/withdraw?n=3", "", 0)
		if v := r.Header["Idempotency-Key"]; len(v) != 1 || v[0] != "01020300000000000000000000000010" {
			t.Errorf("Idempotency-Key: %q", v)
		}
		send(w, wire.TypeBinary, wire.AppendCoins(nil, want))
	})
	got, err := b.newClient(t, 0).Withdraw(ctx, [16]byte{1, 2, 3, 15: 16}, 3)
	if err != nil || len(got) != 3 || got[0] != want[0] || got[2] != want[2] {
		t.Errorf("%d coins, %v", len(got), err)
	}
}

func TestRedeem(t *testing.T) {
	recs := records(6)
	secs := []core.Secrets{secretsOf(10), secretsOf(11)}
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		checkRequest(t, r, "POST", "/v1/redeem", wire.TypeBinary, 6*108)
		if !bytes.Equal(body, bytes.Join(recs, nil)) {
			t.Error("other records arrive")
		}
		var out []byte
		for st := core.StatusOK; st <= core.StatusTemporary; st++ {
			out = wire.AppendRedeemRecord(out, st, &secs[st%2])
		}
		send(w, wire.TypeBinary, out)
	})
	got, err := b.newClient(t, 0).Redeem(ctx, recs)
	if err != nil || len(got) != 6 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for i, r := range got {
		want := core.Secrets{}
		if i < 2 {
			want = secs[i]
		}
		if r.Status != core.Status(i) || r.Secrets != want {
			t.Errorf("record %d: status %v, or other secrets", i, r.Status)
		}
	}
	if s := fmt.Sprintf("%v %+v", got[0], got); !strings.Contains(s, "redacted") || strings.Contains(s, " 11 12 13 ") {
		t.Errorf("prints secrets: %s", s)
	}
}

func TestReturn(t *testing.T) {
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		checkRequest(t, r, "POST", "/v1/return", wire.TypeBinary, 4*108)
		send(w, wire.TypeBinary, []byte{0, 3, 4, 5})
	})
	got, err := b.newClient(t, 0).Return(ctx, records(4))
	if err != nil || len(got) != 4 || got[0] != core.StatusOK || got[1] != core.StatusNotLive || got[2] != core.StatusRedeemed || got[3] != core.StatusTemporary {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRefund(t *testing.T) {
	coins := coinsOf(3)
	at := time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		checkRequest(t, r, "POST", "/v1/refund", wire.TypeBinary, 3*32)
		if !bytes.Equal(body, wire.AppendCoins(nil, coins)) {
			t.Error("other coins arrive")
		}
		out := wire.AppendRefundRecord(nil, core.StatusOK, time.Time{}, [16]byte{})
		out = wire.AppendRefundRecord(out, core.StatusRedeemed, at, [16]byte{7})
		send(w, wire.TypeBinary, wire.AppendRefundRecord(out, core.StatusRedeemed, time.Time{}, [16]byte{}))
	})
	got, err := b.newClient(t, 0).Refund(ctx, coins)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	if got[0] != (Refunded{}) || got[1] != (Refunded{core.StatusRedeemed, at, [16]byte{7}}) || got[2] != (Refunded{Status: core.StatusRedeemed}) {
		t.Errorf("%v", got)
	}
	if coins[1] != coinsOf(3)[1] {
		t.Error("the caller's coins have changed")
	}
}

func TestAccount(t *testing.T) {
	want := wire.Account{ID: strings.Repeat("0a", 16), Name: "meter-1", Role: "collector", Balance: 5, Granted: 10, Issued: 7, Redeemed: 1, Returned: 2, Refunded: 3}
	var answer string
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		checkRequest(t, r, "GET", "/v1/account", "", 0)
		send(w, wire.TypeJSON+"; charset=utf-8", []byte(answer))
	})
	c := b.newClient(t, 0)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer = range []string{string(text), strings.Replace(string(text), "{", `{"new":[1],`, 1)} {
		if got, err := c.Account(ctx); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	for _, answer = range []string{"", "null", "{}", "[]", `{"id":"`, `{"id":"00"}`, `{"id":"` + strings.Repeat("zz", 16) + `"}`, string(text) + "x",
		strings.Replace(string(text), `:5,`, `:"SECRET",`, 1), strings.Replace(string(text), `:5,`, `:5.5,`, 1), string(text) + strings.Repeat(" ", maxJSON)} {
		got, err := c.Account(ctx)
		if err == nil || Definite(err) || got != (wire.Account{}) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%.40q: %+v, %v", answer, got, err)
		}
	}
}

func TestKeys(t *testing.T) {
	one, two := newKey(t), newKey(t)
	rsa := core.SuiteRSA3072.String()
	var answer wire.Keys
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		checkRequest(t, r, "GET", "/v1/keys", "", 0)
		text, err := json.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		send(w, wire.TypeJSON, text)
	})
	c := b.newClient(t, 0)
	with := func(change func(*wire.Key)) wire.Key { k := wireKey(one); change(&k); return k }
	future := with(func(k *wire.Key) { k.Suite = "from the future" })
	for name, keys := range map[string][]wire.Key{
		"both":              {wireKey(one), wireKey(two)},
		"and a newer suite": {wireKey(one), future, wireKey(two)},
	} {
		answer.Keys = keys
		got, err := c.Keys(ctx)
		if err != nil || len(got) != 2 || got[0].Public.ID() != one.ID() || got[1].Public.ID() != two.ID() || got[0].URL != "https://bank.example" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, keys := range map[string][]wire.Key{
		"none":             {},
		"newer ones alone": {future},
		"another's id":     {wireKey(two), with(func(k *wire.Key) { k.KeyID = two.ID().String() })},
		"no id":            {with(func(k *wire.Key) { k.KeyID = "" })},
		"upper-case id":    {with(func(k *wire.Key) { k.KeyID = strings.ToUpper(k.KeyID) + "X" })},
		"not base64":       {with(func(k *wire.Key) { k.PublicKey = "!" })},
		"short key":        {with(func(k *wire.Key) { k.PublicKey = k.PublicKey[4:] })},
		"zero point":       {with(func(k *wire.Key) { k.PublicKey = base64.StdEncoding.EncodeToString(make([]byte, 32)) })},
		"another suite":    {with(func(k *wire.Key) { k.Suite = rsa })},
	} {
		answer.Keys = keys
		if got, err := c.Keys(ctx); err == nil || Definite(err) || got != nil {
			t.Errorf("%s: %d keys, %v", name, len(got), err)
		}
	}
}

// A wrong argument is found before anything is sent.
func TestArguments(t *testing.T) {
	b := newBank(t, func(http.ResponseWriter, *http.Request, []byte) { t.Error("a request was sent") })
	c := b.newClient(t, 0)
	bad := func(i int, v byte) [][]byte { r := records(3); r[1][i] = v; return r }
	reply := bad(2, core.KindReply)
	for name, err := range map[string]error{
		"withdraw 0":       second(c.Withdraw(ctx, [16]byte{}, 0)),
		"withdraw -1":      second(c.Withdraw(ctx, [16]byte{}, -1)),
		"withdraw 10001":   second(c.Withdraw(ctx, [16]byte{}, wire.MaxWithdraw+1)),
		"redeem none":      second(c.Redeem(ctx, nil)),
		"redeem 1001":      second(c.Redeem(ctx, records(wire.MaxBatch+1))),
		"redeem empty":     second(c.Redeem(ctx, [][]byte{record(1), {}})),
		"redeem short":     second(c.Redeem(ctx, [][]byte{record(1)[:107]})),
		"redeem long":      second(c.Redeem(ctx, [][]byte{append(record(1), 0)})),
		"redeem version":   second(c.Redeem(ctx, bad(0, 2))),
		"redeem suite":     second(c.Redeem(ctx, bad(1, 0x33))),
		"redeem a reply":   second(c.Redeem(ctx, reply)),
		"return none":      second(c.Return(ctx, nil)),
		"return a reply":   second(c.Return(ctx, reply)),
		"return 1001":      second(c.Return(ctx, records(wire.MaxBatch+1))),
		"refund none":      second(c.Refund(ctx, nil)),
		"refund 1001":      second(c.Refund(ctx, make([]core.Coin, wire.MaxBatch+1))),
		"remove no name":   second(NewAdmin("none").RemoveAccount(ctx, "")),
		"credit parent":    second(NewAdmin("none").Credit(ctx, "..", 1)),
		"credit with path": second(NewAdmin("none").Credit(ctx, "a/b", 1)),
	} {
		if err == nil || !Definite(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := second(c.Redeem(ctx, reply)); !strings.Contains(err.Error(), "record 1") {
		t.Errorf("the message does not name the record: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestFullBatches(t *testing.T) {
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch r.URL.Path {
		case wire.PathWithdraw:
			send(w, wire.TypeBinary, make([]byte, wire.MaxWithdraw*wire.CoinLen))
		case wire.PathRedeem:
			send(w, wire.TypeBinary, make([]byte, len(body)/108*wire.RedeemRecordLen))
		case wire.PathReturn:
			send(w, wire.TypeBinary, make([]byte, len(body)/108))
		case wire.PathRefund:
			send(w, wire.TypeBinary, make([]byte, len(body)/32*wire.RefundRecordLen))
		}
	})
	c := b.newClient(t, 0)
	for name, call := range map[string]func() (int, error){
		"withdraw": func() (int, error) {
			v, err := c.Withdraw(ctx, [16]byte{}, wire.MaxWithdraw)
			return len(v) / 10, err
		},
		"redeem": func() (int, error) { v, err := c.Redeem(ctx, records(wire.MaxBatch)); return len(v), err },
		"return": func() (int, error) { v, err := c.Return(ctx, records(wire.MaxBatch)); return len(v), err },
		"refund": func() (int, error) { v, err := c.Refund(ctx, coinsOf(wire.MaxBatch)); return len(v), err },
	} {
		if n, err := call(); err != nil || n != 1000 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// Calls one after the other share a connection, whatever they answer.
func TestConnectionIsReused(t *testing.T) {
	calls := allCalls(t)
	var current call
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		if r.Header.Get("Idempotency-Key") == "" && r.URL.Path == wire.PathWithdraw {
			t.Error("no Idempotency-Key")
		}
		send(w, current.contentType(), current.good)
	})
	c := b.newClient(t, 0)
	for range 5 {
		for _, current = range calls {
			if _, err := current.do(c, ctx); err != nil {
				t.Fatalf("%s: %v", current.name, err)
			}
		}
	}
	if n := b.conns.Load(); n != 1 {
		t.Errorf("%d connections for %d calls", n, b.requests.Load())
	}
}

func TestConcurrentCalls(t *testing.T) {
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		// Each coin comes back as the redeemer of its own answer.
		var out []byte
		for ; len(body) > 0; body = body[32:] {
			out = wire.AppendRefundRecord(out, core.StatusRedeemed, time.UnixMilli(1), [16]byte(body[:16]))
		}
		send(w, wire.TypeBinary, out)
	})
	c := b.newClient(t, 0)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 20 {
				coins := coinsOf(1 + i)
				for k := range coins {
					coins[k][0], coins[k][1] = byte(g), byte(k)
				}
				got, err := c.Refund(ctx, coins)
				if err != nil {
					t.Error(err)
					return
				}
				for k, r := range got {
					if r.Redeemer != [16]byte(coins[k][:16]) {
						t.Errorf("goroutine %d got another's answer", g)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestClientPresentsItsCertificate(t *testing.T) {
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		if n := len(r.TLS.PeerCertificates); n != 1 {
			t.Errorf("%d client certificates", n)
			return
		}
		pin := identity.PinOf(r.TLS.PeerCertificates[0])
		send(w, wire.TypeBinary, make([]byte, 32))
		if r.TLS.Version != 0x0304 || pin == [32]byte{} {
			t.Errorf("TLS version %#x", r.TLS.Version)
		}
	})
	if _, err := b.newClient(t, 0).Withdraw(ctx, [16]byte{}, 1); err != nil {
		t.Fatal(err)
	}
	stranger := connect(t, Options{URL: b.URL, Identity: newIdentity(t), Roots: pool(b.id)})
	before := b.requests.Load()
	for _, call := range allCalls(t) {
		if n, err := call.do(stranger, ctx); err == nil || Definite(err) || n != 0 || strings.Contains(err.Error(), "unknown pin") {
			t.Errorf("%s by a stranger: %v", call.name, err)
		}
	}
	if b.requests.Load() != before {
		t.Error("a stranger's request was handled")
	}
}

func TestClientRefusesAnotherBank(t *testing.T) {
	b := newBank(t, func(http.ResponseWriter, *http.Request, []byte) { t.Error("a request reached a bank that is not ours") })
	elsewhere := newIdentity(t, "bank.example")
	for name, o := range map[string]Options{
		"another key":        {URL: b.URL, Identity: b.client, Roots: pool(newIdentity(t, "127.0.0.1"))},
		"empty roots":        {URL: b.URL, Identity: b.client, Roots: x509.NewCertPool()},
		"another host":       {URL: strings.Replace(b.URL, "127.0.0.1", "localhost", 1), Identity: b.client, Roots: pool(b.id)},
		"named, but another": {URL: b.URL, Identity: b.client, Roots: pool(elsewhere)},
	} {
		c := connect(t, o)
		for _, call := range allCalls(t) {
			if n, err := call.do(c, ctx); err == nil || Definite(err) || n != 0 {
				t.Errorf("%s: %s: %v", name, call.name, err)
			}
		}
	}
}

func TestContext(t *testing.T) {
	release := make(chan struct{})
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		<-release // and not r.Context().Done(): an answer could overtake the client's leaving
	})
	defer close(release)
	for _, call := range allCalls(t) {
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := call.do(b.newClient(t, 0), cancelled); !errors.Is(err, context.Canceled) || Definite(err) {
			t.Errorf("%s, cancelled before: %v", call.name, err)
		}
		late, cancel := context.WithCancel(ctx)
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := call.do(b.newClient(t, 0), late); !errors.Is(err, context.Canceled) || Definite(err) {
			t.Errorf("%s, cancelled meanwhile: %v", call.name, err)
		}
		if _, err := call.do(b.newClient(t, 20*time.Millisecond), ctx); !errors.Is(err, context.DeadlineExceeded) || Definite(err) {
			t.Errorf("%s, timeout: %v", call.name, err)
		}
	}
}
