package httpserve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecoin/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newIdentity(t *testing.T, name string) *identity.Identity {
	t.Helper()
	cert, key, err := identity.New(name, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Parse(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// serve starts a server and returns it with a client of its own; stop ends the
// server and returns what Run returned.
func serve(t *testing.T, o Options) (s *Server, client *http.Client, stop func() error) {
	t.Helper()
	id := newIdentity(t, "server")
	o.TLS = identity.ServerConfig(id, nil)
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tr := &http.Transport{TLSClientConfig: identity.PinnedClientConfig(newIdentity(t, "client"), id.Pin)}
	var err2 error
	once := false
	stop = func() error {
		if !once {
			once = true
			cancel()
			err2 = <-done
			tr.CloseIdleConnections()
		}
		return err2
	}
	t.Cleanup(func() { _ = stop() })
	return s, &http.Client{Transport: tr, Timeout: 10 * time.Second}, stop
}

func TestServe(t *testing.T) {
	s, client, stop := serve(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := ReadBody(r.Body, r.ContentLength, 10)
		fmt.Fprintf(w, "%s %s %v", r.Proto, b, err)
	})})
	resp, err := client.Post(s.URL()+"/x", "text/plain", strings.NewReader("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(b) != "HTTP/1.1 0123456789 <nil>" {
		t.Errorf("got %s", b)
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v", err)
	}
	if _, err := net.DialTimeout("tcp", s.Addr().String(), time.Second); err == nil {
		t.Error("the address is still open")
	}
}

func TestOptions(t *testing.T) {
	id := newIdentity(t, "server")
	h := http.NotFoundHandler()
	for name, o := range map[string]Options{
		"no TLS":      {Handler: h},
		"no handler":  {TLS: identity.ServerConfig(id, nil)},
		"negative":    {TLS: identity.ServerConfig(id, nil), Handler: h, MaxConns: -1},
		"no address":  {TLS: identity.ServerConfig(id, nil), Handler: h, MaxConnsPerAddress: -1},
		"bad address": {TLS: identity.ServerConfig(id, nil), Handler: h, Address: "127.0.0.1:x"},
	} {
		if _, err := Listen(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	s, err := Listen(Options{TLS: identity.ServerConfig(id, nil), Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(context.Background()); err == nil {
		t.Error("a closed server ran")
	}
}

func TestReadBody(t *testing.T) {
	for _, tc := range []struct {
		n, declared int64
		want        error
	}{
		{100, 100, nil}, {100, -1, nil}, {0, 0, nil}, {101, 101, ErrTooLarge}, {101, -1, ErrTooLarge}, {1 << 20, -1, ErrTooLarge},
	} {
		r := bytes.NewReader(make([]byte, tc.n))
		b, err := ReadBody(r, tc.declared, 100)
		if !errors.Is(err, tc.want) || (tc.want == nil) != (err == nil) || err == nil && int64(len(b)) != tc.n {
			t.Errorf("%d bytes, %d declared: %d, %v", tc.n, tc.declared, len(b), err)
		}
		if read := tc.n - int64(r.Len()); read > 101 {
			t.Errorf("read %d bytes past a limit of 100", read)
		}
	}
	broken := io.MultiReader(strings.NewReader("abc"), iotestErr{})
	if b, err := ReadBody(broken, -1, 100); err == nil || errors.Is(err, ErrTooLarge) || b != nil {
		t.Errorf("broken body: %q, %v", b, err)
	}
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A request under way when the server stops gets its answer, or, beyond the drain
// time, the end of its context; Run waits for the handler in both cases.
func TestDrain(t *testing.T) {
	for _, tc := range []struct {
		name  string
		drain time.Duration
		work  time.Duration
		want  string
	}{
		{"finishes", 5 * time.Second, 100 * time.Millisecond, "done"},
		{"is cut off", 50 * time.Millisecond, 20 * time.Second, "context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inside, left := make(chan struct{}), make(chan struct{})
			s, client, stop := serve(t, Options{DrainTimeout: tc.drain, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				close(inside)
				select {
				case <-time.After(tc.work):
					io.WriteString(w, "done")
				case <-r.Context().Done():
					io.WriteString(w, r.Context().Err().Error())
				}
			})})
			got := make(chan string, 1)
			go func() {
				resp, err := client.Get(s.URL())
				if err != nil {
					got <- err.Error()
					return
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(resp.Body)
				got <- string(b)
			}()
			<-inside
			if err := stop(); err != nil {
				t.Errorf("Run returned %v", err)
			}
			select {
			case <-left:
			default:
				t.Error("Run returned before its handler")
			}
			if g := <-got; g != tc.want {
				t.Errorf("answer %q, want %q", g, tc.want)
			}
		})
	}
}

// A client that stops in the middle of a request, or takes no answer, does not hold
// up the end until the time-outs for slow clients have passed.
func TestDrainStalledClient(t *testing.T) {
	for name, request := range map[string]string{
		"sends no more": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
		"reads nothing": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside := make(chan struct{})
			var left atomic.Bool
			s, client, stop := serve(t, Options{DrainTimeout: 50 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(inside)
				if _, err := ReadBody(r.Body, r.ContentLength, 1000); err == nil {
					for err == nil {
						_, err = w.Write(make([]byte, 1<<20))
					}
				}
				left.Store(true)
			})})
			conn, err := tls.Dial("tcp", s.Addr().String(), client.Transport.(*http.Transport).TLSClientConfig)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, request)
			<-inside
			begin := time.Now()
			if err := stop(); err != nil {
				t.Errorf("Run returned %v", err)
			}
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("Run ended after %v", d)
			}
			if !left.Load() {
				t.Error("Run returned before its handler")
			}
		})
	}
}

