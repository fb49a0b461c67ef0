package director

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/internal/identity"
)

// closedPort returns a URL at which connections are refused.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "https://" + l.Addr().String()
}

// raw runs a TLS server for id that hands each connection to f and closes it when f
// returns.
func raw(t *testing.T, id *identity.Identity, f func(*tls.Conn)) (url string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", identity.ServerConfig(id, nil))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				f(c.(*tls.Conn))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "https://" + l.Addr().String()
}

// The line between trying another analyst and not: nothing was sent.
func TestRetryLine(t *testing.T) {
	msg := request(t, 5000)
	var got bytes.Buffer // what the bad analyst received of the request
	var mu sync.Mutex
	receive := func(c *tls.Conn, n int64) {
		var b bytes.Buffer
		_, _ = io.CopyN(&b, c, n)
		mu.Lock()
		defer mu.Unlock()
		got.Write(b.Bytes())
	}
	for _, tc := range []struct {
		name    string
		bad     func(t *testing.T, id *identity.Identity) string
		retried bool
		got     bool // the bad analyst received part of the request
	}{
		{"connection refused", func(t *testing.T, _ *identity.Identity) string { return closedPort(t) }, true, false},
		{"another key's server", func(t *testing.T, _ *identity.Identity) string {
			return raw(t, newIdentity(t, "victim"), func(c *tls.Conn) { receive(c, 1) })
		}, true, false},
		{"hangs up in the handshake", func(t *testing.T, _ *identity.Identity) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Close()
				}
			}()
			t.Cleanup(func() { l.Close(); <-done })
			return "https://" + l.Addr().String()
		}, true, false},
		{"silent in the handshake", func(t *testing.T, _ *identity.Identity) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return "https://" + l.Addr().String()
		}, true, false},
		{"drops after the first byte", func(t *testing.T, id *identity.Identity) string {
			return raw(t, id, func(c *tls.Conn) { receive(c, 1) })
		}, false, true},
		{"drops after all", func(t *testing.T, id *identity.Identity) string {
			return raw(t, id, func(c *tls.Conn) { receive(c, int64(len(msg))) })
		}, false, true},
		{"answers half", func(t *testing.T, id *identity.Identity) string {
			return raw(t, id, func(c *tls.Conn) {
				receive(c, int64(len(msg)))
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			})
		}, false, true},
		{"answers nonsense", func(t *testing.T, id *identity.Identity) string {
			return raw(t, id, func(c *tls.Conn) { receive(c, int64(len(msg))); io.WriteString(c, "nonsense\r\n\r\n") })
		}, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, Options{DialTimeout: 300 * time.Millisecond})
			got.Reset()
			bad := newIdentity(t, "bad")
			if st := h.register(bad, "bad", tc.bad(t, bad), 4, "summary"); st != 200 {
				t.Fatal(st)
			}
			var asked atomic.Int32
			h.analyst("good", 4, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, "served")
			}, "summary")
			// Make the bad one the choice: the good one looks busier.
			h.d.registry.mu.Lock()
			h.d.registry.leases["good"].outstanding++
			h.d.registry.mu.Unlock()

			st, _, body := h.operate("summary", msg)
			mu.Lock()
			defer mu.Unlock()
			if tc.retried && (st != 200 || string(body) != "served" || asked.Load() != 1) {
				t.Errorf("got %d %s, the good analyst was asked %d times", st, body, asked.Load())
			}
			if !tc.retried && (st != 502 || asked.Load() != 0) {
				t.Errorf("got %d %s, the good analyst was asked %d times", st, body, asked.Load())
			}
			if tc.got != (got.Len() > 0) {
				t.Errorf("the bad analyst received %d bytes", got.Len())
			}
			h.d.registry.mu.Lock()
			defer h.d.registry.mu.Unlock()
			if n := h.d.registry.leases["bad"].outstanding; n != 0 || len(h.d.registry.outstanding) != 0 {
				t.Errorf("outstanding afterwards: %d, %v", n, h.d.registry.outstanding)
			}
		})
	}
}

