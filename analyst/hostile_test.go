package analyst

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/identity"
)

// newPost is a well-formed call.
func newPost(t *testing.T, name string, msg []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", operationsPath+name, bytes.NewReader(msg))
	r.Header.Set("Content-Type", contentTypeMessage)
	return r
}

// stage is an analyst over real TLS, whose director is the test.
type stage struct {
	t        *testing.T
	bank     *fakeBank
	a        *Analyst
	director *identity.Identity
	id       *identity.Identity
	stop     func() // ends Run and waits for it
}

// play starts an analyst. Its director's address answers nobody, so it never gets
// registered; it serves whoever holds the director's key.
func play(t *testing.T, change func(*Options)) *stage {
	t.Helper()
	s := &stage{t: t, bank: newFakeBank(t), director: newIdentity(t, "director")}
	o := testOptions(t, s.bank)
	o.DirectorPin = s.director.Pin
	s.id = o.Identity
	if change != nil {
		change(&o)
	}
	var err error
	if s.a, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.a.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// dial connects as the director.
func (s *stage) dial() *tls.Conn {
	s.t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.a.URL(), "https://"), identity.PinnedClientConfig(s.director, s.id.Pin))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// rawPost is a call as bytes.
func rawPost(path string, msg []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s", path, len(msg), msg)
}

// post sends one message and returns the status and body of the answer.
func (s *stage) post(name string, msg []byte) (int, []byte) {
	s.t.Helper()
	c := s.dial()
	if _, err := c.Write(rawPost(operationsPath+name, msg)); err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, b
}

func (s *stage) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// Every failure is the same bytes, headers included, and leaves the connection open:
// each case is sent twice over one connection, and then a good operation.
func TestOneFailure(t *testing.T) {
	s := play(t, func(o *Options) {
		o.MaxBody = 20_000
		o.AnalysisTimeout = 50 * time.Millisecond
	})
	o := s.bank.newOp(t, "upper", "x")
	other := s.bank.newOp(t, "upper", "y")
	served := s.bank.newOp(t, "upper", "served before")
	_, reply := s.post("upper", served.msg)
	served.mustOpen(t, reply, "SERVED BEFORE")
	h := core.PrefixLen + core.SuiteX25519.HeaderLen()
	flip := func(i int) []byte {
		b := bytes.Clone(s.bank.newOp(t, "upper", "x").msg)
		b[i] ^= 1
		return b
	}
	post := func(b []byte) []byte { return rawPost("/v1/operations/upper", b) }
	chunk := func(b []byte) []byte {
		return fmt.Appendf(nil, "POST /v1/operations/upper HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(b), b)
	}
	fail := func(name string) []byte { return rawPost(operationsPath+name, s.bank.newOp(t, name, "x").msg) }
	spent := &op{bank: s.bank, sec: served.sec}

	var want []byte
	for _, tc := range []struct {
		name string
		raw  []byte
	}{
		{"wrong path", rawPost("/v2/operations/upper", o.msg)},
		{"no path", rawPost("/", o.msg)},
		{"double slash", rawPost("//v1/operations/upper", o.msg)},
		{"escaped path", rawPost("/v1/operations/uppe%72", o.msg)},
		{"wrong method", bytes.Replace(post(o.msg), []byte("POST"), []byte("PUT"), 1)},
		{"GET", []byte("GET /v1/operations/upper HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"OPTIONS *", []byte("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"wrong content type", bytes.Replace(post(o.msg), []byte("octet-stream"), []byte("json"), 1)},
		{"analysis not offered", rawPost("/v1/operations/horoscope", o.msg)},
		{"empty", post(nil)},
		{"random", post(bytes.Repeat([]byte("random"), 100))},
		{"oversize", post(make([]byte, 20_001))},
		{"much oversize", post(make([]byte, 60_000))},
		{"oversize, chunked", chunk(make([]byte, 60_000))},
		{"garbage, chunked", chunk(make([]byte, 100))},
		{"truncated", post(o.msg[:len(o.msg)-1])},
		{"version", post(flip(0))},
		{"suite", post(flip(1))},
		{"kind", post(flip(2))},
		{"key id", post(flip(4))},
		{"length", post(flip(15))},
		{"header flipped", post(flip(core.PrefixLen))},
		{"ciphertext flipped", post(flip(h))},
		{"tag flipped", post(flip(len(o.msg) - 1))},
		{"swapped header", post(append(bytes.Clone(s.bank.newOp(t, "upper", "x").msg[:h]), other.msg[h:]...))},
		{"reply reflected", post(reply)},
		{"replayed", post(served.msg)},
		{"spent coin, new header", post(spent.seal(t, "upper", "again"))},
		{"another route", rawPost("/v1/operations/other", s.bank.newOp(t, "upper", "x").msg)},
		{"analysis fails", fail("fails")},
		{"analysis panics", fail("panics")},
		{"analysis takes too long", fail("sleeps")},
		{"result too long", fail("long")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := s.dial()
			r := bufio.NewReader(c)
			for range 2 {
				if _, err := c.Write(tc.raw); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(failure)+200)
				n, err := io.ReadAtLeast(r, got, len(failure)+50)
				for err == nil && !bytes.HasSuffix(got[:n], failure) && n < len(got) {
					var k int
					k, err = r.Read(got[n:])
					n += k
				}
				if err != nil {
					t.Fatalf("%q: %v", got[:n], err)
				}
				if got = got[:n]; want == nil {
					want = got
					if !bytes.HasPrefix(got, []byte("HTTP/1.1 422 ")) || !bytes.Contains(got, []byte("application/problem+json")) {
						t.Errorf("the failure is %q", got)
					}
					if bytes.Contains(got, []byte("\r\nDate:")) { // differs from second to second
						t.Errorf("the failure has a date: %q", got)
					}
				}
				if !bytes.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			}
			good := s.bank.newOp(t, "upper", "still here")
			if _, err := c.Write(post(good.msg)); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/octet-stream" {
				t.Fatalf("afterwards: %s %v", resp.Status, err)
			}
			good.mustOpen(t, b, "STILL HERE")
		})
	}
	o.mustBe(t, live)
	other.mustBe(t, live)
	served.mustBe(t, redeemed)
}

