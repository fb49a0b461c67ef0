package server

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// newHTTP configures fasthttp as the parser of single connections. Its own limits on
// connections must never trigger, because it answers them before the handshake and
// without a deadline; Concurrency is therefore above what admission lets in.
func (s *Server) newHTTP() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        s.handle,
		ErrorHandler:   s.parseError,
		HeaderReceived: s.headerReceived,
		ConnState: func(c net.Conn, state fasthttp.ConnState) {
			if state == fasthttp.StateIdle {
				c.(*conn).idle(time.Now())
			}
		},
		ReadTimeout:        readTimeout, // writes have theirs in conn.Write
		IdleTimeout:        idleTimeout,
		ReadBufferSize:     4096, // of a header, too
		MaxRequestBodySize: wire.MaxRecordsBody,
		StreamRequestBody:  true, // see bodies
		Concurrency:        s.o.MaxConns + 1024,

		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true,
		Logger:                       mute{},
	}
}

// mute swallows what fasthttp logs: its messages can quote requests, and a body sent
// under a wrong Content-Length is parsed as a request. Errors of connections are
// counted by serveConn.
type mute struct{}

func (mute) Printf(string, ...any) {}

// handle serves one request. It returns when the answer is ready, so that no byte of
// the request is used after fasthttp takes them back.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	c := ctx.Conn().(*conn)
	if c.gone(ctx.Time()) {
		c.cut() // whatever was read before does not count any more; no answer
		return
	}
	r := s.find(&ctx.Request.Header)
	defer func() {
		if p := recover(); p != nil {
			s.metrics.panics.Inc()
			s.log.Error("panic in a handler", "route", r.path, "account", c.account.ID, "panic", panicText(p), "at", callers())
			s.refuse(ctx, c, r, errPanic)
		}
		if s.draining.Load() {
			s.closeAfter(ctx, c)
		}
		s.bodies.release(ctx, c)
		r.counts.inc(s.metrics, r, ctx.Response.StatusCode())
	}()
	err := check(r, &ctx.Request.Header)
	if err == nil && r.maxBody > 0 {
		err = s.bodies.read(ctx, c)
	}
	switch {
	case err == errBodyLost:
		c.cut()
		return
	case err != nil:
		// What follows the header may be a body that was not read as one.
		s.closeAfter(ctx, c)
	default:
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		err = r.handle(ctx, c)
	}
	if err != nil {
		s.refuse(ctx, c, r, err)
	}
}

// closeAfter ends the connection once the answer is sent.
func (s *Server) closeAfter(ctx *fasthttp.RequestCtx, c *conn) {
	ctx.SetConnectionClose()
	c.linger = true
}

// parseError answers a request that was not read to its end. fasthttp closes the
// connection afterwards. Nothing of err is answered: it can quote the request.
func (s *Server) parseError(ctx *fasthttp.RequestCtx, err error) {
	c := ctx.Conn().(*conn)
	if !c.begun || c.gone(time.Now()) {
		c.cut() // not a byte was sent, or none counts any more: nothing to answer
		return
	}
	c.linger = true
	r := s.other
	var tooSmall *fasthttp.ErrSmallBuffer
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &tooSmall):
		err = problem.New(http.StatusRequestHeaderFieldsTooLarge, "the header of a request is at most 4096 bytes")
	case errors.As(err, &timeout) && timeout.Timeout():
		err = errSlow
	default:
		err = problem.New(http.StatusBadRequest, "this is not a well-formed HTTP/1.1 request")
	}
	s.refuse(ctx, c, r, err)
	r.counts.inc(s.metrics, r, ctx.Response.StatusCode())
}

// errSlow answers a request that did not arrive in time.
var errSlow = problem.New(http.StatusRequestTimeout, "the request did not arrive in "+readTimeout.String())

func (s *Server) withdraw(ctx *fasthttp.RequestCtx, c *conn) error {
	_, query := splitTarget(ctx.RequestURI())
	n, err := parseCount(query)
	if err != nil {
		return err
	}
	id, err := parseKey(ctx.Request.Header.PeekAll(wire.HeaderIdempotencyKey))
	if err != nil {
		return err
	}
	a := newAnswer()
	if a.b, err = s.o.Bank.Withdraw(s.base, c.account, a.b, id, n); err != nil {
		a.release()
		return err
	}
	s.metrics.issued.Add(n)
	s.watch.withdrawn.add(&c.account, n)
	a.send(ctx)
	return nil
}

func (s *Server) redeem(ctx *fasthttp.RequestCtx, c *conn) (err error) {
	start := time.Now()
	a := newAnswer()
	if a.b, err = s.o.Bank.Redeem(s.base, c.account, a.b, c.body); err != nil {
		a.release()
		return err
	}
	s.metrics.redeemSeconds.Observe(time.Since(start))
	s.watch.redeemed.add(&c.account, s.metrics.redeemed.add(a.b, wire.RedeemRecordLen))
	a.send(ctx)
	return nil
}

func (s *Server) giveBack(ctx *fasthttp.RequestCtx, c *conn) (err error) {
	a := newAnswer()
	if a.b, err = s.o.Bank.Return(s.base, c.account, a.b, c.body); err != nil {
		a.release()
		return err
	}
	s.metrics.returned.add(a.b, wire.ReturnRecordLen)
	a.send(ctx)
	return nil
}

func (s *Server) refund(ctx *fasthttp.RequestCtx, c *conn) (err error) {
	a := newAnswer()
	if a.b, err = s.o.Bank.Refund(s.base, c.account, a.b, c.body); err != nil {
		a.release()
		return err
	}
	s.metrics.refunded.add(a.b, wire.RefundRecordLen)
	a.send(ctx)
	return nil
}

func (s *Server) account(ctx *fasthttp.RequestCtx, c *conn) error {
	a, err := s.o.Bank.Account(s.base, c.account)
	if err != nil {
		return err
	}
	return sendJSON(ctx, a)
}

func (s *Server) keys(ctx *fasthttp.RequestCtx, _ *conn) error {
	return sendJSON(ctx, s.o.Bank.Keys())
}

func (s *Server) openAPI(ctx *fasthttp.RequestCtx, _ *conn) error {
	ctx.SetContentType("application/yaml")
	ctx.SetBodyString(openAPI)
	return nil
}

func sendJSON(ctx *fasthttp.RequestCtx, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx.SetContentType(wire.TypeJSON)
	ctx.Response.SetBodyRaw(b)
	return nil
}

// parseCount parses the query of a withdrawal: n=N and nothing else.
func parseCount(query []byte) (int, error) {
	name, value, ok := strings.Cut(string(query), "=")
	if !ok || name != wire.ParamCount {
		return 0, problem.New(http.StatusBadRequest, "the query of "+wire.PathWithdraw+" is ?"+wire.ParamCount+"= and a number, and nothing else")
	}
	n, err := wire.ParseCount(value)
	if err != nil {
		return 0, problem.New(http.StatusBadRequest, err.Error())
	}
	return n, nil
}

// parseKey parses the values of Idempotency-Key, of which there must be one.
func parseKey(values [][]byte) (ledger.RequestID, error) {
	if len(values) != 1 {
		return ledger.RequestID{}, problem.New(http.StatusBadRequest,
			"send "+wire.HeaderIdempotencyKey+" once: 32 hexadecimal digits, random for each withdrawal and the same for its repeats")
	}
	id, err := wire.ParseIdempotencyKey(string(values[0]))
	if err != nil {
		return ledger.RequestID{}, problem.New(http.StatusBadRequest, err.Error())
	}
	return id, nil
}