// A kept connection that dies with the next request on it is no reason to repeat it.
func TestNoRetryOnKeptConnection(t *testing.T) {
	h := start(t, Options{})
	id := newIdentity(t, "bad")
	var conns, requests atomic.Int32
	msg := request(t, 100)
	url := raw(t, id, func(c *tls.Conn) {
		conns.Add(1)
		for i := range 2 {
			// One byte of the body tells that the request is under way.
			var head bytes.Buffer
			one := make([]byte, 1)
			for !bytes.Contains(head.Bytes(), []byte("\r\n\r\n")) {
				if _, err := c.Read(one); err != nil {
					return
				}
				head.Write(one)
			}
			requests.Add(1)
			if i == 1 {
				return
			}
			io.CopyN(io.Discard, c, int64(len(msg)))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	if st := h.register(id, "bad", url, 4, "summary"); st != 200 {
		t.Fatal(st)
	}
	if st, _, body := h.operate("summary", msg); st != 200 {
		t.Fatalf("first: %d %s", st, body)
	}
	if st, _, body := h.operate("summary", msg); st != 502 {
		t.Errorf("second: %d %s", st, body)
	}
	if conns.Load() != 1 || requests.Load() != 2 {
		t.Errorf("%d connections, %d requests; want 1 and 2", conns.Load(), requests.Load())
	}
}

func TestAllUnreachable(t *testing.T) {
	h := start(t, Options{})
	for _, name := range []string{"a", "b"} {
		if st := h.register(newIdentity(t, name), name, closedPort(t), 1, "summary"); st != 200 {
			t.Fatal(st)
		}
	}
	if st, header, body := h.operate("summary", request(t, 10)); st != 503 || header.Get("Retry-After") != "1" || !strings.Contains(string(body), "nothing was sent") {
		t.Errorf("got %d %s", st, body)
	}
}

// TestFailuresAreToldWithinBounds: a key whose analyst is away, and that asks for it all the
// time, does not fill the log.
func TestFailuresAreToldWithinBounds(t *testing.T) {
	var log bytes.Buffer
	h := start(t, Options{MaxOperations: 2, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if st := h.register(newIdentity(t, "a"), "a", closedPort(t), 1, "summary"); st != 200 {
		t.Fatal(st)
	}
	began := time.Now()
	for range 20 {
		if st, _, body := h.operate("summary", request(t, 10)); st != 503 {
			t.Fatalf("got %d %s", st, body)
		}
	}
	most := 2 + 1 + int(time.Since(began)/lineTime)
	if told := strings.Count(log.String(), "operation failed"); told < 2 || told > most {
		t.Errorf("%d lines of 20 failures, want 2 to %d", told, most)
	}
}

func TestTimeout(t *testing.T) {
	h := start(t, Options{Timeout: 200 * time.Millisecond})
	gone := make(chan struct{}, 1)
	h.analyst("slow", 4, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		gone <- struct{}{}
		panic(http.ErrAbortHandler) // an answer could still arrive, and would be relayed
	}, "summary")
	if st, _, body := h.operate("summary", request(t, 10)); st != 504 {
		t.Errorf("got %d %s", st, body)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the analyst was not told")
	}
}

// A collector that hangs up ends its operation at the analyst.
func TestCollectorGone(t *testing.T) {
	h := start(t, Options{})
	inside, gone := make(chan struct{}), make(chan struct{}, 1)
	h.analyst("slow", 4, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(inside)
		<-r.Context().Done()
		gone <- struct{}{}
	}, "summary")
	c, err := tls.Dial("tcp", strings.TrimPrefix(h.url, "https://"), identity.PinnedClientConfig(newIdentity(t, "somebody"), h.id.Pin))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	msg := request(t, 10)
	fmt.Fprintf(c, "POST /v1/operations/summary HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s", len(msg), msg)
	<-inside
	c.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the analyst was not told")
	}
}

// Nobody waits in a queue: beyond the capacity of the analysts, and of the
// director, the answer is 503 at once.
func TestFull(t *testing.T) {
	for _, tc := range []struct {
		name            string
		o               Options
		capacity, holds int
	}{
		{"analyst", Options{}, 2, 2},
		{"analyst, capped by the director", Options{MaxCapacity: 1}, 100, 1},
		{"director", Options{MaxOperations: 1}, 100, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, tc.o)
			inside, leave := make(chan struct{}), make(chan struct{})
			h.analyst("a", tc.capacity, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				inside <- struct{}{}
				<-leave
			}, "summary")
			msg := request(t, 10)
			var wg sync.WaitGroup
			for range tc.holds {
				wg.Go(func() {
					if st, _, body := h.operate("summary", msg); st != 200 {
						t.Errorf("held operation: %d %s", st, body)
					}
				})
				<-inside
			}
			begin := time.Now()
			st, header, body := h.operate("summary", msg)
			if st != 503 || header.Get("Retry-After") != "1" || time.Since(begin) > 5*time.Second {
				t.Errorf("got %d %s after %v", st, body, time.Since(begin))
			}
			close(leave)
			wg.Wait()
			go func() { <-inside }()
			if st, _, body := h.operate("summary", msg); st != 200 {
				t.Errorf("afterwards: %d %s", st, body)
			}
		})
	}
}

func TestAnswersNotRelayed(t *testing.T) {
	h := start(t, Options{MaxBody: 1000})
	var asked atomic.Int32
	elsewhere := h.serve(newIdentity(t, "elsewhere"), func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	for name, f := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", elsewhere+"/v1/operations/summary")
			w.WriteHeader(307)
		},
		"large": func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1001)) },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		},
		"headers": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", maxReplyHeader)) },
	} {
		t.Run(name, func(t *testing.T) {
			h.analyst(name, 1, f, name)
			if st, _, body := h.operate(name, request(t, 10)); st != 502 {
				t.Errorf("got %d %s", st, body)
			}
		})
	}
	if asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// Many operations over several analysts, one of which comes and goes.
func TestRelayConcurrently(t *testing.T) {
	h := start(t, Options{})
	serve := func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }
	for _, name := range []string{"a", "b", "c"} {
		h.analyst(name, 64, serve, "summary")
	}
	flicker := newIdentity(t, "flicker")
	url := h.serve(flicker, serve)
	msg := request(t, 1000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := h.caller(nil)
			for range 25 {
				st, _, body := h.do(c, "POST", "/v1/operations/summary", "application/octet-stream", bytes.NewReader(msg))
				if st != 200 || !bytes.Equal(body, msg) {
					t.Errorf("got %d %.100q", st, body)
				}
			}
		})
	}
	wg.Go(func() {
		c := h.caller(flicker)
		for range 20 {
			h.register(flicker, "flicker", url, 64, "summary")
			h.do(c, "DELETE", "/v1/analysts/flicker", "", nil)
		}
	})
	wg.Wait()
	if st, _, body := h.do(h.caller(nil), "GET", "/v1/analyses", "", nil); st != 200 || string(body) != `{"analyses":[{"name":"summary","analysts":3,"outstanding":0}]}` {
		t.Errorf("afterwards: %d %s", st, body)
	}
}