// A body that goes on and on gets no answer at all; one that does not arrive whole,
// none or the one failure.
func TestEndlessBody(t *testing.T) {
	s := play(t, func(o *Options) { o.MaxBody = 1000 })
	c := s.dial()
	c.Write(fmt.Appendf(nil, "POST /v1/operations/upper HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", 1<<30))
	for range 100 {
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			break
		}
	}
	if b, _ := io.ReadAll(c); len(b) != 0 {
		t.Errorf("got %q", b)
	}

	c = s.dial()
	c.Write(rawPost("/v1/operations/upper", make([]byte, 500))[:300])
	c.CloseWrite()
	if b, _ := io.ReadAll(c); len(b) != 0 && !bytes.HasSuffix(b, failure) {
		t.Errorf("got %q", b)
	}
}

// Nobody but the director gets so far as to ask.
func TestDirectorOnly(t *testing.T) {
	s := play(t, nil)
	o := s.bank.newOp(t, "upper", "x")
	for name, id := range map[string]*identity.Identity{"a stranger": newIdentity(t, "director"), "the analyst's own key": s.id, "nobody": nil} {
		conf := &tls.Config{InsecureSkipVerify: true}
		if id != nil {
			conf.Certificates = []tls.Certificate{id.Certificate}
		}
		c, err := tls.Dial("tcp", strings.TrimPrefix(s.a.URL(), "https://"), conf)
		if err != nil {
			continue // as good
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(rawPost("/v1/operations/upper", o.msg))
		if b, _ := io.ReadAll(c); len(b) != 0 {
			t.Errorf("%s got %q", name, b)
		}
		c.Close()
	}
	o.mustBe(t, live)
}

// The director replays while the operation runs: one is served, the others fail,
// and the coin is redeemed once.
func TestReplayRace(t *testing.T) {
	s := play(t, nil)
	o := s.bank.newOp(t, "upper", "x")
	var mu sync.Mutex
	counts := map[int]int{}
	var wg sync.WaitGroup
	for range 16 {
		c := s.dial()
		wg.Go(func() {
			c.Write(rawPost("/v1/operations/upper", o.msg))
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			mu.Lock()
			defer mu.Unlock()
			if counts[resp.StatusCode]++; resp.StatusCode == 200 {
				o.mustOpen(t, b, "X")
			} else if !bytes.Equal(b, failure) {
				t.Errorf("failure %q", b)
			}
		})
	}
	wg.Wait()
	if counts[200] != 1 || counts[422] != 15 {
		t.Errorf("answers %v", counts)
	}
	s.stop()
	o.mustBe(t, redeemed)
	if redeems, returns := s.bank.calls(); len(redeems) != 1 || len(returns) != 0 {
		t.Errorf("calls %v %v", redeems, returns)
	}
}

// Beyond the capacity the answer is the one failure, at once, and costs no coin.
func TestCapacity(t *testing.T) {
	enter, leave := make(chan struct{}, 4), make(chan struct{})
	s := play(t, func(o *Options) {
		o.Capacity = 2
		o.Analyses["waits"] = func(ctx context.Context, body []byte) ([]byte, error) {
			enter <- struct{}{}
			<-leave
			return bytes.Clone(body), nil
		}
	})
	var wg sync.WaitGroup
	for range 2 {
		o := s.bank.newOp(t, "waits", "x")
		wg.Go(func() {
			st, b := s.post("waits", o.msg)
			if st != 200 {
				t.Errorf("%d %s", st, b)
				return
			}
			o.mustOpen(t, b, "x")
		})
		<-enter
	}
	third := s.bank.newOp(t, "waits", "x")
	if st, b := s.post("waits", third.msg); st != 422 || !bytes.Equal(b, failure) {
		t.Errorf("%d %s", st, b)
	}
	close(leave)
	wg.Wait()
	third.mustBe(t, live)
	if st, _ := s.post("waits", third.msg); st != 200 {
		t.Errorf("afterwards: %d", st)
	}
}

// A director that hangs up in the middle of an analysis: the work stops, and the
// coin is returned.
func TestDirectorHangsUp(t *testing.T) {
	enter := make(chan struct{}, 1)
	s := play(t, func(o *Options) {
		o.Analyses["waits"] = func(ctx context.Context, _ []byte) ([]byte, error) {
			enter <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	o := s.bank.newOp(t, "waits", "x")
	c := s.dial()
	c.Write(rawPost("/v1/operations/waits", o.msg))
	<-enter
	c.Close()
	s.eventually("the coin is returned", func() bool { return s.bank.state(o.sec.Coin) == returned })
}

// An analyst that is told to end finishes what it can, returns the coins of the
// rest before it is gone, and takes nothing new.
func TestShutdown(t *testing.T) {
	enter, leave := make(chan struct{}, 2), make(chan struct{})
	s := play(t, func(o *Options) {
		o.DrainTimeout = 300 * time.Millisecond
		o.Analyses["quick"] = func(_ context.Context, body []byte) ([]byte, error) {
			enter <- struct{}{}
			<-leave
			return bytes.Clone(body), nil
		}
		o.Analyses["endless"] = func(ctx context.Context, _ []byte) ([]byte, error) {
			enter <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	quick, endless := s.bank.newOp(t, "quick", "x"), s.bank.newOp(t, "endless", "x")
	var wg sync.WaitGroup
	wg.Go(func() {
		if st, b := s.post("quick", quick.msg); st != 200 {
			t.Errorf("quick: %d", st)
		} else {
			quick.mustOpen(t, b, "x")
		}
	})
	wg.Go(func() {
		if st, b := s.post("endless", endless.msg); st != 422 || !bytes.Equal(b, failure) {
			t.Errorf("endless: %d %s", st, b)
		}
	})
	<-enter
	<-enter
	var asked atomic.Int32
	s.bank.fault = func(_ context.Context, call string, _ int) (bool, error) {
		if call == "return" && asked.Add(1) == 1 {
			return false, errLost // so it takes a second call, after everything else has ended
		}
		return true, nil
	}
	time.AfterFunc(100*time.Millisecond, func() { close(leave) })
	s.stop()
	wg.Wait()
	quick.mustBe(t, redeemed)
	endless.mustBe(t, returned)
}

// Nothing that is secret is ever logged: not by honest traffic, not by attacks.
func TestLogsNoSecrets(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	s := play(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	const secret = "plaintext-of-a-reading"
	var coins []core.Secrets
	for _, name := range []string{"upper", "fails", "panics", "refuses", "long"} {
		o := s.bank.newOp(t, name, secret)
		coins = append(coins, o.sec)
		s.post(name, o.msg)
		s.post(name, o.msg)
		s.post("other", s.bank.newOp(t, name, secret).msg)
	}
	s.stop()
	mu.Lock()
	defer mu.Unlock()
	text := log.String()
	if !strings.Contains(text, "operation not served") || !strings.Contains(text, "coin returned") {
		t.Fatalf("the log does not say what happened: %s", text)
	}
	for _, sec := range coins {
		for _, form := range []string{"%x", "%X", "%v", "%s", "%q"} {
			if strings.Contains(text, fmt.Sprintf(form, sec.Coin[:])) || strings.Contains(text, fmt.Sprintf(form, sec.IV[:])) {
				t.Fatal("a coin or an IV is in the log")
			}
		}
	}
	if strings.Contains(strings.ToLower(text), secret) {
		t.Error("plaintext is in the log")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
