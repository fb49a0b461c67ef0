package client

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// fakeBank is a bank that answers what a test wants, over real mutual TLS.
type fakeBank struct {
	*httptest.Server
	id       *identity.Identity // the bank's
	client   *identity.Identity // the only one it lets in
	requests atomic.Int64
	conns    atomic.Int64
}

// newBank starts a bank. Its handler gets the request's whole body.
func newBank(t testing.TB, handler func(w http.ResponseWriter, r *http.Request, body []byte)) *fakeBank {
	t.Helper()
	b := &fakeBank{id: newIdentity(t, "127.0.0.1"), client: newIdentity(t)}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the bank cannot read the request: %v", err)
		}
		handler(w, r, body)
	}))
	b.TLS = identity.ServerConfig(b.id, func(pin [32]byte) error {
		if pin != b.client.Pin {
			return fmt.Errorf("unknown pin")
		}
		return nil
	})
	b.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			b.conns.Add(1)
		}
	}
	b.StartTLS()
	t.Cleanup(b.Close)
	return b
}

func newIdentity(t testing.TB, hosts ...string) *identity.Identity {
	t.Helper()
	certPEM, keyPEM, err := identity.New("test", hosts, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func pool(id *identity.Identity) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(id.Certificate.Leaf)
	return p
}

// newClient returns a client the bank lets in, whose calls take at most timeout.
func (b *fakeBank) newClient(t testing.TB, timeout time.Duration) *Client {
	t.Helper()
	return connect(t, Options{URL: b.URL, Identity: b.client, Roots: pool(b.id), Timeout: timeout})
}

func connect(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// send answers 200 with a body of the given type.
func send(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// record returns a well-formed x25519 record.
func record(fill byte) []byte {
	r := []byte{core.Version, byte(core.SuiteX25519), core.KindRequest, 0}
	return append(r, bytes.Repeat([]byte{fill}, 8+96)...)
}

func records(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = record(byte(i))
	}
	return out
}

func secretsOf(fill byte) (s core.Secrets) {
	for i := range s.Coin {
		s.Coin[i] = fill + byte(i)
	}
	for i := range s.IV {
		s.IV[i] = fill - byte(i)
	}
	return s
}

func coinsOf(n int) []core.Coin {
	out := make([]core.Coin, n)
	for i := range out {
		out[i] = secretsOf(byte(i)).Coin
	}
	return out
}

// marker fills answers of refused calls; no error may contain it.
const marker = 'Z'

// call is one of the four calls that move coins, for two items.
type call struct {
	name string
	size int // of a good answer
	good []byte
	do   func(c *Client, ctx context.Context) (items int, err error)
}

func coinCalls() []call {
	one := secretsOf(1)
	redeemed := wire.AppendRedeemRecord(wire.AppendRedeemRecord(nil, core.StatusOK, &one), core.StatusNotLive, nil)
	refunded := wire.AppendRefundRecord(wire.AppendRefundRecord(nil, core.StatusOK, time.Time{}, [16]byte{}), core.StatusRedeemed, time.UnixMilli(5), [16]byte{1})
	return []call{
		{"withdraw", 64, wire.AppendCoins(nil, coinsOf(2)), func(c *Client, ctx context.Context) (int, error) {
			out, err := c.Withdraw(ctx, [16]byte{1}, 2)
			return len(out), err
		}},
		{"redeem", 98, redeemed, func(c *Client, ctx context.Context) (int, error) {
			out, err := c.Redeem(ctx, records(2))
			return len(out), err
		}},
		{"return", 2, []byte{0, 4}, func(c *Client, ctx context.Context) (int, error) {
			out, err := c.Return(ctx, records(2))
			return len(out), err
		}},
		{"refund", 50, refunded, func(c *Client, ctx context.Context) (int, error) {
			out, err := c.Refund(ctx, coinsOf(2))
			return len(out), err
		}},
	}
}

// allCalls adds the two that only ask.
func allCalls(t testing.TB) []call {
	t.Helper()
	return append(coinCalls(),
		call{"account", 0, []byte(`{"id":"00112233445566778899aabbccddeeff","name":"a","role":"collector"}`), func(c *Client, ctx context.Context) (int, error) {
			_, err := c.Account(ctx)
			return 0, err
		}},
		call{"keys", 0, keysJSON(t, newKey(t)), func(c *Client, ctx context.Context) (int, error) {
			out, err := c.Keys(ctx)
			return len(out), err
		}},
	)
}

func (c call) contentType() string {
	if c.size == 0 {
		return wire.TypeJSON
	}
	return wire.TypeBinary
}
