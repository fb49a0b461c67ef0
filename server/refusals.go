package server

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"ecoin/bank"
	"ecoin/core"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// A verdict is what a call that failed is answered with, and what the operator is told.
// It may be shared, and is not changed.
type verdict struct {
	*problem.Problem
	body     []byte // the problem as it is sent, where it is always the same
	reason   string // this program's own words: the detail may quote the request
	expected bool   // and so not worth a line in the log
}

// json returns the problem as it is sent. Only the caller's response may keep it, and it
// is not written to.
func (v verdict) json() []byte {
	if v.body != nil {
		return v.body
	}
	return problem.Marshal(v.Problem)
}

// retryAfter is how long a client waits after a refusal that will pass.
const retryAfter = time.Second

// refusals maps what a call failed with to its answer. An error that is not here is
// a 500, whose outcome the client does not know; so what is here has changed nothing.
var refusals = withVerdicts([]row{
	{err: core.ErrFormat, status: http.StatusBadRequest},
	{err: wire.ErrEmpty, status: http.StatusBadRequest},
	{err: wire.ErrLength, status: http.StatusBadRequest},
	{err: wire.ErrTooMany, status: http.StatusRequestEntityTooLarge},
	{err: bank.ErrCount, status: http.StatusBadRequest},
	{
		err: bank.ErrRole, status: http.StatusForbidden,
		detail: "withdraw and refund are for collectors, redeem and return for analysts",
	},
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
})

type row struct {
	err    error
	status int
	detail string // "" means the error's own text
	retry  time.Duration

	verdict verdict // without the detail where that is ""
}

// withVerdicts makes the answers once: a bank that has too much to do gives many.
func withVerdicts(rows []row) []row {
	for i := range rows {
		r := &rows[i]
		p := problem.New(r.status, r.detail)
		p.RetryAfter = r.retry
		r.verdict = verdict{Problem: p, reason: r.err.Error(), expected: true}
		if r.detail != "" {
			r.verdict.body = problem.Marshal(p)
		}
	}
	return rows
}

// verdictOn returns the answer to err.
func verdictOn(err error) verdict {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return verdict{Problem: p, reason: strings.ToLower(http.StatusText(p.Status)), expected: true}
	}
	if tooFast, ok := errors.AsType[*bank.RateError](err); ok {
		p := problem.New(http.StatusTooManyRequests, tooFast.Error())
		p.RetryAfter = tooFast.Wait
		return verdict{Problem: p, reason: "above the account's rate", expected: true}
	}
	for i := range refusals {
		r := &refusals[i]
		if !errors.Is(err, r.err) {
			continue
		}
		v := r.verdict
		if r.detail == "" {
			v.Problem = problem.New(r.status, err.Error())
			v.RetryAfter = r.retry
		}
		return v
	}
	v := verdict{Problem: outcomeUnknown, reason: "failed, see the log"}
	if errors.Is(err, ledger.ErrNoAccount) {
		v.reason = "account removed"
	}
	return v
}

var outcomeUnknown = problem.New(http.StatusInternalServerError,
	"the bank failed, and whether it did what was asked is not known: repeat the same request")
