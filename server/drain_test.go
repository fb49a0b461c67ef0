package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// TestDrainUnderLoad stops the server under busy keep-alive clients. Every request
// that was sent is answered, or the connection was refused before it could be sent;
// and what was answered is what the ledger holds.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	for round := range 2 {
		h := start(t, func(o *Options) { o.DrainDelay = 200 * time.Millisecond })
		collector := h.collector()
		const clients = 32
		records := make([][]byte, clients*40)
		for i, c := range collector.withdraw(len(records)) {
			records[i] = h.record(c)
		}
		var answered, redeemed, refused, next atomic.Int64
		var wg sync.WaitGroup
		for i := range clients {
			p := h.client(fmt.Sprintf("lab-%d", i), ledger.RoleAnalyst, 0)
			wg.Go(func() {
				var c *rawConn
				for {
					if c == nil {
						raw, err := tls.Dial("tcp", h.s.addr().String(), p.rawConfig())
						if err != nil {
							refused.Add(1)
							return // the listener is closed: a definite refusal
						}
						_ = raw.SetDeadline(time.Now().Add(15 * time.Second))
						c = &rawConn{Conn: raw, t: t, r: newReader(raw)}
					}
					// However fast the machine, the load lasts: used records go round again.
					record := records[next.Add(1)%int64(len(records))]
					_, err := fmt.Fprintf(c, "POST /v1/redeem HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s", len(record), record)
					r, rerr := c.read()
					if err != nil || rerr != nil || r.status != 200 {
						t.Errorf("round %d: request lost: %v, %v, status %d", round, err, rerr, r.status)
						c.Close()
						return
					}
					answered.Add(1)
					if r.body[0] == byte(core.StatusOK) {
						redeemed.Add(1)
					}
					if r.header.Get("Connection") == "close" {
						c.Close()
						c = nil
					}
				}
			})
		}
		for answered.Load() < 200 {
			time.Sleep(time.Millisecond)
		}
		h.stop()
		h.wait()
		wg.Wait()
		if got := h.store.Stats().Redeemed; got != redeemed.Load() || got < 200 {
			t.Errorf("round %d: %d coins redeemed, %d answered so", round, got, redeemed.Load())
		}
		if refused.Load() != clients {
			t.Errorf("round %d: %d of %d clients met the closed listener", round, refused.Load(), clients)
		}
	}
}

// TestDrain looks at what a stopping server does, step by step.
func TestDrain(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	h := start(t, func(o *Options) {
		o.DrainDelay = 2 * time.Second // enough for what is done in it, on busy processors too
		real := o.Bank
		o.Bank = &fakeBank{real, func(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
			close(entered)
			<-release
			return real.Redeem(ctx, acc, dst, body)
		}}
	})
	goOn := sync.OnceFunc(func() { close(release) })
	t.Cleanup(goOn) // or a test that failed would wait for the server
	collector, analyst := h.collector(), h.analyst()
	coin := collector.withdraw(1)[0]
	idle, silent, busy := collector.dial(), collector.dial(), analyst.dial()
	idle.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	if r := idle.mustRead("before", 200); r.header.Get("Connection") == "close" {
		t.Error("a server that does not stop closes connections")
	}
	busy.send("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108\n\n")
	_, _ = busy.Write(h.record(coin))
	<-entered

	h.stop()
	eventually(t, "not ready", func() bool { code, _ := h.health("/readyz"); return code == http.StatusServiceUnavailable })
	if code, _ := h.health("/healthz"); code != 200 {
		t.Errorf("healthz while draining: %d", code)
	}
	// In the delay, new connections and kept ones are served, once.
	for name, c := range map[string]*rawConn{"kept": idle, "new": collector.dial()} {
		c.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
		if r := c.mustRead(name, 200); r.header.Get("Connection") != "close" {
			t.Errorf("%s: answered without Connection: close", name)
		}
		c.wantEnd(name)
	}
	silent.wantEnd("silent")
	eventually(t, "listener closed", func() bool {
		c, err := tls.Dial("tcp", h.s.addr().String(), collector.rawConfig())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case <-h.done:
		t.Fatal("Run returned with a request under way")
	case <-time.After(100 * time.Millisecond):
	}
	goOn()
	if r := busy.mustRead("under way", 200); r.body[0] != byte(core.StatusOK) || r.header.Get("Connection") != "close" {
		t.Errorf("the request under way: status %d, %s", r.body[0], r.header.Get("Connection"))
	}
	busy.wantEnd("under way")
	if err := h.wait(); err != nil {
		t.Error(err)
	}
	if code, _ := h.health("/healthz"); code != 0 {
		t.Errorf("the health listener still answers: %d", code)
	}
}

// TestDrainGivesUp: a request that does not end is cut, its context ended, and Run
// waits for its handler all the same.
func TestDrainGivesUp(t *testing.T) {
	t.Parallel()
	var returned atomic.Bool
	entered := make(chan struct{})
	h := start(t, func(o *Options) {
		o.DrainTimeout = 100 * time.Millisecond
		o.Bank = &fakeBank{o.Bank, func(ctx context.Context, _ ledger.Client, dst, _ []byte) ([]byte, error) {
			close(entered)
			<-ctx.Done()
			time.Sleep(50 * time.Millisecond)
			returned.Store(true)
			return dst, ctx.Err()
		}}
	})
	conn := h.analyst().dial()
	conn.send("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 1\n\nx")
	<-entered
	h.stop()
	if err := h.wait(); err != nil || !returned.Load() {
		t.Errorf("Run returned %v, handler had returned: %v", err, returned.Load())
	}
	conn.wantEnd("cut")
	if !strings.Contains(h.log.String(), "drain took too long") {
		t.Error("nothing logged")
	}
}

// TestStopAtOnce: a server whose context has ended before it began stops cleanly.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.plain(3, "") // connected, silent
	eventually(t, "accepted", func() bool { return h.s.admission.open.Load() == 3 })
	begin := time.Now()
	h.stop()
	if err := h.wait(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// TestLinger: an answer to a request whose body was refused unread arrives although
// the client goes on sending.
func TestLinger(t *testing.T) {
	t.Parallel()
	h := start(t)
	analyst := h.analyst()
	for range 5 {
		c := analyst.dial()
		c.send("POST " + wire.PathRedeem + " HTTP/1.1\nHost: b\nContent-Length: 1900000\n\n")
		c.mustRead("refused body", 413)
		for i := range 10 { // a closed socket would answer the first with a reset
			if _, err := c.Write(make([]byte, 90_000)); err != nil {
				t.Fatalf("write %d after the answer: %v", i, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
