package director

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"ecoin/internal/httpserve"
	"ecoin/internal/identity"
)

const (
	// Idle connections to an analyst are closed well before the analyst's own limit
	// (90 s): a request must not meet a connection that is being closed.
	idleTime = 30 * time.Second

	maxIdleConns   = 64
	maxReplyHeader = 16 << 10 // bytes
)

// target is the way to one analyst's server. Each has connections of its own: one
// that was made for a key must never carry what is meant for another.
type target struct {
	base string // "https://host:port"
	rt   *http.Transport
}

func newTarget(id *identity.Identity, by pin, base string, dialTimeout time.Duration) *target {
	return &target{base: base, rt: &http.Transport{
		Proxy:                  nil, // never by environment: the pin would refuse it anyway
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:        identity.PinnedClientConfig(id, by),
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxReplyHeader,
	}}
}

// close closes idle connections. The target can still be used.
func (t *target) close() { t.rt.CloseIdleConnections() }

// answer is what an analyst said.
type answer struct {
	status      int
	contentType string
	body        []byte
}

// errUnreachable is wrapped by an error of send that came before anything of the
// request was written to a connection.
var errUnreachable = errors.New("the analyst cannot be reached")

// send posts body to the analyst and returns its answer of at most maxReply bytes.
//
// net/http repeats a POST by itself in one case, when a kept connection turned out
// closed before a byte was written to it (there is no Idempotency-Key, on which it
// would do more). A redirect is an answer like any other; nobody follows it.
func (t *target) send(ctx context.Context, analysis string, body []byte, maxReply int64) (answer, error) {
	// The request's line and headers go into a buffer of net/http, which is written
	// to the connection after WroteHeaders, never before. GetConn starts each try.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+operationsPath+analysis, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("director: %w", err)
	}
	req.Header.Set("Content-Type", contentTypeMessage)
	req.Header["User-Agent"] = nil // says nothing an analyst needs
	resp, err := t.rt.RoundTrip(req)
	if err != nil {
		if !sent.Load() {
			err = fmt.Errorf("%w: %w", errUnreachable, err)
		}
		return answer{}, fmt.Errorf("director: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return answer{}, fmt.Errorf("director: the analyst answered with status %d", resp.StatusCode)
	}
	reply, err := httpserve.ReadBody(resp.Body, resp.ContentLength, maxReply)
	if err != nil {
		return answer{}, fmt.Errorf("director: %w", err)
	}
	return answer{status: resp.StatusCode, contentType: resp.Header.Get("Content-Type"), body: reply}, nil
}
