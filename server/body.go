package server

import (
	"errors"
	"net/http"
	"sync"

	"github.com/valyala/fasthttp"

	"ecoin/internal/fair"
	"ecoin/internal/problem"
	"ecoin/ledger"
)

const (
	// prefetched is what fasthttp reads of a body before its handler is called.
	prefetched = 8 << 10
	// smallBody is what a connection may hold of a body, in bytes, beyond what counts.
	smallBody = 16 << 10
	// maxKeptBody is the largest buffer that is used again.
	maxKeptBody = 128 << 10
	// defaultBodyMemory is the default of Options.BodyMemory.
	defaultBodyMemory = 256 << 20
)

// bodies reads the bodies of requests. Memory is made as bytes arrive, not as they are
// declared, and what is beyond smallBody a connection counts against a limit that
// accounts share: thousands of connections that declare the largest body and send
// nothing, or send it slowly, cost as much as idle ones, or only those of their account.
type bodies struct {
	memory *fair.Share[ledger.AccountID] // bytes
}

// body is the memory of one body.
type body struct {
	b     []byte
	taken int // bytes of the limit
}

var bodyPool = sync.Pool{New: func() any { return new(body) }}

var (
	// errBodyMemory refuses a body for which there is no memory.
	errBodyMemory = &problem.Problem{
		Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable, RetryAfter: retryAfter,
		Detail: "too many large requests are arriving; nothing happened, ask again later",
	}
	// errBodyLost says that the body did not come to its end: nobody waits for an answer.
	errBodyLost = errors.New("server: the client went away in the middle of a request")
)

// read reads the whole body of a request into c.body, until release. Its length is
// within the route's limit. After an error the rest of it is still to come.
func (p *bodies) read(ctx *fasthttp.RequestCtx, c *conn) error {
	n := ctx.Request.Header.ContentLength()
	if n <= prefetched {
		_ = ctx.Request.CloseBodyStream() // which leaves what was read ahead
		if c.body = ctx.Request.Body(); len(c.body) != n {
			return errBodyLost
		}
		return nil
	}
	m := bodyPool.Get().(*body)
	c.large = m
	if !p.grow(c, m, cap(m.b)) {
		*m = body{} // as large as it was used before: a new one is small
	}
	m.b = m.b[:0]
	stream := ctx.RequestBodyStream()
	for len(m.b) < n {
		if len(m.b) == cap(m.b) {
			size := min(n, max(smallBody, 2*cap(m.b)))
			if !p.grow(c, m, size) {
				return errBodyMemory
			}
			larger := make([]byte, len(m.b), size)
			copy(larger, m.b)
			clear(m.b)
			m.b = larger
		}
		got, err := stream.Read(m.b[len(m.b):min(cap(m.b), n)])
		m.b = m.b[:len(m.b)+got]
		if err != nil && len(m.b) < n {
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				return errSlow
			}
			return errBodyLost
		}
	}
	c.body = m.b
	return nil
}

// grow makes the memory of a body count as size bytes, unless the limit forbids it.
func (p *bodies) grow(c *conn, m *body, size int) bool {
	more := size - smallBody - m.taken
	if more <= 0 {
		return true
	}
	if !p.memory.Take(c.account.ID, more) {
		return false
	}
	m.taken += more
	return true
}

// release wipes a body and gives its memory back. It is called after every request.
func (p *bodies) release(ctx *fasthttp.RequestCtx, c *conn) {
	_ = ctx.Request.CloseBodyStream()
	clear(ctx.Request.Body()) // what was read ahead, at most: the stream is closed
	c.body = nil
	m := c.large
	if m == nil {
		return
	}
	c.large = nil
	clear(m.b)
	if m.taken > 0 {
		p.memory.Give(c.account.ID, m.taken)
		m.taken = 0
	}
	if cap(m.b) > maxKeptBody {
		m.b = nil
	}
	m.b = m.b[:0]
	bodyPool.Put(m)
}
