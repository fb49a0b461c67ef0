package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/internal/identity"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// wantNothing connects with config and fails unless the bank gives no byte of HTTP,
// whatever is sent.
func (h *harness) wantNothing(what string, config *tls.Config) {
	h.t.Helper()
	c, err := tls.Dial("tcp", h.s.addr().String(), config)
	if err != nil {
		return // refused in the handshake
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "GET /v1/keys HTTP/1.1\r\nHost: b\r\n\r\n")
	b, err := io.ReadAll(c)
	if len(b) > 0 {
		h.t.Errorf("%s: got %q", what, b)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		h.t.Errorf("%s: the connection was not ended", what)
	}
}

func (h *harness) refusals(why string) float64 {
	return h.metric(`ecoin_handshakes_failed_total{reason="` + why + `"}`)
}

// TestStrangersGetNothing: each kind of client that is not in the truststore.
func TestStrangersGetNothing(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.collector().do("GET", wire.PathKeys, nil).want(t, "a known key", 200)

	noCert := h.stranger(newIdentity(t, "x", time.Hour)).rawConfig()
	noCert.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return new(tls.Certificate), nil }
	h.wantNothing("no certificate", noCert)

	h.wantNothing("unknown key", h.stranger(newIdentity(t, "cam-1", time.Hour)).rawConfig())

	// The certificate of a trusted client with another key under it.
	thief := h.stranger(newIdentity(t, "cam-1", time.Hour)).rawConfig()
	stolen := h.client("cam-2", ledger.RoleCollector, 0).id.Certificate
	mixed := tls.Certificate{Certificate: stolen.Certificate, PrivateKey: newIdentity(t, "cam-2", time.Hour).Certificate.PrivateKey}
	thief.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &mixed, nil }
	h.wantNothing("a trusted certificate without its key", thief)

	// A trusted certificate behind an unknown one: only the first counts.
	chain := newIdentity(t, "cam-3", time.Hour).Certificate
	chain.Certificate = append(chain.Certificate, stolen.Certificate[0])
	chained := h.stranger(newIdentity(t, "x", time.Hour)).rawConfig()
	chained.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &chain, nil }
	h.wantNothing("a trusted certificate as an intermediate", chained)

	expired := h.stranger(newIdentity(t, "cam-4", time.Millisecond))
	expired.trust("cam-4", ledger.RoleCollector, 10)
	time.Sleep(1100 * time.Millisecond) // certificates count in seconds
	h.wantNothing("expired certificate", expired.rawConfig())

	for name, key := range map[string]any{"RSA": rsaClientKey(t), "P-384": ecKey(t, elliptic.P384())} {
		p := h.stranger(customIdentity(t, key))
		p.trust(name, ledger.RoleCollector, 10) // even so
		h.wantNothing(name+" key", p.rawConfig())
	}
	p256 := h.stranger(customIdentity(t, ecKey(t, elliptic.P256())))
	p256.trust("p256", ledger.RoleCollector, 10)
	p256.do("GET", wire.PathKeys, nil).want(t, "P-256 key", 200)

	old := h.client("old", ledger.RoleCollector, 1).rawConfig()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	h.wantNothing("TLS 1.2", old)

	for _, text := range []string{"GET /v1/keys HTTP/1.1\r\nHost: b\r\n\r\n", "\x00\x01\x02", "\x16\x03\x01\xff\xff", strings.Repeat("A", 70000)} {
		c, err := net.Dial("tcp", h.s.addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, text)
		if half, ok := c.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		if b, _ := io.ReadAll(c); strings.Contains(string(b), "HTTP") {
			t.Errorf("plain text %.10q was answered %q", text, b)
		}
		c.Close()
	}

	eventually(t, "counting", func() bool { return h.s.conns.len() <= 2 })
	for why, want := range map[string]float64{"unknown_key": 2, "certificate": 3} {
		if got := h.refusals(why); got != want {
			t.Errorf("%v handshakes failed by %s, want %v", got, why, want)
		}
	}
	if got := h.metric(`ecoin_http_requests_total{route="other",code="400"}`); got > 0 {
		t.Errorf("%v requests of strangers reached the parser", got)
	}
}

