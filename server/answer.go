package server

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"ecoin/internal/addresses"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// answer is a binary answer's memory. It holds coins, so it is wiped when fasthttp
// has written it or given up: it travels as a body stream, whose Close that is.
type answer struct {
	b    []byte
	sent int
}

var answers = sync.Pool{New: func() any { return new(answer) }}

func newAnswer() *answer { return answers.Get().(*answer) }

// release wipes a and puts it back.
func (a *answer) release() {
	clear(a.b)
	a.b, a.sent = a.b[:0], 0
	answers.Put(a)
}

// send makes a the response's body; a is not used by the caller afterwards.
func (a *answer) send(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType(wire.TypeBinary)
	ctx.SetBodyStream(a, len(a.b))
}

func (a *answer) Read(p []byte) (int, error) {
	if a.sent == len(a.b) {
		return 0, io.EOF
	}
	n := copy(p, a.b[a.sent:])
	a.sent += n
	return n, nil
}

// WriteTo writes the rest without a buffer in between.
func (a *answer) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(a.b[a.sent:])
	a.sent += n
	return int64(n), err
}

func (a *answer) Close() error {
	a.release()
	return nil
}

// errPanic is what a handler that panicked failed with.
var errPanic = errors.New("server: panic in a handler")

// refuse answers with the problem that err stands for. An account that is gone gets
// no answer, as if its key had never been known.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, c *conn, r *route, err error) {
	if errors.Is(err, ledger.ErrNoAccount) {
		c.cut()
	}
	v := verdictOn(err)
	s.watch.recent.add(time.Now(), addresses.Of(c.RemoteAddr()), refusal{r.path, v.Status, v.reason, c.account.Name})
	if !v.expected && err != errPanic {
		s.log.Error("request failed", "route", r.path, "account", c.account.ID, "err", err)
	}
	closing := ctx.Response.ConnectionClose()
	ctx.Response.Reset() // wipes an answer that was already there
	ctx.SetStatusCode(v.Status)
	ctx.SetContentType(problem.ContentType)
	ctx.Response.SetBodyRaw(v.json())
	if after := v.RetryAfterSeconds(); after != "" {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, after)
	}
	if v.Status == http.StatusMethodNotAllowed {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, r.method)
	}
	if closing {
		ctx.SetConnectionClose()
	}
}
