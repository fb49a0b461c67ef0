package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	dialWithin = 10 * time.Second
	acceptRest = 10 * time.Millisecond // after an error that is not the listener's end
)

// network is what is wrong with the network. The zero value is nothing.
type network struct {
	delay time.Duration // of every byte
	cut   bool          // nothing gets through
	rate  int64         // bytes a second each way, 0 is as fast as it can

	changed chan struct{} // closed when this is no longer how things are
}

func (n *network) fine() bool { return n.delay == 0 && !n.cut && n.rate == 0 }

// A Proxy forwards TCP connections to an address, and stands for the network between a
// load and its server. Without a fault the kernel moves the bytes. Where the server does
// not accept, it closes the connection that it has accepted. It is safe for concurrent use.
type Proxy struct {
	upstream string
	listener net.Listener
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex // guards what follows, and read deadlines of all links; nothing blocks under it
	net   network
	paces [2]pace // up, down
	links map[*link]struct{}
}

// NewProxy listens on a free port of 127.0.0.1 and forwards to upstream, a host and port,
// until [Proxy.Close].
func NewProxy(upstream string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault: proxy: %w", err)
	}
	p := newProxy()
	p.upstream, p.listener = upstream, l
	p.running.Go(p.accept)
	return p, nil
}

func newProxy() *Proxy {
	p := &Proxy{links: map[*link]struct{}{}, net: network{changed: make(chan struct{})}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Addr returns where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close closes the listener and all connections, and returns when nothing runs any more.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.stop()
	p.drop()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		switch {
		case err == nil:
			p.running.Go(func() { p.serve(c.(*net.TCPConn)) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, say
			sleep(p.ctx, acceptRest)
		}
	}
}

// serve forwards a connection until it ends.
func (p *Proxy) serve(client conn) {
	l := p.open(client)
	defer l.close()
	for { // while the network is cut nobody can connect to the server
		n := p.now()
		if !n.cut {
			break
		}
		select {
		case <-n.changed:
		case <-l.closed:
			return
		}
	}
	d := net.Dialer{Timeout: dialWithin}
	server, err := d.DialContext(p.ctx, "tcp", p.upstream)
	if err != nil {
		return
	}
	l.connect(server.(*net.TCPConn))
	l.forward()
}

// now returns how the network is.
func (p *Proxy) now() network {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.net
}

// change changes how the network is, and lets all links know.
func (p *Proxy) change(how func(*network)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how(&p.net)
	p.paces = [2]pace{}
	close(p.net.changed)
	p.net.changed = make(chan struct{})
	for l := range p.links {
		l.wakeLocked()
	}
}

// drop closes all connections.
func (p *Proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.closeLocked()
	}
}
