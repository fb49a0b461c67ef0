package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"ecoin/internal/wire"
)

// plain opens TCP connections that begin no handshake.
func (h *harness) plain(n int, send string) []net.Conn {
	h.t.Helper()
	out := make([]net.Conn, n)
	for i := range out {
		c, err := net.Dial("tcp", h.s.addr().String())
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(15 * time.Second))
		_, _ = io.WriteString(c, send)
		out[i] = c
	}
	return out
}

// TestSilentConnectionsBlockNobody: with two handshakes at once allowed and 200
// silent connections, others are served at once; the silent ones end by themselves.
func TestSilentConnectionsBlockNobody(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.MaxHandshakes = 2 })
	collector := h.collector()
	begin := time.Now()
	silent := h.plain(200, "")
	eventually(t, "all accepted", func() bool { return h.metric("ecoin_connections_accepted_total") == 200 })
	for i := range 5 {
		p := h.stranger(collector.id) // a new connection each
		p.do("GET", wire.PathKeys, nil).want(t, fmt.Sprint("beside silent connections ", i), 200)
	}
	if took := time.Since(begin); took > handshakeTimeout {
		t.Errorf("served after %v", took)
	}
	for _, c := range silent {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, errTimeout(err)) {
			t.Fatalf("a silent connection got %d bytes, %v", n, err)
		}
	}
	if took := time.Since(begin); took < handshakeTimeout-100*time.Millisecond || took > handshakeTimeout+2*time.Second {
		t.Errorf("silent connections ended after %v, want %v", took, handshakeTimeout)
	}
	eventually(t, "200 time-outs counted", func() bool { return h.refusals("timeout") == 200 })
}

// errTimeout returns err itself when it is a time-out of the client's own, else nil.
func errTimeout(err error) error {
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return err
	}
	return errors.New("another")
}

// TestStalledHandshakes: connections that begin a handshake and stall hold the slots
// for 3 s at most; who waits meanwhile is served then.
func TestStalledHandshakes(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.MaxHandshakes = 2 })
	collector := h.collector()
	h.plain(2, "\x16\x03\x01\x02\x00\x01") // the first bytes of a ClientHello
	eventually(t, "slots taken", func() bool { return h.metric("ecoin_handshakes") == 2 })
	time.Sleep(200 * time.Millisecond) // who waits has as long as they
	begin := time.Now()
	collector.do("GET", wire.PathKeys, nil).want(t, "behind stalled handshakes", 200)
	if took := time.Since(begin); took > handshakeTimeout+2*time.Second {
		t.Errorf("served after %v", took)
	}
	eventually(t, "two time-outs counted", func() bool { return h.refusals("timeout") == 2 })
}

// TestConnectionLimit: over the limit is a plain close, without a byte; a place that
// becomes free is taken.
func TestConnectionLimit(t *testing.T) {
	h := start(t, func(o *Options) { o.MaxConns, o.MaxConnsPerAddress = 4, 4 })
	collector := h.collector()
	held := make([]*rawConn, 4)
	for i := range held {
		held[i] = collector.dial()
		held[i].send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
		held[i].mustRead("within the limit", 200)
	}
	for _, c := range h.plain(20, "") {
		begin := time.Now()
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || time.Since(begin) > time.Second {
			t.Errorf("over the limit: %d bytes, %v after %v", n, err, time.Since(begin))
		}
	}
	if got := h.metric("ecoin_connections_over_limit_total{limit=\"all\"}"); got != 20 {
		t.Errorf("%v over the limit, want 20", got)
	}
	for _, c := range held { // those inside are not disturbed
		c.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
		c.mustRead("within the limit, later", 200)
	}
	held[0].Close()
	eventually(t, "place free", func() bool { return h.s.admission.open.Load() == 3 })
	collector.do("GET", wire.PathKeys, nil).want(t, "in the free place", 200)
}

// TestFlood opens and drops connections of every sort while a client works.
func TestFlood(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.MaxConns, o.MaxConnsPerAddress = 300, 300; o.MaxHandshakes = 8 })
	collector := h.collector()
	strange := h.stranger(newIdentity(t, "x", time.Hour)).rawConfig()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				switch (n + i) % 3 {
				case 0:
					if c, err := net.Dial("tcp", h.s.addr().String()); err == nil {
						_, _ = io.WriteString(c, "\x16\x03")
						c.Close()
					}
				case 1:
					if c, err := tls.Dial("tcp", h.s.addr().String(), strange); err == nil {
						_, _ = io.WriteString(c, "GET /v1/keys HTTP/1.1\r\n\r\n")
						c.Close()
					}
				case 2:
					if c, err := net.Dial("tcp", h.s.addr().String()); err == nil {
						_ = c.(*net.TCPConn).SetLinger(0) // reset
						c.Close()
					}
				}
			}
		})
	}
	for range 50 {
		collector.withdraw(1)
	}
	close(stop)
	wg.Wait()
	collector.http.CloseIdleConnections()
	eventually(t, "all gone", func() bool { return h.s.admission.open.Load() == 0 && h.s.conns.len() == 0 })
}

// flakyListener fails for a while, as a process out of descriptors does.
type flakyListener struct {
	net.Listener
	mu       sync.Mutex
	failures int
	times    []time.Time
}

func (l *flakyListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	fail := l.failures > 0
	if fail {
		l.failures--
		l.times = append(l.times, time.Now())
	}
	l.mu.Unlock()
	if fail {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// TestAcceptErrors: failures are waited out, ever longer, and do not end the server.
func TestAcceptErrors(t *testing.T) {
	t.Parallel()
	flaky := &flakyListener{failures: 6}
	h := start(t, func(o *Options) { flaky.Listener, o.Listener = o.Listener, flaky })
	h.collector().do("GET", wire.PathKeys, nil).want(t, "after failures", 200)
	for i := 1; i < len(flaky.times); i++ {
		pause, want := flaky.times[i].Sub(flaky.times[i-1]), minAcceptPause<<(i-1)
		if pause < want || pause > want+time.Second {
			t.Errorf("pause %d was %v, want %v", i, pause, want)
		}
	}
	if got := h.metric("ecoin_accept_errors_total"); got != 6 {
		t.Errorf("%v accept errors counted, want 6", got)
	}
}

// TestStopWhileAcceptFails: the back-off does not delay the end.
func TestStopWhileAcceptFails(t *testing.T) {
	t.Parallel()
	flaky := &flakyListener{failures: 1 << 30}
	h := start(t, func(o *Options) { flaky.Listener, o.Listener = o.Listener, flaky })
	eventually(t, "the longest pause", func() bool { return h.metric("ecoin_accept_errors_total") > 8 })
	h.close()
	// What ends the loop is one more accept, here at the end of a pause that was cut short.
	n := len(flaky.times)
	if pause := flaky.times[n-1].Sub(flaky.times[n-2]); pause >= maxAcceptPause {
		t.Errorf("the last pause was %v", pause)
	}
}
