package fleet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeysComeFromTheSeed(t *testing.T) {
	seed := NewSeed()
	again, err := ParseSeed(seed.Reveal())
	if err != nil || again != seed {
		t.Fatalf("%v, the same %t", err, again == seed)
	}
	other := NewSeed()
	seen := map[[32]byte]string{}
	for _, s := range []struct {
		name string
		seed Seed
	}{{"a", seed}, {"b", other}} {
		for _, role := range []string{"collector", "analyst"} {
			for _, i := range []uint32{0, 1, 1 << 20} {
				id, err := s.seed.Identity(role, i)
				if err != nil {
					t.Fatal(err)
				}
				cert, err := x509.ParseCertificate(id.Certificate.Certificate[0])
				if err != nil {
					t.Fatal(err)
				}
				if id.Pin != identity.PinOf(cert) || s.seed.Pin(role, i) != id.Pin {
					t.Errorf("%s %d: the pin is not that of the certificate", role, i)
				}
				if cert.Subject.CommonName != s.seed.Name(role, i) {
					t.Errorf("it is named %q", cert.Subject.CommonName)
				}
				name := fmt.Sprint(s.name, role, i)
				if of, taken := seen[id.Pin]; taken {
					t.Errorf("%s has the key of %s", name, of)
				}
				seen[id.Pin] = name
			}
		}
	}
	if text := fmt.Sprintf("%v %+v %s %x", seed, &seed, seed, seed); strings.Contains(text, seed.Reveal()[:8]) || !strings.Contains(text, "redacted") {
		t.Errorf("a seed prints as %q", text)
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 66), strings.Repeat("g", 64)} {
		if _, err := ParseSeed(bad); err == nil {
			t.Errorf("%q is taken for a seed", bad)
		}
	}
}

// server counts what it sees of its clients, over real mutual TLS.
type server struct {
	*httptest.Server
	id *identity.Identity

	mu       sync.Mutex
	names    map[string]int // requests by client
	full     int            // connections
	resumed  int
	closeAll bool // answer with Connection: close
}

