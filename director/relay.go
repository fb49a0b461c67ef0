package director

import (
	"context"
	"errors"
	"net/http"
	"time"

	"ecoin/internal/problem"
)

// maxTries is how many analysts are tried for one operation. Only the last of them
// is ever sent anything.
const maxTries = 3

// retryAfter is the wait asked of a client that is turned away.
const retryAfter = time.Second

func overload(detail string) *problem.Problem {
	p := problem.New(http.StatusServiceUnavailable, detail)
	p.RetryAfter = retryAfter
	return p
}

// relay sends a request to an analyst and returns its answer, or the problem to
// report. It asks the next analyst only if nothing was sent to the one before.
func (d *Director) relay(ctx context.Context, analysis string, request []byte) (answer, *problem.Problem) {
	ctx, cancel := context.WithTimeout(ctx, d.o.Timeout)
	defer cancel()
	var tried []*lease
	for len(tried) < maxTries {
		l, t, err := d.registry.acquire(analysis, tried)
		switch {
		case errors.Is(err, errUnknown) && tried == nil:
			return answer{}, problem.New(http.StatusNotFound, "nobody offers the analysis "+analysis+" here; GET /v1/analyses lists what is offered")
		case err != nil && tried == nil:
			return answer{}, overload("every analyst that offers " + analysis + " is full; nothing was sent to an analyst: try later, with a new coin")
		case err != nil:
			return answer{}, overload("no analyst that offers " + analysis + " could be reached; nothing was sent to an analyst: try later, with a new coin")
		}
		tried = append(tried, l)
		a, err := t.send(ctx, analysis, request, d.o.MaxBody)
		unreachable := errors.Is(err, errUnreachable)
		d.registry.release(l, t, analysis, !unreachable || errors.Is(ctx.Err(), context.Canceled))
		if err == nil {
			return a, nil
		}
		d.failures.write("operation failed", "analyst", l.id, "analysis", analysis, "error", err)
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return answer{}, problem.New(http.StatusGatewayTimeout, "the analyst did not answer in time; whether it was paid, the bank knows: try a refund")
		case ctx.Err() != nil:
			return answer{}, overload("the director is ending; whether the analyst was paid, the bank knows: try a refund")
		case !unreachable:
			return answer{}, problem.New(http.StatusBadGateway, "the analyst failed; whether it was paid, the bank knows: try a refund")
		}
	}
	return answer{}, overload("none of the analysts tried could be reached; nothing was sent to an analyst: try later, with a new coin")
}
