package fault

import (
	"net"
	"sync"
	"time"
)

// conn is a *net.TCPConn, or what stands for one in a test.
type conn interface {
	net.Conn
	CloseWrite() error
}

// link is a connection of a client, and that to the server which carries it on.
type link struct {
	p      *Proxy
	closed chan struct{}

	client, server conn // the server's is nil until it is connected; set under p.mu
	gone           bool // guarded by p.mu
}

func (p *Proxy) open(client conn) *link {
	l := &link{p: p, client: client, closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	if p.ctx.Err() != nil { // Close has closed those that it found
		l.closeLocked()
	}
	return l
}

func (l *link) connect(server conn) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.server = server
	if l.gone {
		server.Close()
	}
}

// forward copies both ways until both ends have ended, or one failed.
func (l *link) forward() {
	var up sync.WaitGroup
	up.Go(func() { l.oneWay(l.server, l.client, &l.p.paces[0]) })
	l.oneWay(l.client, l.server, &l.p.paces[1])
	up.Wait()
}

// oneWay copies until src ends, and ends dst then. After an error nothing more gets
// through either way.
func (l *link) oneWay(dst, src conn, pace *pace) {
	way := way{link: l, dst: dst, src: src, pace: pace}
	if err := way.copy(); err != nil {
		l.close()
		return
	}
	dst.CloseWrite()
}

func (l *link) close() {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	l.closeLocked()
}

func (l *link) closeLocked() {
	if l.gone {
		return
	}
	l.gone = true
	delete(l.p.links, l)
	close(l.closed)
	l.client.Close()
	if l.server != nil {
		l.server.Close()
	}
}

// wakeLocked ends all reads of l, so that what reads looks at the network again.
func (l *link) wakeLocked() {
	l.client.SetReadDeadline(longAgo)
	if l.server != nil {
		l.server.SetReadDeadline(longAgo)
	}
}

var longAgo = time.Unix(1, 0)
