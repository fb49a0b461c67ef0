package server

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"ecoin/bank"
	"ecoin/core"
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

// retryAfter is how long a client waits after a refusal that will pass.
const retryAfter = time.Second

// refusals maps what a call failed with to its answer. An error that is not here is
// a 500, whose outcome the client does not know; so what is here has changed nothing.
var refusals = []struct {
	err    error
	status int
	detail string // "" means the error's own text
	retry  time.Duration
}{
	{err: core.ErrFormat, status: http.StatusBadRequest},
	{err: wire.ErrEmpty, status: http.StatusBadRequest},
	{err: wire.ErrLength, status: http.StatusBadRequest},
	{err: wire.ErrTooMany, status: http.StatusRequestEntityTooLarge},
	{err: bank.ErrCount, status: http.StatusBadRequest},
	{err: bank.ErrRole, status: http.StatusForbidden},
	{
		err: ledger.ErrInsufficient, status: http.StatusPaymentRequired,
		detail: "the account's balance is less than the number of coins: withdraw fewer, refund some, or ask the operator for credit",
	},
	{
		err: ledger.ErrRequestMismatch, status: http.StatusConflict,
		detail: "this " + wire.HeaderIdempotencyKey + " was used with another number of coins: repeat that number, or take a new key",
	},
	{
		err: bank.ErrBusy, status: http.StatusServiceUnavailable, retry: retryAfter,
		detail: "too much work is waiting; nothing happened, ask again later",
	},
	{
		err: ledger.ErrOverload, status: http.StatusServiceUnavailable, retry: retryAfter,
		detail: "too much work is waiting; nothing happened, ask again later",
	},
	{
		err: ledger.ErrUnavailable, status: http.StatusServiceUnavailable, retry: retryAfter,
		detail: "the bank's database does not answer; nothing happened, ask again later",
	},
	{
		err: ledger.ErrClosed, status: http.StatusServiceUnavailable, retry: retryAfter,
		detail: "the bank is stopping; nothing happened, ask again later",
	},
	{
		err: ledger.ErrLowDisk, status: http.StatusInsufficientStorage,
		detail: "the bank's disk is nearly full and no coins are issued; nothing happened, the operator must free space",
	},
}

// problemOf returns the answer to err, and whether err was expected.
func problemOf(err error) (p *problem.Problem, expected bool) {
	if errors.As(err, &p) {
		return p, true
	}
	var tooFast *bank.RateError
	if errors.As(err, &tooFast) {
		p = problem.New(http.StatusTooManyRequests, tooFast.Error())
		p.RetryAfter = tooFast.Wait
		return p, true
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			p = problem.New(r.status, r.detail)
			if r.detail == "" {
				p.Detail = err.Error()
			}
			p.RetryAfter = r.retry
			return p, true
		}
	}
	return problem.New(http.StatusInternalServerError,
		"the bank failed, and whether it did what was asked is not known: repeat the same request"), false
}

// refuse answers with the problem that err stands for. An account that is gone gets
// no answer, as if its key had never been known.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, c *conn, r *route, err error) {
	if errors.Is(err, ledger.ErrNoAccount) {
		c.cut()
	}
	p, expected := problemOf(err)
	s.watch.recent.add(time.Now(), addresses.Of(c.RemoteAddr()), refusal{r.path, p.Status, reasonOf(err), c.account.Name})
	if !expected && err != errPanic {
		s.log.Error("request failed", "route", r.path, "account", c.account.ID, "err", err)
	}
	closing := ctx.Response.ConnectionClose()
	ctx.Response.Reset() // wipes an answer that was already there
	ctx.SetStatusCode(p.Status)
	ctx.SetContentType(problem.ContentType)
	ctx.Response.SetBodyRaw(problem.Marshal(p))
	if after := p.RetryAfterSeconds(); after != "" {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, after)
	}
	if p.Status == http.StatusMethodNotAllowed {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, r.method)
	}
	if closing {
		ctx.SetConnectionClose()
	}
}