func newServer(t *testing.T) *server {
	t.Helper()
	certPEM, keyPEM, err := identity.New("server", []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{id: id, names: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.names[r.TLS.PeerCertificates[0].Subject.CommonName]++
		if s.closeAll {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("X"), body)
	}))
	s.TLS = identity.ServerConfig(id, nil)
	s.TLS.VerifyConnection = func(cs tls.ConnectionState) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if cs.DidResume {
			s.resumed++
		} else {
			s.full++
		}
		return nil
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *server) pool(t *testing.T, o PoolOptions) *Pool {
	t.Helper()
	cert, err := x509.ParseCertificate(s.id.Certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	o.Roots = x509.NewCertPool()
	o.Roots.AddCert(cert)
	o.Address, o.Name, o.Role, o.Seed = s.Listener.Addr().String(), "127.0.0.1", "collector", NewSeed()
	p := NewPool(o)
	t.Cleanup(p.Close)
	return p
}

func soon() time.Time { return time.Now().Add(time.Minute) }

// ask sends one request as a client.
func ask(t *testing.T, p *Pool, who uint32) (fresh bool) {
	t.Helper()
	before, _ := p.Counts()
	c, err := p.Get(t.Context(), who, soon())
	if err != nil {
		t.Fatal(err)
	}
	after, _ := p.Counts()
	fresh = after > before
	r, err := c.Post("/p?n=1", "X: y\r\n", []byte("body"), soon())
	if err != nil || r.Status != 200 || string(r.Body) != "POST /p?n=1 y body" {
		t.Fatalf("%v, %d %q", err, r.Status, r.Body)
	}
	p.Put(c)
	return fresh
}

func TestPoolKeepsConnections(t *testing.T) {
	s := newServer(t)
	p := s.pool(t, PoolOptions{Idle: 2})
	for i, step := range []struct {
		who   uint32
		fresh bool
	}{{1, true}, {1, false}, {2, true}, {1, false}, {3, true} /* 2 is idle longest */, {1, false}, {2, true} /* so 3 goes */, {3, true}} {
		if fresh := ask(t, p, step.who); fresh != step.fresh {
			t.Errorf("step %d, client %d: fresh %t, want %t", i, step.who, fresh, step.fresh)
		}
	}
	if connects, resumed := p.Counts(); connects != 5 || resumed != 0 || s.full != 5 {
		t.Errorf("%d connects, %d of them resumed; the server saw %d", connects, resumed, s.full)
	}
	if s.names[p.o.Seed.Name("collector", 1)] != 4 || s.names[p.o.Seed.Name("collector", 3)] != 2 {
		t.Errorf("the server saw %v", s.names)
	}
	// Two connections of one client at once.
	a, err := p.Get(t.Context(), 9, soon())
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Get(t.Context(), 9, soon())
	if err != nil || a == b {
		t.Fatalf("%v, the same %t", err, a == b)
	}
	p.Put(a)
	p.Put(b)
	if len(p.idle) != 1 || p.order.Len() != 2 {
		t.Errorf("%d clients and %d connections are idle", len(p.idle), p.order.Len())
	}
	if r, err := a.Get("/q", soon()); err != nil || string(r.Body) != "GET /q  " {
		t.Errorf("%v, %q", err, r.Body)
	}
}

func TestPoolSendsClientsToSleep(t *testing.T) {
	s := newServer(t)
	p := s.pool(t, PoolOptions{Idle: 10, Requests: 2})
	for i, fresh := range []bool{true, false, true, false, true} {
		if got := ask(t, p, 1); got != fresh {
			t.Errorf("request %d: fresh %t", i, got)
		}
	}
	s.closeAll = true
	ask(t, p, 1)
	if !ask(t, p, 1) {
		t.Error("a connection that the server closes was used again")
	}
}

func TestPoolResumes(t *testing.T) {
	for _, c := range []struct {
		share    float64
		sessions int
		want     int64
	}{{1, 10, 9}, {0, 10, 0}, {1, 0, 0}} {
		s := newServer(t)
		p := s.pool(t, PoolOptions{Requests: 1, Resume: c.share, Sessions: c.sessions})
		for range 10 {
			ask(t, p, 1)
		}
		if connects, resumed := p.Counts(); connects != 10 || resumed != c.want || int64(s.resumed) != c.want {
			t.Errorf("share %v, %d sessions: %d of %d connects resumed (the server saw %d), want %d", c.share, c.sessions, resumed, connects, s.resumed, c.want)
		}
	}
}

// TestPoolNoticesThatAllIsBroken: of five idle connections that the server has closed, one
// request meets one, and no other meets the rest.
func TestPoolNoticesThatAllIsBroken(t *testing.T) {
	s := newServer(t)
	p := s.pool(t, PoolOptions{Idle: 10})
	var all []*Conn
	for range 5 {
		c, err := p.Get(t.Context(), 1, soon())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if _, err := c.Get("/", soon()); err != nil {
			t.Fatal(err)
		}
		p.Put(c)
	}
	s.CloseClientConnections()
	c, err := p.Get(t.Context(), 1, soon())
	if err != nil || c.requests == 0 {
		t.Fatalf("%v, a connection of %d requests", err, c.requests)
	}
	if _, err := c.Get("/", soon()); err == nil {
		t.Fatal("a closed connection answers")
	}
	p.Put(c)
	for range 3 {
		ask(t, p, 1)
	}
	if connects, _ := p.Counts(); connects != 6 {
		t.Errorf("%d connects, want one more than five", connects)
	}
}

func TestReconnect(t *testing.T) {
	s := newServer(t)
	p := s.pool(t, PoolOptions{Idle: 10})
	for who := range uint32(5) {
		ask(t, p, who)
	}
	p.Reconnect(t.Context(), time.Minute)
	if connects, _ := p.Counts(); connects != 10 {
		t.Errorf("%d connects, want 10", connects)
	}
	for who := range uint32(5) {
		if ask(t, p, who) {
			t.Errorf("client %d had no connection", who)
		}
	}
}

func TestDialRefusesAnotherServer(t *testing.T) {
	s, other := newServer(t), newServer(t)
	p := s.pool(t, PoolOptions{})
	p.o.Address = other.Listener.Addr().String()
	if _, err := p.Get(t.Context(), 1, soon()); err == nil {
		t.Fatal("connected to a server with another certificate")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Get(gone, 1, soon()); err == nil {
		t.Fatal("connected after the load was ended")
	}
}

// TestHostileAnswers reads answers that are none.
func TestHostileAnswers(t *testing.T) {
	big := strings.Repeat("a", 3000)
	for name, answer := range map[string]string{
		"nothing":            "",
		"not HTTP":           "hello there, this is not HTTP\r\n\r\n",
		"HTTP/1.0":           "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no status":          "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
		"informational":      "HTTP/1.1 100 Continue\r\n\r\n",
		"no length":          "HTTP/1.1 200 OK\r\n\r\nbody",
		"chunked":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody",
		"negative length":    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"no number":          "HTTP/1.1 200 OK\r\nContent-Length: 4x\r\n\r\nbody",
		"a huge length":      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nbody",
		"a body cut short":   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody",
		"a header cut short": "HTTP/1.1 200 OK\r\nContent-Le",
		"a long line":        "HTTP/1.1 200 OK\r\nX: " + big + big + "\r\n\r\n",
		"a long header":      "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+big+"\r\n", 6) + "Content-Length: 0\r\n\r\n",
	} {
		if r, err := answered(t, answer); err == nil {
			t.Errorf("%s: read as %d %q", name, r.Status, r.Body)
		}
	}
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:4\r\n\r\nbody":                          "200 body true",
		"HTTP/1.1 503 Busy\r\ncontent-length: 0 \r\nConnection: Close\r\n\r\n":     "503  false",
		"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi": "200 hi true",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhimore":                       "200 hi false",
	} {
		if got, err := answered(t, answer); err != nil || fmt.Sprintf("%d %s %t", got.Status, got.Body, got.usable) != want {
			t.Errorf("%q: %v, %+v, want %s", answer, err, got, want)
		}
	}
}

type heard struct {
	Reply
	usable bool
}

// answered sends a request to a server that answers just that.
func answered(t *testing.T, answer string) (heard, error) {
	t.Helper()
	certPEM, keyPEM, err := identity.New("server", []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{id.Certificate}, SessionTicketsDisabled: true})
		defer far.Close()
		request := make([]byte, 0, 100)
		for !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
			b := make([]byte, 1)
			if _, err := c.Read(b); err != nil {
				return
			}
			request = append(request, b...)
		}
		_, _ = io.WriteString(c, answer)
		_ = c.Close()
	})
	defer near.Close()
	c := newConn(tls.Client(near, &tls.Config{InsecureSkipVerify: true}))
	r, err := c.Get("/", soon())
	if err != nil && c.usable() {
		t.Errorf("after %q the connection would be used again", answer)
	}
	return heard{r, c.usable()}, err
}