func rsaClientKey(t *testing.T) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// customIdentity signs a certificate for a key of any type.
func customIdentity(t *testing.T, key any) *identity.Identity {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "custom"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	var public any
	switch k := key.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity.Identity{Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, Pin: identity.PinOf(leaf)}
}

// remove takes a key back by the admin API and returns how many connections it cut.
func (h *harness) remove(name string) int {
	h.t.Helper()
	r := h.adminDo("POST", wire.AdminPathAccounts+"/"+name+"/"+wire.AdminActionRemove, nil).want(h.t, "remove", 200)
	var out wire.ChangedAccount
	if err := json.Unmarshal(r.body, &out); err != nil || out.State != "removed" {
		h.t.Fatalf("remove: %s (%v)", r.body, err)
	}
	return out.ConnectionsClosed
}

// TestRemovedKey: live connections are cut, resumed sessions refused, others served;
// the account comes back with its balance when its key is added again.
func TestRemovedKey(t *testing.T) {
	t.Parallel()
	h := start(t)
	collector, other := h.collector(), h.client("cam-2", ledger.RoleCollector, 10)
	coin := collector.withdraw(1)[0]

	// Two live connections; on one of them a request has begun.
	idle, begun := collector.dial(), collector.dial()
	idle.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	idle.mustRead("before removal", 200)
	begun.send("POST /v1/refund HTTP/1.1\nHost: b\nContent-Length: 32\n\n")
	eventually(t, "three connections", func() bool { return h.s.conns.len() == 3 })

	// A session to resume: its ticket arrives with the first answer.
	resume := collector.rawConfig()
	resume.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	visit := func() (resumed bool, err error) {
		c, err := tls.Dial("tcp", h.s.addr().String(), resume)
		if err != nil {
			return false, err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, "GET /v1/keys HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c)
		if !strings.HasPrefix(string(b), "HTTP/1.1 200") {
			return false, io.ErrUnexpectedEOF
		}
		return c.ConnectionState().DidResume, err
	}
	if _, err := visit(); err != nil {
		t.Fatal(err)
	}
	if resumed, err := visit(); err != nil || !resumed {
		t.Fatalf("the session does not resume (%v): the test would show nothing", err)
	}
	eventually(t, "visitors gone", func() bool { return h.s.conns.len() == 3 })

	if cut := h.remove("cam-1"); cut != 3 {
		t.Errorf("%d connections cut, want 3", cut)
	}
	_, _ = begun.Write(coin[:])
	for name, c := range map[string]*rawConn{"idle": idle, "begun": begun} {
		c.wantEnd(name)
	}
	if resumed, err := visit(); err == nil {
		t.Errorf("a removed key was served (resumed: %v)", resumed)
	}
	h.wantNothing("removed key", collector.rawConfig())
	eventually(t, "two refusals counted", func() bool { return h.refusals("removed_key") == 2 })
	other.do("GET", wire.PathKeys, nil).want(t, "another client", 200)
	if st := h.store.Stats(); st.Refunded != 0 {
		t.Error("the cut request was served")
	}

	h.adminDo("POST", wire.AdminPathAccounts, wire.AddAccount{Name: "cam-1", Role: "collector", Pin: collector.account.Pin.String()}).want(t, "add again", 200)
	var a wire.Account
	r := collector.do("GET", wire.PathAccount, nil).want(t, "after coming back", 200)
	if err := json.Unmarshal(r.body, &a); err != nil || a.ID != collector.account.ID.String() || a.Balance != 100_000-1 {
		t.Errorf("account %s (%v)", r.body, err)
	}
}

// accounts lets the interface be embedded beside its method Accounts.
type accounts = Accounts

// hookedAccounts calls after with the number of each lookup by pin, between the
// lookup and its answer.
type hookedAccounts struct {
	accounts
	n     atomic.Int64
	after func(n int64)
}

func (a *hookedAccounts) ClientByPin(ctx context.Context, pin ledger.Pin) (ledger.Client, error) {
	acc, err := a.accounts.ClientByPin(ctx, pin)
	a.after(a.n.Add(1))
	return acc, err
}

// TestRemovalDuringHandshake removes the key at each moment of the way in: whichever
// lookup saw it last, the connection gets nothing.
func TestRemovalDuringHandshake(t *testing.T) {
	t.Parallel()
	for moment := int64(1); moment <= 3; moment++ {
		var h *harness
		var cut atomic.Int64
		var once sync.Once
		cut.Store(-1)
		hooked := &hookedAccounts{after: func(n int64) {
			if n == moment {
				once.Do(func() { cut.Store(int64(h.remove("cam-1"))) })
			}
		}}
		h = start(t, func(o *Options) { hooked.accounts, o.Accounts, o.TrustCache = o.Accounts, hooked, -1 })
		h.wantNothing("removed during the handshake", h.collector().rawConfig())
		eventually(t, "removal", func() bool { return cut.Load() >= 0 })
		if want := map[int64]int64{3: 1}[moment]; cut.Load() != want {
			t.Errorf("moment %d: the removal cut %d connections, want %d", moment, cut.Load(), want)
		}
		if hooked.n.Load() < moment {
			t.Fatalf("only %d lookups: the test shows nothing", hooked.n.Load())
		}
		eventually(t, "connection gone", func() bool { return h.s.conns.len() == 0 })
	}
}

// TestPipelinedBehindRemoval: requests that had arrived when the key was removed, and
// had not begun, are not served.
func TestPipelinedBehindRemoval(t *testing.T) {
	var h *harness
	entered, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	h = start(t, func(o *Options) {
		real := o.Bank
		o.Bank = &fakeBank{real, func(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
			if calls.Add(1) == 1 {
				close(entered)
				<-release
			}
			return real.Redeem(ctx, acc, dst, body)
		}}
	})
	coins := h.collector().withdraw(2)
	analyst := h.analyst()
	conn := analyst.dial()
	for _, c := range coins {
		rec := h.record(c)
		conn.send("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108\n\n")
		_, _ = conn.Write(rec)
	}
	<-entered
	if cut := h.remove("lab-1"); cut != 1 {
		t.Errorf("%d connections cut", cut)
	}
	close(release)
	conn.wantEnd("removed")
	eventually(t, "connection gone", func() bool { return h.s.conns.len() == 1 }) // the collector's stays
	if n := calls.Load(); n != 1 {
		t.Errorf("%d requests served, want the one that had begun", n)
	}
}

// TestCertificateExpiresOnLiveConnection: an open connection ends with its
// certificate.
func TestCertificateExpiresOnLiveConnection(t *testing.T) {
	t.Parallel()
	h := start(t)
	p := h.stranger(newIdentity(t, "brief", 2*time.Second))
	p.trust("brief", ledger.RoleCollector, 10)
	conn := p.dial()
	conn.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	conn.mustRead("before", 200)
	time.Sleep(time.Until(p.id.Certificate.Leaf.NotAfter) + 50*time.Millisecond)
	conn.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	conn.wantEnd("after")
}

// TestTruststoreFailure: when the truststore cannot be read, nobody gets in.
func TestTruststoreFailure(t *testing.T) {
	var broken atomic.Bool
	h := start(t, func(o *Options) { o.Accounts = &brokenAccounts{o.Accounts, &broken} })
	collector := h.collector()
	broken.Store(true)
	h.wantNothing("truststore broken", collector.rawConfig())
	broken.Store(false)
	collector.do("GET", wire.PathKeys, nil).want(t, "truststore mended", http.StatusOK)
	if got := h.refusals("truststore"); got != 1 {
		t.Errorf("%v refusals counted", got)
	}
}

type brokenAccounts struct {
	accounts
	broken *atomic.Bool
}

func (a *brokenAccounts) ClientByPin(ctx context.Context, pin ledger.Pin) (ledger.Client, error) {
	if a.broken.Load() {
		return ledger.Client{}, io.ErrUnexpectedEOF
	}
	return a.accounts.ClientByPin(ctx, pin)
}