// A server whose listener fails says so, after its handlers have left.
func TestListenerFails(t *testing.T) {
	inside := make(chan struct{})
	var left atomic.Bool
	id := newIdentity(t, "server")
	s, err := Listen(Options{TLS: identity.ServerConfig(id, nil), Logger: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(inside)
			<-r.Context().Done()
			time.Sleep(50 * time.Millisecond)
			left.Store(true)
		})})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	c, err := tls.Dial("tcp", s.Addr().String(), identity.PinnedClientConfig(newIdentity(t, "client"), id.Pin))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-inside
	s.listener.Close()
	if err := <-done; err == nil || !left.Load() {
		t.Errorf("Run returned %v, the handler had left: %v", err, left.Load())
	}
}

// A body that stops arriving ends its request and frees its connection.
func TestSlowBody(t *testing.T) {
	result := make(chan error, 1)
	s, client, _ := serve(t, Options{ReadTimeout: 200 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := ReadBody(r.Body, r.ContentLength, 1000)
		result <- err
	})})
	conn, err := tls.Dial("tcp", s.Addr().String(), client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
	select {
	case err := <-result:
		if err == nil {
			t.Error("a body that never came was read")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the handler still waits")
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("the connection stayed open: %v", err)
	}
}

// A handler that works longer than the read time-out is not disturbed by it.
func TestSlowHandler(t *testing.T) {
	s, client, _ := serve(t, Options{ReadTimeout: 100 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = ReadBody(r.Body, r.ContentLength, 1000)
		select {
		case <-time.After(400 * time.Millisecond):
			io.WriteString(w, "done")
		case <-r.Context().Done():
		}
	})})
	resp, err := client.Post(s.URL(), "text/plain", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "done" {
		t.Errorf("got %q", b)
	}
}

func TestMaxConns(t *testing.T) {
	s, client, _ := serve(t, Options{MaxConns: 1, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "ok")
	})})
	conf := client.Transport.(*http.Transport).TLSClientConfig
	first, err := tls.Dial("tcp", s.Addr().String(), conf)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tls.Dial("tcp", s.Addr().String(), conf); err == nil {
		c.Close()
		t.Fatal("a second connection was accepted")
	}
	io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil {
		t.Errorf("the first connection suffered: %v", err)
	}
	first.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := tls.Dial("tcp", s.Addr().String(), conf)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place was not given back: %v", err)
		}
	}
}

// TestMaxConnsPerAddress: an address that has all it may have keeps no other out, and
// gets a place back for each connection that ends.
func TestMaxConnsPerAddress(t *testing.T) {
	s, client, _ := serve(t, Options{MaxConns: 3, MaxConnsPerAddress: 1, Handler: http.NotFoundHandler()})
	conf := client.Transport.(*http.Transport).TLSClientConfig
	other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if os.Getenv("ECOIN_NO_SKIP") == "" {
		c, err := other.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Skipf("this system has one loopback address: %v", err)
		}
		c.Close()
	}
	dial := func(d *net.Dialer) (net.Conn, error) { return tls.DialWithDialer(d, "tcp", s.Addr().String(), conf) }
	untilAccepted := func(d *net.Dialer) net.Conn {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			c, err := dial(d)
			if err == nil {
				return c
			}
			if time.Now().After(deadline) {
				t.Fatalf("no place: %v", err)
			}
		}
	}
	for range 3 {
		first := untilAccepted(&net.Dialer{})
		if c, err := dial(&net.Dialer{}); err == nil {
			c.Close()
			t.Fatal("a second connection of an address was accepted")
		}
		untilAccepted(other).Close()
		first.Close()
	}
}

func TestNoGeneralOptions(t *testing.T) {
	s, client, _ := serve(t, Options{Handler: http.NotFoundHandler()})
	conn, err := tls.Dial("tcp", s.Addr().String(), client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 404 {
		t.Errorf("OPTIONS * did not reach the handler: %s", resp.Status)
	}
}
