package server

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"ecoin/ledger"
)

// Limits of what Close reads from a peer that is still sending.
const (
	lingerTimeout = time.Second
	lingerBytes   = 4 << 20
)

// conn is a client connection whose handshake is done. One goroutine serves it; cut
// and endIdle may be called by any.
type conn struct {
	*tls.Conn
	raw          net.Conn      // below TLS
	account      ledger.Client // as it was at the handshake; id and role stay true
	pin          ledger.Pin    // of the key it came with
	expires      time.Time     // end of the client's certificate
	writeTimeout time.Duration // for each write

	// idleSince is when the connection began to wait for a request, in Unix ns, and
	// 0 from the first byte of a request until its answer is sent.
	idleSince atomic.Int64
	isCut     atomic.Bool

	// Owned by the serving goroutine.
	writeUntil time.Time // deadline of the write side
	readBy     time.Time // that fasthttp asked for
	readUntil  time.Time // deadline of the read side
	begun      bool      // a byte of a request has been read
	body       []byte    // of the request that is being served
	large      *body     // its memory, if it is large
	linger     bool      // Close lets the peer read the answer first
}

// SetReadDeadline sets the deadline for reads from now on. fasthttp sets one before each
// request and another when it has begun, which is long read by then, mostly. So it is only
// noted here, and Read sees to it.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.readBy = t
	return nil
}

// Read reads decrypted bytes until the deadline, or up to a second more, and notes that a
// request has begun.
func (c *conn) Read(p []byte) (int, error) {
	if spare := c.readUntil.Sub(c.readBy); spare < 0 || spare > time.Second {
		c.readUntil = c.readBy.Add(time.Second) // so that it need not be set for every request
		if err := c.Conn.SetReadDeadline(c.readUntil); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.begun = true
		c.idleSince.Store(0)
	}
	return n, err
}

// Write sends within writeTimeout, or a little more, or ends the connection: after half a record, no
// goodbye can be read either. The deadline is set here and not by fasthttp, which sets
// it for answers of handlers alone; its other answers would meet the deadline of the
// answer before, long past.
func (c *conn) Write(p []byte) (int, error) {
	if now := time.Now(); c.writeUntil.Sub(now) < c.writeTimeout {
		// A tenth more than asked for, so that it need not be set for every answer.
		c.writeUntil = now.Add(c.writeTimeout + c.writeTimeout/10)
		if err := c.Conn.SetWriteDeadline(c.writeUntil); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		c.cut()
	}
	return n, err
}

// idle notes that the connection waits for its next request.
func (c *conn) idle(now time.Time) { c.idleSince.Store(now.UnixNano()) }

// endIdle ends the wait for a request that has lasted for idleGrace. A request that
// arrives in the same moment may still be read and is then served.
func (c *conn) endIdle(now time.Time) {
	if since := c.idleSince.Load(); since != 0 && now.UnixNano()-since >= int64(idleGrace) {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// cut closes the connection at once, without a goodbye: TLS's own would wait for a
// peer that does not read. A request that is being served runs to its end, but its
// answer goes nowhere; one that was read and not begun is not served.
func (c *conn) cut() {
	c.isCut.Store(true)
	_ = c.raw.Close()
}

// gone reports whether the connection may not be served any more.
func (c *conn) gone(now time.Time) bool { return c.isCut.Load() || now.After(c.expires) }

// Close ends the connection. With linger set it says goodbye and reads for a short
// while what the peer is still sending: closing a socket with unread bytes makes the
// kernel send a reset, which can destroy the answer on its way.
func (c *conn) Close() error {
	if c.linger && !c.isCut.Load() {
		_ = c.SetDeadline(time.Now().Add(lingerTimeout))
		if half, ok := c.raw.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil && half.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, c.raw, lingerBytes)
		}
	}
	return c.Conn.Close()
}

// connIndex finds connections by account. Its zero value is ready.
type connIndex struct {
	mu    sync.Mutex // guards conns; nothing blocks under it
	conns map[ledger.AccountID]map[*conn]struct{}
}

func (x *connIndex) add(c *conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conns == nil {
		x.conns = map[ledger.AccountID]map[*conn]struct{}{}
	}
	if x.conns[c.account.ID] == nil {
		x.conns[c.account.ID] = map[*conn]struct{}{}
	}
	x.conns[c.account.ID][c] = struct{}{}
}

func (x *connIndex) remove(c *conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	of := x.conns[c.account.ID]
	delete(of, c)
	if len(of) == 0 {
		delete(x.conns, c.account.ID)
	}
}

// cut closes every connection of an account and returns how many there were.
func (x *connIndex) cut(id ledger.AccountID) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.conns[id] {
		c.cut()
	}
	return len(x.conns[id])
}

// cutKey closes every connection of an account that came with one of its keys, and
// returns how many there were.
func (x *connIndex) cutKey(id ledger.AccountID, pin ledger.Pin) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.conns[id] {
		if c.pin == pin {
			c.cut()
			n++
		}
	}
	return n
}

// cutAll closes every connection and returns how many there were.
func (x *connIndex) cutAll() int {
	n := 0
	x.each(func(c *conn) { c.cut(); n++ })
	return n
}

// each calls f for every connection, under the lock.
func (x *connIndex) each(f func(*conn)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, of := range x.conns {
		for c := range of {
			f(c)
		}
	}
}

func (x *connIndex) len() int {
	n := 0
	x.each(func(*conn) { n++ })
	return n
}
