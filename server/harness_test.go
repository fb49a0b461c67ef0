package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/internal/identity"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

func TestMain(m *testing.M) {
	// fasthttp's clock for the Date header: one goroutine for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// harness is a bank on loopback with real TLS over a real ledger. When its test
// ends, everything it logged, at every level, is searched for the secrets it knows.
type harness struct {
	t       testing.TB
	s       *Server
	store   *ledger.Ledger
	bank    *bank.Bank
	mint    *core.Mint
	key     *core.PublicKey // x25519
	id      *identity.Identity
	log     *syncBuffer
	stop    context.CancelFunc
	done    chan struct{} // closed when Run has returned
	err     error         // what it returned
	closed  sync.Once
	mayFail bool // Run may return an error
	socket  string

	mu      sync.Mutex
	secrets [][]byte
	ids     int
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a bank; change may alter the options or put something in front of the
// bank and the ledger.
func start(t testing.TB, change ...func(*Options)) *harness {
	t.Helper()
	return startWith(t, func(*ledger.Options) {}, change...)
}

// startWith is start with other options of the ledger.
func startWith(t testing.TB, changeLedger func(*ledger.Options), change ...func(*Options)) *harness {
	t.Helper()
	h := &harness{
		t: t, log: new(syncBuffer), done: make(chan struct{}),
		mint:   core.NewMint(&[32]byte{1}, &[32]byte{2}),
		socket: filepath.Join(t.TempDir(), "admin.sock"),
	}
	logger := slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	lo := ledger.Options{Mint: h.mint.AppendFingerprints, Shards: 2, MinFreeBytes: 1, BallastBytes: -1, Logger: logger}
	changeLedger(&lo)
	if h.store, err = ledger.Open(t.TempDir(), lo); err != nil {
		t.Fatal(err)
	}
	private, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	h.key = private.Public()
	ring, err := core.NewKeyring(private)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bank.New(bank.Options{Ledger: h.store, Keys: ring, Mint: h.mint, URL: "https://bank.example"})
	if err != nil {
		t.Fatal(err)
	}
	h.bank = b
	h.id = newIdentity(t, "bank", time.Hour)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Bank: b, Accounts: h.store, Certificate: h.id, Listener: ln, Admin: h.socket,
		DrainDelay: 20 * time.Millisecond, DrainTimeout: 5 * time.Second, Logger: logger,
	}
	for _, f := range change {
		f(&o)
	}
	if h.s, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	go func() { h.err = h.s.Run(ctx); close(h.done) }()
	t.Cleanup(h.close)
	for !h.s.ready.Load() {
		time.Sleep(time.Millisecond)
	}
	return h
}

// wait returns what Run returned.
func (h *harness) wait() error {
	<-h.done
	return h.err
}

// close stops the server, audits and closes the ledger, and searches the log.
func (h *harness) close() { h.closed.Do(h.doClose) }

func (h *harness) doClose() {
	h.stop()
	if err := h.wait(); err != nil && !h.mayFail {
		h.t.Errorf("Run: %v", err)
	}
	h.bank.Close()
	if audit, err := h.store.Audit(context.Background()); err != nil || !audit.OK() {
		h.t.Errorf("audit at the end: %v %v", audit.Problems, err)
	}
	if err := h.store.Close(); err != nil {
		h.t.Errorf("closing the ledger: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, secret := range h.secrets {
		if leak := findSecret(h.log.String(), secret); leak != "" {
			h.t.Errorf("a secret was logged, in %s", leak)
		}
	}
}

// findSecret says in which encoding 8 bytes of a secret stand in text, "" for none.
func findSecret(text string, secret []byte) string {
	for name, s := range map[string]string{
		"raw": string(secret[:8]), "hex": hex.EncodeToString(secret[:8]),
		"upper-case hex": strings.ToUpper(hex.EncodeToString(secret[:8])),
		"base64":         base64.StdEncoding.EncodeToString(secret[:9])[:11],
		"base64url":      base64.URLEncoding.EncodeToString(secret[:9])[:11],
		"decimals":       strings.Trim(fmt.Sprint(secret[:8]), "[]"),
		"quoted":         strings.Trim(fmt.Sprintf("%q", secret[:8]), `"`),
	} {
		if strings.Contains(text, s) {
			return name
		}
	}
	return ""
}

func (h *harness) secret(b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = append(h.secrets, bytes.Clone(b))
}

func newIdentity(t testing.TB, name string, lifetime time.Duration) *identity.Identity {
	t.Helper()
	cert, key, err := identity.New(name, []string{"127.0.0.1"}, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// peer is one client identity.
type peer struct {
	h       *harness
	id      *identity.Identity
	account ledger.Account
	config  *tls.Config
	http    *http.Client
}

// stranger returns a client whose key the bank does not know.
func (h *harness) stranger(id *identity.Identity) *peer {
	roots := x509.NewCertPool()
	roots.AddCert(h.id.Certificate.Leaf)
	config := identity.ClientConfig(id, roots)
	tr := &http.Transport{TLSClientConfig: config, DisableCompression: true, MaxIdleConnsPerHost: 128}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &peer{h: h, id: id, config: config, http: &http.Client{Transport: tr, Timeout: 20 * time.Second}}
}

// client returns a client with an account.
func (h *harness) client(name string, role ledger.Role, credit int64) *peer {
	h.t.Helper()
	p := h.stranger(newIdentity(h.t, name, time.Hour))
	p.trust(name, role, credit)
	return p
}

func (p *peer) trust(name string, role ledger.Role, credit int64) {
	p.h.t.Helper()
	var err error
	if p.account, err = p.h.store.AddAccount(context.Background(), name, role, p.id.Pin); err != nil {
		p.h.t.Fatal(err)
	}
	if credit > 0 {
		if _, err = p.h.store.Grant(context.Background(), p.account.ID, credit); err != nil {
			p.h.t.Fatal(err)
		}
	}
}

func (h *harness) collector() *peer { return h.client("cam-1", ledger.RoleCollector, 100_000) }
func (h *harness) analyst() *peer   { return h.client("lab-1", ledger.RoleAnalyst, 0) }

func (h *harness) url(path string) string { return "https://" + h.s.addr().String() + path }

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (p *peer) try(method, path string, body []byte, header ...string) (reply, error) {
	req, err := http.NewRequest(method, p.h.url(path), bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if method == http.MethodPost && len(body) > 0 {
		req.Header.Set("Content-Type", wire.TypeBinary)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := p.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, b}, err
}

func (p *peer) do(method, path string, body []byte, header ...string) reply {
	p.h.t.Helper()
	r, err := p.try(method, path, body, header...)
	if err != nil {
		p.h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// want fails the test unless the answer has the status, and, when it is an error, is
// a well-formed problem.
func (r reply) want(t testing.TB, what string, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("%s: status %d (%.200q), want %d", what, r.status, r.body, status)
	}
	if status < 400 {
		return r
	}
	var p problem.Problem
	if err := json.Unmarshal(r.body, &p); err != nil || p.Status != status || p.Title == "" || p.Detail == "" ||
		r.header.Get("Content-Type") != problem.ContentType {
		t.Errorf("%s: not a problem: %q as %s (%v)", what, r.body, r.header.Get("Content-Type"), err)
	}
	return r
}

func key(n int) string { return fmt.Sprintf("%032x", n) }

// nextKey returns an idempotency key that no other call of this harness used.
func (h *harness) nextKey() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids++
	return key(1_000_000 + h.ids)
}

func (p *peer) withdraw(n int) []core.Coin {
	p.h.t.Helper()
	r := p.do("POST", fmt.Sprintf("%s?n=%d", wire.PathWithdraw, n), nil, wire.HeaderIdempotencyKey, p.h.nextKey())
	r.want(p.h.t, "withdraw", 200)
	coins, err := wire.ParseWithdrawn(nil, r.body, n)
	if err != nil {
		p.h.t.Fatal(err)
	}
	for _, c := range coins {
		p.h.secret(c[:])
	}
	return coins
}

// record seals a coin for the bank.
func (h *harness) record(c core.Coin) []byte {
	h.t.Helper()
	sec := core.Secrets{Coin: c, IV: core.IV{15: 7}}
	b, err := h.key.AppendHeader(nil, new(core.Scratch), &sec)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *harness) records(coins []core.Coin) []byte {
	var b []byte
	for _, c := range coins {
		b = append(b, h.record(c)...)
	}
	return b
}

// statuses returns the first byte of each record of a binary answer.
func statuses(body []byte, recordLen int) []byte {
	var out []byte
	for ; len(body) >= recordLen; body = body[recordLen:] {
		out = append(out, body[0])
	}
	return out
}

// dial makes a TLS connection of its own for requests written by hand.
func (p *peer) dial() *rawConn {
	p.h.t.Helper()
	c, err := tls.Dial("tcp", p.h.s.addr().String(), p.rawConfig())
	if err != nil {
		p.h.t.Fatal(err)
	}
	p.h.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	return &rawConn{Conn: c, t: p.h.t, r: bufio.NewReader(c)}
}

func (p *peer) rawConfig() *tls.Config {
	config := p.config.Clone()
	config.ServerName = "127.0.0.1"
	return config
}

type rawConn struct {
	*tls.Conn
	t testing.TB
	r *bufio.Reader
}

// send writes text with CRLF line ends.
func (c *rawConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawConn) read() (reply, error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	res.Header.Set("Connection", map[bool]string{true: "close"}[res.Close])
	return reply{res.StatusCode, res.Header, b}, err
}

func (c *rawConn) mustRead(what string, status int) reply {
	c.t.Helper()
	r, err := c.read()
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
	return r.want(c.t, what, status)
}

// wantEnd fails unless the server closed the connection without another byte.
func (c *rawConn) wantEnd(what string) {
	c.t.Helper()
	if n, err := c.r.Read(make([]byte, 1)); n != 0 || err == nil {
		c.t.Errorf("%s: the connection goes on", what)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Errorf("%s: the connection was neither closed nor used", what)
	}
}

// metric returns the value of a line of /metrics, -1 when it is not there.
func (h *harness) metric(name string) float64 {
	h.t.Helper()
	var b bytes.Buffer
	h.s.metrics.set.WritePrometheus(&b)
	for line := range strings.Lines(b.String()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			var v float64
			if _, err := fmt.Sscan(rest, &v); err != nil {
				h.t.Fatal(err)
			}
			return v
		}
	}
	return -1
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: did not happen in 10 s", what)
		}
	}
}
