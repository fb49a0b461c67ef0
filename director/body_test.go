package director

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ecoin/internal/fair"
	"ecoin/internal/identity"
)

// begin opens a connection from an address, sends the header of an operation whose body
// has n bytes, and returns when the director is reading that.
func (h *harness) begin(from net.IP, n int) *tls.Conn {
	h.t.Helper()
	dialer := &net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: from}}
	c, err := tls.DialWithDialer(dialer, "tcp", strings.TrimPrefix(h.url, "https://"), identity.PinnedClientConfig(newIdentity(h.t, "stranger"), h.id.Pin))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "POST /v1/operations/summary HTTP/1.1\r\nHost: d\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", n)
	line := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n")) // sent by the first read of the body
	if _, err := io.ReadFull(c, line); err != nil || !strings.HasPrefix(string(line), "HTTP/1.1 100 ") {
		h.t.Fatalf("%q, %v", line, err)
	}
	return c
}

// finish sends a body and returns the status of the answer.
func finish(t *testing.T, c net.Conn, body []byte) int {
	t.Helper()
	if _, err := c.Write(body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

var local, elsewhere = net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)

// TestSilentCallers: more callers than the director takes operations send a header and
// no body. Nobody is refused for them.
func TestSilentCallers(t *testing.T) {
	h := start(t, Options{MaxOperations: 2})
	h.analyst("a", 8, echo, "summary")
	msg := request(t, 10)
	var silent []net.Conn
	for range 5 {
		silent = append(silent, h.begin(local, len(msg)))
	}
	if st, _, body := h.operate("summary", msg); st != 200 || !bytes.Equal(body, msg) {
		t.Errorf("beside callers that send nothing: %d", st)
	}
	for _, c := range silent {
		if st := finish(t, c, msg); st != 200 {
			t.Errorf("a caller that was slow: %d", st)
		}
	}
}

// TestBodyMemory: an address whose large requests arrive slowly is refused further ones,
// another is not, and all memory comes back.
func TestBodyMemory(t *testing.T) {
	h := start(t, Options{MaxOperations: 1}) // 2 MiB for requests
	h.analyst("a", 8, echo, "summary")
	if os.Getenv("ECOIN_NO_SKIP") == "" {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: elsewhere}}).Dial("tcp", strings.TrimPrefix(h.url, "https://"))
		if err != nil {
			t.Skipf("this system has one loopback address: %v", err)
		}
		c.Close()
	}
	await := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); h.d.bodies.memory.InUse() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes in use, want %d", h.d.bodies.memory.InUse(), want)
			}
		}
	}
	slow := h.begin(local, 1<<20)
	if _, err := slow.Write(make([]byte, 900<<10)); err != nil {
		t.Fatal(err)
	}
	await(1<<20 - smallBody)     // half of it all, but for what does not count
	large := request(t, 100<<10) // so small that net/http reads the rest when it is refused
	if st := finish(t, h.begin(local, len(large)), large); st != 503 {
		t.Errorf("a second large request of the address: %d", st)
	}
	small := request(t, 10<<10)
	if st := finish(t, h.begin(local, len(small)), small); st != 200 {
		t.Errorf("a small request of the address: %d", st)
	}
	if st := finish(t, h.begin(elsewhere, len(large)), large); st != 200 {
		t.Errorf("a large request from elsewhere: %d", st)
	}
	slow.Close()
	await(0)
}

// TestReadBody reads bodies of lengths around the steps in which memory grows.
func TestReadBody(t *testing.T) {
	const limit, memory = 5 * smallBody, 20 * smallBody
	s := bodies{fair.New[netip.Addr](memory)}
	sent := bytes.Repeat([]byte("0123456789"), limit)
	broken := errors.New("cut off")
	for _, n := range []int{0, 1, smallBody - 1, smallBody, smallBody + 1, 2 * smallBody, 2*smallBody + 1, limit - 1, limit, limit + 1, 2 * limit} {
		for _, announced := range []bool{true, false} {
			r := &http.Request{Body: io.NopCloser(iotest.HalfReader(bytes.NewReader(sent[:n]))), ContentLength: -1, RemoteAddr: "192.0.2.1:1"}
			if announced {
				r.ContentLength = int64(n)
			}
			m, p := s.read(r, limit)
			switch {
			case n > limit:
				if p == nil || p.Status != http.StatusRequestEntityTooLarge {
					t.Errorf("%d bytes, announced %t: %v", n, announced, p)
				}
			case p != nil || !bytes.Equal(m.b, sent[:n]):
				t.Errorf("%d bytes, announced %t: %d, %v", n, announced, len(m.b), p)
			case s.memory.InUse() != max(cap(m.b)-smallBody, 0):
				t.Errorf("%d bytes, announced %t: %d of %d count", n, announced, s.memory.InUse(), cap(m.b))
			}
			s.release(m)
			if s.memory.InUse() != 0 {
				t.Fatalf("%d bytes, announced %t: memory is not given back", n, announced)
			}
		}
	}
	r := &http.Request{Body: io.NopCloser(iotest.ErrReader(broken)), ContentLength: limit, RemoteAddr: "192.0.2.1:1"}
	m, p := s.read(r, limit)
	if p == nil || p.Status != http.StatusBadRequest || cap(m.b) > smallBody || m.taken != 0 {
		t.Errorf("announced and not sent: %v, %d bytes made", p, cap(m.b))
	}
}

// TestMaxConnsPerAddress: the server gets the limit, and by default a quarter of all.
func TestMaxConnsPerAddress(t *testing.T) {
	h := start(t, Options{MaxConns: 8})
	msg := request(t, 10)
	first, second := h.begin(local, len(msg)), h.begin(local, len(msg))
	c, err := tls.Dial("tcp", strings.TrimPrefix(h.url, "https://"), identity.PinnedClientConfig(newIdentity(t, "stranger"), h.id.Pin))
	if err == nil {
		c.Close()
		t.Error("a third of eight connections is accepted")
	}
	for _, c := range []net.Conn{first, second} {
		if st := finish(t, c, msg); st != 404 {
			t.Errorf("one of the first two: %d", st)
		}
	}
}
