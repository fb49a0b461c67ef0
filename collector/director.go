package collector

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"ecoin/internal/identity"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

const (
	identityLife = 24 * time.Hour // of the certificate that directors see
	identityUse  = 12 * time.Hour // after which it is replaced
	idleTime     = 30 * time.Second
	maxIdle      = 64       // connections kept
	maxHeader    = 16 << 10 // bytes of an answer's header
)

// director sends requests to one director. It believes nothing that comes back.
type director struct {
	base     string // URL without a slash at the end
	roots    *x509.CertPool
	timeout  time.Duration
	maxReply int
	now      func() time.Time

	mu     sync.Mutex // guards the fields below
	client *http.Client
	made   time.Time // when client's certificate was made
}

func newDirector(base string, roots *x509.CertPool, timeout time.Duration, maxReply int) (*director, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("collector: director URL %q: want https://HOST[:PORT]", base)
	}
	if roots == nil {
		return nil, errors.New("collector: the director's certificate is required")
	}
	return &director{base: strings.TrimRight(base, "/"), roots: roots, timeout: timeout, maxReply: maxReply, now: time.Now}, nil
}

// http returns the client to use now. One client means one certificate, and TLS
// sessions and connections of that certificate alone: what comes after a change
// cannot be linked to what was before by any of them.
func (d *director) http() (*http.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	if d.client != nil && now.Sub(d.made) < identityUse {
		return d.client, nil
	}
	certPEM, keyPEM, err := identity.New("collector", nil, identityLife)
	if err != nil {
		return nil, err
	}
	defer clear(keyPEM)
	id, err := identity.Parse(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	if d.client != nil {
		d.client.CloseIdleConnections()
	}
	d.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        identity.ClientConfig(id, d.roots),
			TLSHandshakeTimeout:    10 * time.Second,
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        idleTime,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	d.made = now
	return d.client, nil
}

func (d *director) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client != nil {
		d.client.CloseIdleConnections()
	}
}

// send posts one request and returns the body of the answer, of at most maxReply
// bytes. An answer of another status than 200 is an *answerError.
func (d *director) send(ctx context.Context, analysis string, request []byte) ([]byte, error) {
	client, err := d.http()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, fmt.Errorf("no reply within %v", d.timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/v1/operations/"+analysis, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", wire.TypeBinary)
	req.Header.Set("User-Agent", "ecoin")
	resp, err := client.Do(req)
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, newAnswerError(resp)
	}
	if resp.ContentLength > int64(d.maxReply) {
		return nil, fmt.Errorf("the director announces a reply of %d bytes, at most %d are read", resp.ContentLength, d.maxReply)
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, int64(d.maxReply)+1))
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	if len(reply) > d.maxReply {
		return nil, fmt.Errorf("the director's reply has more than %d bytes", d.maxReply)
	}
	return reply, nil
}

// unanswered describes an exchange that ended before the whole reply was here.
func unanswered(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("no reply from the director: %w", err)
}

// answerError is an answer that is no reply.
type answerError struct {
	status int
	text   string // the director's, made printable; not to be trusted
}

func newAnswerError(resp *http.Response) *answerError {
	e := &answerError{status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, problem.MaxBody+1))
	if err != nil {
		return e
	}
	if p, err := problem.Parse(resp.StatusCode, resp.Header, body); err == nil {
		e.text = p.Detail
		if e.text == "" {
			e.text = p.Title
		}
	}
	return e
}

// unprocessed reports whether the answer is the one an analyst gives for every
// failure, a header that does not open among them.
func (e *answerError) unprocessed() bool { return e.status == http.StatusUnprocessableEntity }

func (e *answerError) Error() string {
	s := fmt.Sprintf("the director answered %d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		s += fmt.Sprintf(" (it says %q)", e.text)
	}
	return s
}
