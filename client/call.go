package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

// caller sends requests to one server and takes its answers.
type caller struct {
	transport *http.Transport // without a http.Client: no redirects, no cookies
	base      string          // scheme and host
	timeout   time.Duration   // of a try; 0 means that ctx alone decides
	retry     Retry
}

// request is one call. Its answer is 200 with either exactly answerLen bytes of
// wire.TypeBinary, or, when answerLen is 0, at most jsonLimit bytes of wire.TypeJSON.
type request struct {
	call      string // its name in errors
	method    string
	path      string // with the query
	idemKey   string // Idempotency-Key, if any
	body      []byte // handed over: wiped once it was sent or given up
	bodyType  string
	answerLen int
	jsonLimit int
}

// try sends r once and returns the body of its answer, which the caller wipes.
func (c *caller) try(ctx context.Context, r request) ([]byte, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, unanswered(r.call, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, readProblem(r.call, resp)
	}
	if r.answerLen > 0 {
		return readExactly(r, resp)
	}
	return readJSON(r, resp)
}

// newRequest makes the request for the transport.
func (c *caller) newRequest(ctx context.Context, r request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, nil)
	if err != nil {
		clear(r.body)
		return nil, badArgument(r.call, "the request cannot be made")
	}
	if len(r.body) > 0 {
		// No GetBody: what was handed to a connection is never sent again.
		req.Body = &body{b: r.body, all: r.body}
		req.ContentLength = int64(len(r.body))
		req.Header.Set("Content-Type", r.bodyType)
	}
	if r.idemKey != "" {
		// Not in canonical case, on purpose: net/http repeats a request by itself
		// when it finds "Idempotency-Key" in the map. Header names have no case.
		req.Header["idempotency-key"] = []string{r.idemKey}
	}
	return req, nil
}

// readExactly reads an answer of exactly r.answerLen bytes.
func readExactly(r request, resp *http.Response) ([]byte, error) {
	if err := checkType(resp, wire.TypeBinary); err != nil {
		return nil, malformed(r.call, err)
	}
	if n := resp.ContentLength; n >= 0 && n != int64(r.answerLen) {
		return nil, malformed(r.call, fmt.Errorf("%d bytes, want %d", n, r.answerLen))
	}
	buf := make([]byte, r.answerLen+1) // one more, to meet the end or find too much
	n, err := io.ReadFull(resp.Body, buf)
	if n == r.answerLen && errors.Is(err, io.ErrUnexpectedEOF) {
		return buf[:n:n], nil
	}
	clear(buf)
	switch {
	case err == nil:
		return nil, malformed(r.call, fmt.Errorf("more than %d bytes", r.answerLen))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, malformed(r.call, fmt.Errorf("ends after %d bytes, want %d", n, r.answerLen))
	}
	return nil, unanswered(r.call, err)
}

// readJSON reads an answer of at most r.jsonLimit bytes.
func readJSON(r request, resp *http.Response) ([]byte, error) {
	if err := checkType(resp, wire.TypeJSON); err != nil {
		return nil, malformed(r.call, err)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(r.jsonLimit)+1))
	switch {
	case err != nil:
		return nil, unanswered(r.call, err)
	case len(b) > r.jsonLimit:
		return nil, malformed(r.call, fmt.Errorf("more than %d bytes", r.jsonLimit))
	}
	return b, nil
}

// readProblem turns an answer that is not 200 into an error.
func readProblem(call string, resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, problem.MaxBody+1))
	if err != nil {
		return unanswered(call, err)
	}
	p, err := problem.Parse(resp.StatusCode, resp.Header, b)
	if err != nil {
		return malformed(call, fmt.Errorf("status %d: %w", resp.StatusCode, err))
	}
	return refused(call, p)
}

// checkType checks the media type of an answer.
func checkType(resp *http.Response, want string) error {
	mt, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || mt != want {
		return fmt.Errorf("not of content type %s", want)
	}
	return nil
}

// body is a request's body that wipes its bytes when the transport closes it. The
// transport may read and close from different goroutines, after RoundTrip has
// returned too; so the bytes belong to body, and a lock orders the two.
type body struct {
	mu  sync.Mutex
	b   []byte // still to be read
	all []byte // to be wiped
}

func (r *body) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *body) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.all)
	r.b, r.all = nil, nil
	return nil
}
