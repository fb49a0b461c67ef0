package director

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/httpserve"
	"ecoin/internal/identity"
	"ecoin/internal/problem"
)

// harness is a running director and a way to make the others.
type harness struct {
	t   *testing.T
	id  *identity.Identity
	url string
	d   *Director
}

func start(t *testing.T, o Options) *harness {
	t.Helper()
	h := &harness{t: t, id: newIdentity(t, "director")}
	o.Identity, o.Logger = h.id, cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.d, h.url = d, d.URL()
	runUntilEnd(t, d.Run)
	return h
}

// runUntilEnd runs f until the test ends, and wants nil from it then.
func runUntilEnd(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

// caller returns a client of the director with the given identity; nil makes one.
func (h *harness) caller(id *identity.Identity) *http.Client {
	h.t.Helper()
	if id == nil {
		id = newIdentity(h.t, "somebody")
	}
	tr := &http.Transport{TLSClientConfig: identity.PinnedClientConfig(id, h.id.Pin)}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// do sends one request and returns status, header and body.
func (h *harness) do(c *http.Client, method, path, contentType string, body io.Reader) (int, http.Header, []byte) {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") == problem.ContentType {
		if p, err := problem.Parse(resp.StatusCode, resp.Header, b); err != nil || p.Detail == "" {
			h.t.Errorf("%s %s: %d with problem %+v, %v", method, path, resp.StatusCode, p, err)
		}
	}
	return resp.StatusCode, resp.Header, b
}

// register registers url for the key of id.
func (h *harness) register(id *identity.Identity, name, url string, capacity int, analyses ...string) int {
	h.t.Helper()
	b, err := json.Marshal(registration{URL: url, Analyses: analyses, Capacity: capacity})
	if err != nil {
		h.t.Fatal(err)
	}
	status, _, _ := h.do(h.caller(id), "PUT", "/v1/analysts/"+name, "application/json", bytes.NewReader(b))
	return status
}

// serve runs an analyst's server that admits the director alone, not registered.
func (h *harness) serve(id *identity.Identity, f http.HandlerFunc) (url string) {
	h.t.Helper()
	s, err := httpserve.Listen(httpserve.Options{Handler: f, Logger: slog.New(slog.DiscardHandler), DrainTimeout: 100 * time.Millisecond,
		TLS: identity.ServerConfig(id, func(pin [32]byte) error {
			if pin != h.id.Pin {
				return fmt.Errorf("not the director")
			}
			return nil
		})})
	if err != nil {
		h.t.Fatal(err)
	}
	runUntilEnd(h.t, s.Run)
	return s.URL()
}

// analyst runs and registers an analyst.
func (h *harness) analyst(name string, capacity int, f http.HandlerFunc, analyses ...string) {
	h.t.Helper()
	id := newIdentity(h.t, name)
	if got := h.register(id, name, h.serve(id, f), capacity, analyses...); got != 200 {
		h.t.Fatalf("register: %d", got)
	}
}

// request returns a well-formed request that nobody can open, of about n bytes of
// plaintext.
func request(t *testing.T, n int) []byte {
	t.Helper()
	key, err := core.GenerateKey(core.SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	var s core.Scratch
	var sec core.Secrets
	_, _ = rand.Read(sec.Coin[:])
	_, _ = rand.Read(sec.IV[:])
	record, err := key.Public().AppendHeader(nil, &s, &sec)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := core.AppendRequest(nil, &s, record, &sec, make([]byte, n))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func (h *harness) operate(analysis string, msg []byte) (int, http.Header, []byte) {
	h.t.Helper()
	return h.do(h.caller(nil), "POST", "/v1/operations/"+analysis, "application/octet-stream", bytes.NewReader(msg))
}

func TestRelay(t *testing.T) {
	h := start(t, Options{})
	msg := request(t, 5000)
	var seen *http.Request
	var got []byte
	reply := []byte("sealed \x00 reply")
	status := 200
	h.analyst("a1", 4, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		got, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-whatever")
		w.Header().Set("Set-Cookie", "track=1")
		w.Header().Set("Location", "https://elsewhere.example")
		w.WriteHeader(status)
		w.Write(reply)
	}, "summary")

	for _, status = range []int{200, 422, 503} {
		st, header, body := h.operate("summary", msg)
		if st != status || !bytes.Equal(body, reply) || header.Get("Content-Type") != "application/x-whatever" {
			t.Errorf("answer %d, %q, %v", st, body, header)
		}
		if header.Get("Set-Cookie")+header.Get("Location") != "" {
			t.Errorf("headers went through: %v", header)
		}
	}
	if !bytes.Equal(got, msg) {
		t.Error("the request was altered")
	}
	if seen.Method != "POST" || seen.URL.Path != "/v1/operations/summary" || seen.ContentLength != int64(len(msg)) ||
		seen.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("the analyst saw %s %s %v", seen.Method, seen.URL, seen.Header)
	}
	for name := range seen.Header {
		if name != "Content-Type" && name != "Content-Length" {
			t.Errorf("the analyst learned %s", name)
		}
	}
	st, header, body := h.do(h.caller(nil), "GET", "/v1/analyses", "", nil)
	if st != 200 || string(body) != `{"analyses":[{"name":"summary","analysts":1,"outstanding":0}]}` || header.Get("Content-Type") != "application/json" {
		t.Errorf("analyses: %d %s", st, body)
	}
}

func TestBadRequests(t *testing.T) {
	h := start(t, Options{MaxBody: 10_000})
	asked := false
	h.analyst("a1", 4, func(w http.ResponseWriter, r *http.Request) { asked = true }, "summary")
	const octets, js = "application/octet-stream", "application/json"
	msg := request(t, 100)
	flip := func(i int) []byte {
		b := bytes.Clone(msg)
		b[i] ^= 0x40
		return b
	}
	chunked := func(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }
	for _, tc := range []struct {
		name, method, path, contentType string
		body                            io.Reader
		want                            int
	}{
		{"no such path", "GET", "/", "", nil, 404},
		{"no such path below", "GET", "/v1/analyses/", "", nil, 404},
		{"double slash", "GET", "//v1/analyses", "", nil, 404},
		{"escaped path", "GET", "/v1/analyse%73", "", nil, 404},
		{"dots", "POST", "/v1/operations/../analyses", octets, bytes.NewReader(msg), 404},
		{"no analysis", "POST", "/v1/operations/", octets, bytes.NewReader(msg), 404},
		{"bad name", "POST", "/v1/operations/Summary", octets, bytes.NewReader(msg), 404},
		{"escaped name", "POST", "/v1/operations/summar%79", octets, bytes.NewReader(msg), 404},
		{"long name", "POST", "/v1/operations/" + strings.Repeat("a", 65), octets, bytes.NewReader(msg), 404},
		{"nobody offers it", "POST", "/v1/operations/horoscope", octets, bytes.NewReader(msg), 404},
		{"operation by GET", "GET", "/v1/operations/summary", "", nil, 405},
		{"operation by PUT", "PUT", "/v1/operations/summary", octets, bytes.NewReader(msg), 405},
		{"analyses by POST", "POST", "/v1/analyses", js, strings.NewReader("{}"), 405},
		{"analyst by GET", "GET", "/v1/analysts/x", "", nil, 405},
		{"no content type", "POST", "/v1/operations/summary", "", bytes.NewReader(msg), 415},
		{"wrong content type", "POST", "/v1/operations/summary", js, bytes.NewReader(msg), 415},
		{"registration as octets", "PUT", "/v1/analysts/x", octets, strings.NewReader(goodRegistration), 415},
		{"no body", "POST", "/v1/operations/summary", octets, nil, 400},
		{"truncated", "POST", "/v1/operations/summary", octets, bytes.NewReader(msg[:len(msg)-1]), 400},
		{"one byte more", "POST", "/v1/operations/summary", octets, bytes.NewReader(append(bytes.Clone(msg), 0)), 400},
		{"version", "POST", "/v1/operations/summary", octets, bytes.NewReader(flip(0)), 400},
		{"suite", "POST", "/v1/operations/summary", octets, bytes.NewReader(flip(1)), 400},
		{"kind", "POST", "/v1/operations/summary", octets, bytes.NewReader(flip(2)), 400},
		{"length", "POST", "/v1/operations/summary", octets, bytes.NewReader(flip(13)), 400},
		{"random", "POST", "/v1/operations/summary", octets, strings.NewReader(strings.Repeat("random", 100)), 400},
		{"too large", "POST", "/v1/operations/summary", octets, bytes.NewReader(make([]byte, 10_001)), 413},
		{"too large, chunked", "POST", "/v1/operations/summary", octets, chunked(make([]byte, 10_001)), 413},
		{"registration: empty", "PUT", "/v1/analysts/x", js, nil, 400},
		{"registration: not JSON", "PUT", "/v1/analysts/x", js, strings.NewReader("url=x"), 400},
		{"registration: too large", "PUT", "/v1/analysts/x", js, bytes.NewReader(make([]byte, maxRegistration+1)), 413},
		{"registration: http", "PUT", "/v1/analysts/x", js, strings.NewReader(strings.Replace(goodRegistration, "https", "http", 1)), 400},
		{"registration: bad id", "PUT", "/v1/analysts/X", js, strings.NewReader(goodRegistration), 404},
		{"unregister nobody", "DELETE", "/v1/analysts/x", "", nil, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st, header, body := h.do(h.caller(nil), tc.method, tc.path, tc.contentType, tc.body)
			if st != tc.want || header.Get("Content-Type") != problem.ContentType {
				t.Errorf("got %d %s %s, want %d", st, header.Get("Content-Type"), body, tc.want)
			}
			if st == 405 && header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	if asked {
		t.Error("the analyst was troubled with one of these")
	}
	// Chunked is fine as long as it is a request; so is one of exactly the limit.
	fits := request(t, 10_000-core.PrefixLen-core.SuiteX25519.HeaderLen()-core.TagLen-1-(10_000-core.PrefixLen-core.SuiteX25519.HeaderLen()-core.TagLen)%16)
	if st, _, body := h.do(h.caller(nil), "POST", "/v1/operations/summary", octets, chunked(fits)); st != 200 || !asked || len(fits) < 9_984 {
		t.Errorf("chunked: %d %s (%d bytes)", st, body, len(fits))
	}
}

func TestRegistrationBelongsToKey(t *testing.T) {
	h := start(t, Options{MaxPerKey: 2})
	alice, bob := newIdentity(t, "alice"), newIdentity(t, "bob")
	if got := h.register(alice, "a1", "https://127.0.0.1:1", 1, "x"); got != 200 {
		t.Errorf("first: %d", got)
	}
	if got := h.register(alice, "a1", "https://127.0.0.1:2", 1, "x", "y"); got != 200 {
		t.Errorf("renewal: %d", got)
	}
	if got := h.register(bob, "a1", "https://127.0.0.1:3", 1, "x"); got != 409 {
		t.Errorf("another key: %d", got)
	}
	if st, _, _ := h.do(h.caller(bob), "DELETE", "/v1/analysts/a1", "", nil); st != 409 {
		t.Errorf("unregister by another key: %d", st)
	}
	if got := h.register(alice, "a2", "https://127.0.0.1:1", 1, "x"); got != 200 {
		t.Errorf("second lease: %d", got)
	}
	if got := h.register(alice, "a3", "https://127.0.0.1:1", 1, "x"); got != 503 {
		t.Errorf("third lease: %d", got)
	}
	if st, _, _ := h.do(h.caller(alice), "DELETE", "/v1/analysts/a1", "", nil); st != 204 {
		t.Errorf("unregister: %d", st)
	}
	if got := h.register(bob, "a1", "https://127.0.0.1:3", 1, "x"); got != 200 {
		t.Errorf("another key after that: %d", got)
	}
}

// Whoever comes without a certificate, or with one that is expired or of a kind
// that is not used here, gets nothing.
func TestHandshake(t *testing.T) {
	h := start(t, Options{})
	own := func(key any, pub any, until time.Time) *tls.Certificate {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		cert *tls.Certificate
		max  uint16
		ok   bool
	}{
		{"Ed25519", &newIdentity(t, "x").Certificate, 0, true},
		{"P-256", own(p256, &p256.PublicKey, time.Now().Add(time.Hour)), 0, true},
		{"none", nil, 0, false},
		{"expired", own(p256, &p256.PublicKey, time.Now().Add(-time.Hour)), 0, false},
		{"RSA", own(rsaKey, &rsaKey.PublicKey, time.Now().Add(time.Hour)), 0, false},
		{"TLS 1.2", &newIdentity(t, "x").Certificate, tls.VersionTLS12, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conf := &tls.Config{InsecureSkipVerify: true, MaxVersion: tc.max}
			if tc.cert != nil {
				conf.Certificates = []tls.Certificate{*tc.cert}
			}
			c, err := tls.Dial("tcp", strings.TrimPrefix(h.url, "https://"), conf)
			var got []byte
			if err == nil {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				io.WriteString(c, "GET /v1/analyses HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				got, _ = io.ReadAll(c)
			}
			if tc.ok != bytes.HasPrefix(got, []byte("HTTP/1.1 200 OK")) || !tc.ok && len(got) > 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	id := newIdentity(t, "director")
	for name, o := range map[string]Options{
		"no identity":   {},
		"negative":      {Identity: id, MaxBody: -1},
		"negative time": {Identity: id, Timeout: -1},
		"bad address":   {Identity: id, Address: "nowhere"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	d, err := New(Options{Identity: id})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// What a director logs at its start is the line that scripts wait for.
func TestListeningLine(t *testing.T) {
	var log bytes.Buffer
	d, err := New(Options{Identity: newIdentity(t, "director"), Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var line struct{ Msg, URL string }
	if err := json.NewDecoder(&log).Decode(&line); err != nil || line.Msg != "listening" || line.URL != d.URL() {
		t.Errorf("first line %+v, %v", line, err)
	}
}
