package fault

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// echo starts a server that sends back what it gets, after each connection's end ends it.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func newTestProxy(t *testing.T, upstream string) *Proxy {
	t.Helper()
	p, err := NewProxy(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute)) // instead of a test that hangs
	return c.(*net.TCPConn)
}

// say sends a text through the echo and wants it back.
func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("%q, %v; want %q", b, err, text)
	}
}

// TestTCPKeepsEveryByte changes the network all the time while connections carry bytes both
// ways, and wants all of them back, in order, and then the end.
func TestTCPKeepsEveryByte(t *testing.T) {
	p := newTestProxy(t, echo(t))
	sizes := []int{0, 1, 1000, 100_000, 3_000_000, 3_000_000}
	stop := make(chan struct{})
	var changing, talking sync.WaitGroup
	changing.Go(func() {
		rng := rand.New(rand.NewPCG(1, 1))
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rng.IntN(3000)) * time.Microsecond):
			}
			what := rng.IntN(5)
			p.change(func(n *network) {
				n.cut, n.delay, n.rate = what == 1, 0, 0
				if what == 2 || what == 3 {
					n.delay = time.Duration(rng.IntN(2000)) * time.Microsecond
				}
				if what >= 3 {
					n.rate = 50_000_000
				}
			})
		}
	})
	for i, size := range sizes {
		talking.Go(func() {
			c := dial(t, p)
			sent, got := sha256.New(), sha256.New()
			talking.Go(func() {
				rng := rand.NewChaCha8([32]byte{byte(i)})
				io.Copy(io.MultiWriter(c, sent), io.LimitReader(rng, int64(size)))
				c.CloseWrite()
			})
			n, err := io.Copy(got, c)
			if err != nil || n != int64(size) || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
				t.Errorf("%d bytes sent: %d came back, %v; the same: %v", size, n, err, bytes.Equal(sent.Sum(nil), got.Sum(nil)))
			}
		})
	}
	talking.Wait()
	close(stop)
	changing.Wait()
}

func TestTCPDrop(t *testing.T) {
	p := newTestProxy(t, echo(t))
	a, b := dial(t, p), dial(t, p)
	say(t, a, "hello")
	say(t, b, "hello")
	p.drop()
	for _, c := range []net.Conn{a, b} {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("after a drop: %d bytes, %v", n, err)
		}
	}
	say(t, dial(t, p), "again")
}

// TestTCPCut cuts the network before one connection is made and while another is there.
func TestTCPCut(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	p := newTestProxy(t, l.Addr().String())
	old := dial(t, p)
	oldServer := <-accepted
	defer oldServer.Close()
	p.change(func(n *network) { n.cut = true })
	if _, err := io.WriteString(old, "held"); err != nil {
		t.Fatal(err)
	}
	dial(t, p)
	dial(t, p)
	for linked := 0; linked < 3; { // until the proxy has them
		p.mu.Lock()
		linked = len(p.links)
		p.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
	select {
	case c := <-accepted:
		t.Errorf("the server got a connection from %v", c.RemoteAddr())
	default:
	}
	p.change(func(n *network) { n.cut = false })
	b := make([]byte, 4)
	if _, err := io.ReadFull(oldServer, b); err != nil || string(b) != "held" {
		t.Errorf("%q, %v", b, err)
	}
	for range 2 {
		defer (<-accepted).Close()
	}
}

// TestTCPServerIsDown closes what nobody accepts, and works again when somebody does.
func TestTCPServerIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newTestProxy(t, l.Addr().String())
	l.Close()
	if n, err := dial(t, p).Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("no server: %d bytes, %v", n, err)
	}
}

// TestTCPServerDies has a server whose connection ends without a word: so must the client's.
func TestTCPServerDies(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := newTestProxy(t, l.Addr().String())
	c := dial(t, p)
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.(*net.TCPConn).SetLinger(0)
	s.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestTCPClose ends connections in all states, and leaves no goroutine (TestMain).
func TestTCPClose(t *testing.T) {
	p := newTestProxy(t, echo(t))
	c := dial(t, p)
	say(t, c, "hello")
	p.change(func(n *network) { n.cut = true })
	waits := dial(t, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{c, waits} {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Error("it still listens")
	}
}

// BenchmarkRoundTrip compares 200 bytes there and back with and without a proxy.
func BenchmarkRoundTrip(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	p, err := NewProxy(l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for name, addr := range map[string]string{"direct": l.Addr().String(), "proxy": p.Addr()} {
		b.Run(name, func(b *testing.B) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, 200)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
