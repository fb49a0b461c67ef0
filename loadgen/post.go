package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"ecoin/loadgen/fleet"
)

// post sends one request as client number who of a pool and classifies its answer. Only a
// good one has a reply, which is in reply's memory if that has room for it.
func post(ctx context.Context, p *fleet.Pool, who uint32, path, header string, body []byte, deadline time.Time, reply []byte) ([]byte, outcome) {
	var o outcome
	c, err := p.Get(ctx, who, deadline)
	if err != nil {
		return reply[:0], outcome{verdict: failed, reason: explain(err), nothing: true}
	}
	defer p.Put(c)
	r, err := c.Post(path, header, body, deadline)
	switch {
	case err != nil:
		o.verdict, o.reason = failed, explain(err)
	case r.Status == http.StatusServiceUnavailable || r.Status == http.StatusTooManyRequests:
		o.verdict, o.reason, o.nothing = refused, fmt.Sprintf("status %d: come back later", r.Status), true
	case r.Status != http.StatusOK:
		// A bank that answers 4xx or 507 did nothing (docs/PROTOCOL.md, "Errors").
		o.verdict, o.reason = failed, fmt.Sprintf("status %d", r.Status)
		o.denied = r.Status >= 400 && r.Status < 500
		o.nothing = o.denied || r.Status == http.StatusInsufficientStorage
	default:
		return append(reply[:0], r.Body...), o
	}
	return reply[:0], o
}
