package pgledger_test

import (
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a ledger and its server and breaks connections: before a request
// reached the server, or when it has worked and answers. A share of 1 in every requests
// and answers is lost, none while every is 0.
type proxy struct {
	server string
	listen net.Listener
	conns  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	rng   *rand.Rand
	every int
	open  map[net.Conn]bool
	lost  [2]int // requests, answers
}

// startProxy returns a proxy for the server of dsn, and dsn through it.
func startProxy(t testing.TB, dsn string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("connections break by seed %d", seed)
	p := &proxy{server: u.Host, listen: l, rng: rand.New(rand.NewPCG(seed, 1)), open: map[net.Conn]bool{}}
	p.conns.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for c := range p.open {
			c.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

// lose sets the share that is lost from now on.
func (p *proxy) lose(every int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.every = every
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = true, true
		p.mu.Unlock()
		end := sync.OnceFunc(func() {
			client.Close()
			server.Close()
			p.mu.Lock()
			delete(p.open, client)
			delete(p.open, server)
			p.mu.Unlock()
		})
		p.conns.Go(func() { defer end(); p.copy(server, client, 0) })
		p.conns.Go(func() { defer end(); p.copy(client, server, 1) })
	}
}

// copy forwards until something is lost or the connection ends.
func (p *proxy) copy(to io.Writer, from io.Reader, kind int) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			lose := p.every > 0 && p.rng.IntN(p.every) == 0
			if lose {
				p.lost[kind]++
			}
			p.mu.Unlock()
			if lose {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
