package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"ecoin/internal/problem"
)

// Retry says how often, and after which pauses, a call is tried again. The zero value
// means never.
//
// Every call of [Client] may be repeated (see "Outcomes" in the package comment). A try
// is repeated when its outcome is unknown, and when the bank asks to come back (408, 429
// and 503); any other refusal would be the same again, and so would an answer of the right
// form that makes no sense. A pause is a random part of a span
// that begins at MinPause and doubles up to MaxPause, so that a fleet does not come back
// all at once; a Retry-After of the bank is added to it, as far as MaxPause.
//
// The error of the last try is returned. It is [Definite] only if no try before it may
// have done something, or if it says that none did.
type Retry struct {
	// Attempts is the number of tries in all. Negative means without end: until an answer,
	// until ctx ends, or until what comes back calls for a person and not for another try.
	// That is every refusal but those named above, a full disk (507) too, which somebody
	// has to empty; and an answer that makes no sense, for which the bank or this program
	// is wrong. The caller may begin again later, with the same arguments.
	Attempts int

	MinPause time.Duration // 0 means 50 ms
	MaxPause time.Duration // 0 means 2 s
}

const (
	defaultMinPause = 50 * time.Millisecond
	defaultMaxPause = 2 * time.Second
)

func (r Retry) withDefaults() (Retry, error) {
	if r.MinPause == 0 {
		r.MinPause = defaultMinPause
	}
	if r.MaxPause == 0 {
		r.MaxPause = max(defaultMaxPause, r.MinPause)
	}
	if r.MinPause < 0 || r.MaxPause < r.MinPause {
		return r, fmt.Errorf("client: pauses of %v to %v", r.MinPause, r.MaxPause)
	}
	return r, nil
}

// pause is how long to wait after a number of failed tries, the last with err.
func (r Retry) pause(tries int, err error) time.Duration {
	span := r.MaxPause
	if shift := min(tries-1, 62); r.MinPause < r.MaxPause>>shift { // the other way round could overflow
		span = r.MinPause << shift
	}
	wait := rand.N(span)
	var p *problem.Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		wait += min(p.RetryAfter, r.MaxPause)
	}
	return wait
}

// do sends r, again and again as c.retry says, and returns the body of its answer, which
// the caller wipes. Errors are as the package comment says.
func (c *caller) do(ctx context.Context, r request) ([]byte, error) {
	if c.retry.Attempts == 0 || c.retry.Attempts == 1 {
		return c.try(ctx, r)
	}
	body := r.body
	defer clear(body)
	doubt := false // a try before may have done something
	for tries := 1; ; tries++ {
		r.body = bytes.Clone(body) // which is handed over
		answer, err := c.try(ctx, r)
		if err == nil {
			return answer, nil
		}
		if !Definite(err) {
			doubt = true
		} else if doubt && settles(err) {
			doubt = false
		}
		if tries == c.retry.Attempts || !worthwhile(err) || ctx.Err() != nil {
			return nil, outcome(r.call, err, doubt)
		}
		wait := time.NewTimer(c.retry.pause(tries, err))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, outcome(r.call, err, doubt)
		}
	}
}

// worthwhile reports whether another try can end otherwise.
func worthwhile(err error) bool {
	var p *problem.Problem
	if errors.As(err, &p) {
		return p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout
	}
	var a *argumentError
	var op *net.OpError
	return !errors.As(err, &a) && !(errors.As(err, &op) && op.Op == "remote error") // whose key is not trusted
}

// settles reports whether a definite refusal says that the tries before did nothing
// either, and will not: it is about the bytes of the call, which are theirs too, or about
// a withdrawal of another n, which stands in their way as well. What may change says
// nothing of them: how busy the bank is, the role of the account, its balance. A try that
// waits inside the bank finds the credit that was granted after this refusal.
func settles(err error) bool {
	var p *problem.Problem
	return errors.As(err, &p) && slices.Contains(settling, p.Status)
}

var settling = []int{
	http.StatusBadRequest, http.StatusConflict, http.StatusLengthRequired,
	http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
}

// outcome returns err so that it is definite only without doubt.
func outcome(call string, err error, doubt bool) error {
	if doubt && Definite(err) {
		return fmt.Errorf("client: %s: outcome unknown: a try was not answered, and the last one was refused: %s", call, err.Error())
	}
	return err
}
