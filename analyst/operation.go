package analyst

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"ecoin/analyst/analysis"
	"ecoin/client"
	"ecoin/core"
)

// Why an operation fails; for the log alone.
var (
	errUnknown   = errors.New("the analysis is not offered")
	errDuplicate = errors.New("the header is in hand, or was redeemed before")
	errReplayed  = errors.New("the header was redeemed before")
	errName      = errors.New("the request names another analysis than the route")
	errTooLong   = errors.New("the reply is longer than the limit")
)

// operate serves one request for the analysis called name and returns the sealed
// reply. With an error nothing of it was served, and a coin that was, or may have
// been, redeemed for it is on its way back.
func (a *Analyst) operate(ctx context.Context, name string, msg []byte) (reply []byte, err error) {
	f := a.o.Analyses[name]
	if f == nil {
		return nil, errUnknown
	}
	req, err := core.ParseRequest(msg)
	if err != nil {
		return nil, err
	}
	record := req.AppendRecord(nil)
	digest := core.RecordDigest(record)
	if !a.held.take(digest) {
		return nil, errDuplicate
	}
	p := payment{record: record}
	served := false
	defer func() { // on a panic, too
		clear(p.secrets.Coin[:])
		clear(p.secrets.IV[:])
		if (p.redeemed || p.doubt) && !served {
			a.returner.add(record, digest, !p.redeemed) // which releases the digest
			return
		}
		a.held.release(digest, p.redeemed || errors.Is(err, errReplayed))
	}()

	ctx, cancel := context.WithTimeout(ctx, a.o.OperationTimeout)
	defer cancel()
	if err := a.collect(ctx, &p); err != nil {
		return nil, err
	}
	if reply, err = a.answer(ctx, name, f, &req, &p.secrets); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil { // nobody is there to take it
		return nil, err
	}
	served = true
	return reply, nil
}

// payment is what the bank said about one record.
type payment struct {
	record   []byte
	doubt    bool // asked, and the outcome is not known
	redeemed bool // by this operation
	secrets  core.Secrets
}

// collect has the record redeemed, asking again while the outcome is unknown or the
// bank has no time, until ctx ends. A nil error means p.redeemed.
func (a *Analyst) collect(ctx context.Context, p *payment) error {
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		v, asked := a.redeemer.redeem(ctx, p.record)
		switch {
		case !asked, refused(v.err):
			return v.err
		case v.err != nil:
			p.doubt = p.doubt || !client.Definite(v.err)
		case v.status == core.StatusTemporary:
			p.doubt = true
		case v.status == core.StatusOK, v.status == core.StatusRedeemedBefore && p.doubt:
			p.redeemed, p.secrets = true, v.secrets
			return nil
		case v.status == core.StatusRedeemedBefore:
			return errReplayed
		default:
			p.doubt = false
			return fmt.Errorf("the bank refuses the header: %v", v.status)
		}
		select {
		case <-time.After(jitter(backoff)):
		case <-ctx.Done():
			return fmt.Errorf("no answer from the bank: %w", ctx.Err())
		}
	}
}

// jitter returns a time between half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// answer opens the payload, analyses it and seals the result.
func (a *Analyst) answer(ctx context.Context, name string, f analysis.Func, req *core.Request, sec *core.Secrets) ([]byte, error) {
	var s core.Scratch
	defer s.Wipe()
	plaintext, err := req.Open(nil, &s, sec)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	asked, body, err := core.CutOperation(plaintext)
	if err != nil {
		return nil, err
	}
	if string(asked) != name {
		return nil, errName
	}
	status := core.ReplyOK
	out, err := a.analyse(ctx, f, body)
	if ie, ok := errors.AsType[*analysis.InputError](err); ok {
		status, out = core.ReplyRefused, []byte(ie.Text)
	} else if err != nil {
		return nil, fmt.Errorf("the analysis failed: %w", err)
	}
	result := core.AppendResult(make([]byte, 0, 1+len(out)), status, out)
	clear(out)
	defer clear(result)
	reply, err := req.AppendReply(nil, &s, sec, result)
	if err != nil {
		return nil, err
	}
	if int64(len(reply)) > a.o.MaxBody {
		return nil, errTooLong
	}
	return reply, nil
}

// analyse runs f within its time. A panic is an error; its value is not told, since
// it could quote the input.
func (a *Analyst) analyse(ctx context.Context, f analysis.Func, body []byte) (out []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.o.AnalysisTimeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			out, err = nil, errors.New("it panicked")
		}
	}()
	out, err = f(ctx, body)
	if err == nil {
		err = ctx.Err() // too late is too late
	}
	return out, err
}
