package server

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// TestFraming writes requests by hand that no HTTP library would send.
func TestFraming(t *testing.T) {
	h := start(t)
	collector, analyst := h.collector(), h.analyst()
	coin := collector.withdraw(1)[0]
	rec := string(h.record(coin))
	length := len(rec)

	for _, c := range []struct {
		name    string
		request string // {rec} is replaced by a record that would redeem
		want    int
	}{
		{"chunked", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding: chunked\n\n6c\n{rec}\n0\n\n", 400},
		{"chunked, odd case", "POST /v1/redeem HTTP/1.1\nHost: b\ntRANSFER-eNCODING: cHUNKED\n\n6c\n{rec}\n0\n\n", 400},
		{"chunked, empty", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding: chunked\n\n0\n\n", 400},
		{"chunked and a length", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108\nTransfer-Encoding: chunked\n\n{rec}", 400},
		{"identity and a length", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding: identity\nContent-Length: 108\n\n{rec}", 400},
		{"gzip, chunked", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding: gzip, chunked\n\n{rec}", 400},
		{"chunked twice", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n{rec}", 400},
		{"chunked, HTTP/1.0", "POST /v1/redeem HTTP/1.0\nHost: b\nTransfer-Encoding: chunked\n\n{rec}", 400},
		{"chunked, space before the colon", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding : chunked\nContent-Length: 108\n\n{rec}", 400},
		{"chunked on GET", "GET /v1/keys HTTP/1.1\nHost: b\nTransfer-Encoding: chunked\n\n0\n\n", 400},
		{"two lengths", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 1\nContent-Length: 108\n\n{rec}", 400},
		{"two equal lengths", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108\nContent-Length: 108\n\n{rec}", 400},
		{"list of lengths", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108, 108\n\n{rec}", 400},
		{"negative length", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: -1\n\n{rec}", 400},
		{"length with sign", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: +108\n\n{rec}", 400},
		{"length beyond 64 bits", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 18446744073709551724\n\n{rec}", 400},
		{"length not a number", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: x\n\n{rec}", 400},
		{"no length", "POST /v1/redeem HTTP/1.1\nHost: b\n\n{rec}", 411},
		{"no length on withdraw", "POST /v1/withdraw?n=1 HTTP/1.1\nHost: b\nIdempotency-Key: " + key(3) + "\n\n", 411},
		{"no host", "GET /v1/keys HTTP/1.1\n\n", 400},
		{"two hosts", "GET /v1/keys HTTP/1.1\nHost: a\nHost: b\n\n", 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\n\nSM\n\n", 404},
		{"HTTP/0.9", "GET /v1/keys\n\n", 400},
		{"no method", "/v1/keys HTTP/1.1\nHost: b\n\n", 400},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\n\n\n\n", 400},
		{"options *", "OPTIONS * HTTP/1.1\nHost: b\n\n", 404},
		{"connect", "CONNECT bank:443 HTTP/1.1\nHost: b\n\n", 404},
		{"relative path", "GET v1/keys HTTP/1.1\nHost: b\n\n", 400},
		{"header too long", "GET /v1/keys HTTP/1.1\nHost: b\nX: " + strings.Repeat("y", 5000) + "\n\n", 431},
		{"too many headers", "GET /v1/keys HTTP/1.1\nHost: b\n" + strings.Repeat("X: y\n", 1000) + "\n", 431},
		{"path too long", "GET /" + strings.Repeat("y", 5000) + " HTTP/1.1\nHost: b\n\n", 431},
		// A method is named before a body is looked at.
		{"4 MiB declared, wrong method", "PUT /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 4194304\n\n", 405},
		{"4 MiB declared, nothing sent", "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 4194304\n\n", 413},
		{"a redeem's body declared for a refund", "POST /v1/refund HTTP/1.1\nHost: b\nContent-Length: 108000\n\n", 413},
		{"a body declared for a withdrawal", "POST /v1/withdraw?n=1 HTTP/1.1\nHost: b\nIdempotency-Key: " + key(3) + "\nContent-Length: 2\n\n", 413},
		{"chunked, nothing sent", "POST /v1/redeem HTTP/1.1\nHost: b\nTransfer-Encoding: chunked\n\n", 400},
	} {
		who := analyst
		if strings.Contains(c.request, "withdraw") {
			who = collector
		}
		conn := who.dial()
		// The record is put in after the line ends were made CRLF.
		parts := strings.Split(c.request, "{rec}")
		conn.send(parts[0])
		if len(parts) > 1 {
			_, _ = io.WriteString(conn.Conn, rec)
			conn.send(parts[1])
		}
		r := conn.mustRead(c.name, c.want)
		if r.header.Get("Connection") != "close" {
			t.Errorf("%s: the connection is not said to be closed", c.name)
		}
		conn.wantEnd(c.name)
	}
	if st := h.store.Stats(); st.Redeemed != 0 || st.Issued != 1 {
		t.Fatalf("a malformed request was served: %+v", st)
	}

	// Refused by its handler: the connection goes on.
	twice := collector.dial()
	twice.send("POST /v1/withdraw?n=1 HTTP/1.1\nHost: b\nContent-Length: 0\nIdempotency-Key: " + key(3) + "\nIdempotency-Key: " + key(4) + "\n\n")
	twice.mustRead("two idempotency keys", 400)
	twice.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	twice.mustRead("after two idempotency keys", 200)

	// The same by hand, well-formed, in absolute form, split into single bytes.
	conn := analyst.dial()
	for _, b := range []byte(fmt.Sprintf("POST https://bank/v1/redeem HTTP/1.1\r\nHost: bank\r\nContent-Length: %d\r\n\r\n%s", length, rec)) {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if r := conn.mustRead("well-formed", 200); r.body[0] != byte(core.StatusOK) {
		t.Errorf("status %d", r.body[0])
	}
}

// TestPipelining sends several requests at once: answers come in order, and what is
// hidden behind a refused one is not served.
func TestPipelining(t *testing.T) {
	h := start(t)
	collector, analyst := h.collector(), h.analyst()
	coins := collector.withdraw(3)
	post := func(rec []byte) string {
		return fmt.Sprintf("POST /v1/redeem HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s", len(rec), rec)
	}

	conn := analyst.dial()
	_, _ = io.WriteString(conn, post(h.record(coins[0]))+"GET /v1/keys HTTP/1.1\r\nHost: b\r\n\r\n"+post(h.record(coins[0]))+"garbage\r\n\r\n")
	if r := conn.mustRead("first", 200); r.body[0] != 0 {
		t.Errorf("first: %d", r.body[0])
	}
	if r := conn.mustRead("second", 200); !bytes.HasPrefix(r.body, []byte(`{"keys"`)) {
		t.Errorf("second: %q", r.body)
	}
	if r := conn.mustRead("third", 200); r.body[0] != byte(core.StatusRedeemed) {
		t.Errorf("third: %d", r.body[0])
	}
	conn.mustRead("garbage", 400)
	conn.wantEnd("garbage")

	// A body that is longer than declared, a chunked one, and a refused one, each with
	// a whole request inside.
	inner := post(h.record(coins[1]))
	for name, outer := range map[string]string{
		"no length":  "POST /v1/redeem HTTP/1.1\r\nHost: b\r\n\r\n" + inner,
		"chunked":    fmt.Sprintf("POST /v1/redeem HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n%s", inner),
		"wrong type": fmt.Sprintf("POST /v1/redeem HTTP/1.1\r\nHost: b\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx%s", inner),
		"not found":  "GET /nowhere HTTP/1.1\r\nHost: b\r\n\r\n" + inner,
	} {
		conn := analyst.dial()
		_, _ = io.WriteString(conn, outer)
		r, err := conn.read()
		if err != nil || r.status < 400 {
			t.Errorf("%s: %d, %v", name, r.status, err)
		}
		conn.wantEnd(name)
	}
	if st := h.store.Stats(); st.Redeemed != 1 {
		t.Errorf("%d coins redeemed, want the first alone", st.Redeemed)
	}

	// A coin sent in a body that is declared too short is parsed as a request: what
	// the parser makes of it must not be answered or logged (the harness looks). The
	// second has a byte that the parser complains about with the whole value.
	value := append([]byte{1}, bytes.ToUpper([]byte(fmt.Sprintf("%31x", coins[2][:15])))...)
	h.secret(value)
	conn = collector.dial()
	_, _ = fmt.Fprintf(conn, "GET /v1/keys HTTP/1.1\r\nHost: b\r\nX: %s\r\n\r\n", value)
	if r := conn.mustRead("coin as a header", 400); findSecret(string(r.body), value) != "" || bytes.Contains(r.body, value[1:]) {
		t.Errorf("the answer quotes the coin: %s", r.body)
	}
	conn = collector.dial()
	_, _ = fmt.Fprintf(conn, "POST /v1/refund HTTP/1.1\r\nHost: b\r\nContent-Length: 32\r\n\r\n%s%s / HTTP/1.1\r\n%s: %s\r\n\r\n",
		make([]byte, 32), coins[2][:], coins[2][:], coins[2][:])
	conn.mustRead("refund of zeros", 200)
	if r := conn.mustRead("coin as a request", 400); findSecret(string(r.body), coins[2][:]) != "" {
		t.Error("the answer quotes the coin")
	}
}

// TestExpectContinue is what curl does with larger bodies.
func TestExpectContinue(t *testing.T) {
	h := start(t)
	rec := h.record(core.Coin{1})
	conn := h.analyst().dial()
	conn.send(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nExpect: 100-continue\nContent-Length: %d\n\n", len(rec)))
	line, err := conn.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = conn.r.ReadString('\n')
	_, _ = conn.Write(rec)
	if r := conn.mustRead("redeem", 200); r.body[0] != byte(core.StatusNotLive) {
		t.Errorf("status %d", r.body[0])
	}
}

// TestLateErrors: an answer that fasthttp gives by itself is not held to the deadline
// of the answer before it.
func TestLateErrors(t *testing.T) {
	h := start(t)
	h.s.writeTimeout = 50 * time.Millisecond
	analyst := h.analyst()
	for name, after := range map[string]string{
		"malformed": "garbage\n\n",
		"too large": "POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 4194304\n\n",
	} {
		conn := analyst.dial()
		conn.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
		conn.mustRead("before", 200)
		time.Sleep(150 * time.Millisecond)
		conn.send(after)
		if r, err := conn.read(); err != nil || r.status/100 != 4 {
			t.Errorf("%s: %v, status %d", name, err, r.status)
		}
	}
	conn := analyst.dial()
	conn.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	conn.mustRead("before", 200)
	time.Sleep(150 * time.Millisecond)
	conn.send("POST /v1/redeem HTTP/1.1\nHost: b\nExpect: 100-continue\nContent-Length: 108\n\n")
	if line, err := conn.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Errorf("continue: %q, %v", line, err)
	}
}

// TestUnreadAnswers: a client that does not read its answers loses its connection
// after the time a write may take, and nobody else anything.
func TestUnreadAnswers(t *testing.T) {
	h := start(t)
	h.s.writeTimeout = 200 * time.Millisecond
	collector, other := h.collector(), h.client("cam-2", ledger.RoleCollector, 10)
	conn := collector.dial()
	go func() {
		for {
			// The same 320 kB again and again.
			if _, err := io.WriteString(conn, "POST /v1/withdraw?n=10000 HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\nIdempotency-Key: "+key(77)+"\r\n\r\n"); err != nil {
				return
			}
		}
	}()
	other.do("GET", wire.PathKeys, nil).want(t, "another client", 200)
	eventually(t, "connection ended", func() bool { return h.s.conns.len() == 1 })
	other.do("GET", wire.PathKeys, nil).want(t, "another client, later", 200)
}

// TestIdleConnectionsHoldNoBodies: a connection that waits does not keep the memory of
// the largest body it ever sent.
func TestIdleConnectionsHoldNoBodies(t *testing.T) {
	h := start(t)
	analyst := h.analyst()
	conns := make([]*rawConn, 64)
	for i := range conns {
		conns[i] = analyst.dial()
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	body := make([]byte, wire.MaxRecordsBody)
	for _, c := range conns {
		c.send(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: %d\n\n", len(body)))
		_, _ = c.Write(body)
		c.mustRead("zeros", 400)
	}
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("%d idle connections hold %d KiB more than before", len(conns), grown>>10)
	}
}

// TestSlowRequest: a request that does not arrive is answered 408, one that never
// began gets nothing.
func TestSlowRequest(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.MaxConns, o.MaxConnsPerAddress = 100, 100 })
	h.s.http.ReadTimeout = 200 * time.Millisecond // before the first connection: no race
	h.s.http.IdleTimeout = 200 * time.Millisecond
	analyst := h.analyst()
	silent, slow, idle := analyst.dial(), analyst.dial(), analyst.dial()
	slow.send("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: 108\n\nx")
	idle.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
	idle.mustRead("before idling", 200)
	slow.mustRead("slow", 408)
	slow.wantEnd("slow")
	silent.wantEnd("silent")
	idle.wantEnd("idle")
	if got := h.metric(`ecoin_http_requests_total{route="other",code="408"}`); got != 1 {
		t.Errorf("%v requests timed out, want 1", got)
	}
}
