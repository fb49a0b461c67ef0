// Package client is the Go client of a bank's API (docs/PROTOCOL.md, "Bank") for
// collectors, analysts and tools, and of its admin API for operators. It imports
// nothing of the bank's insides, so that it fits on a device.
//
// Start with [New] and [Client.Withdraw] (a collector) or [Client.Redeem] (an
// analyst); an operator starts with [NewAdmin].
//
// # Outcomes
//
// A call ends in one of three ways. It returns an answer, checked to the last byte.
// Or it returns an error for which [Definite] is true: this call did nothing, and
// errors.As finds the bank's *problem.Problem unless an argument was wrong. Or it
// returns any other error, and nobody here knows what the bank did: the request or
// the answer was lost, late or malformed. Then ask again with the same arguments:
// however often they are asked, withdraw, redeem, return and refund act once, and as
// long as the bank keeps its record of that they tell the same caller the same thing
// (redeem says core.StatusRedeemedBefore the second time).
//
// A call is repeated as [Options].Retry says, and never without it. However often it was
// tried, its error is Definite only if no try did anything.
//
// # Secrets
//
// Results hold coins in the clear; the caller wipes them. The buffers in which the
// package puts requests together and takes answers apart are wiped before a call
// returns, except for a request still being sent, which is wiped once the
// connection lets go of it. Copies inside crypto/tls and net/http are out of
// reach. Errors hold no bytes of a successful answer.
package client

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"ecoin/internal/identity"
)

// defaultTimeout bounds a call when Options say nothing.
const defaultTimeout = 10 * time.Second

const (
	// idleTimeout is shorter than a bank's, so that it is rarely the bank that
	// closes an idle connection, just when a request is on its way.
	idleTimeout = 60 * time.Second
	// idleConns is how many connections are kept for the next calls.
	idleConns = 128
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 16 << 10
)

// Options configures [New]. URL, Identity and Roots are required.
type Options struct {
	URL      string             // of the bank: https://HOST[:PORT]
	Identity *identity.Identity // whose account this is
	Roots    *x509.CertPool     // the bank's certificate; see identity.ReadRoots
	Timeout  time.Duration      // of each try of a call, connecting included; 0 means 10 s
	Retry    Retry              // zero: no call is repeated
}

// Client calls one bank under one identity. It is safe for concurrent use; calls
// share connections, which are kept open between calls.
type Client struct {
	caller caller
}

// New returns a client. It does not connect yet.
func New(o Options) (*Client, error) {
	base, err := baseURL(o.URL)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Identity == nil:
		return nil, errors.New("client: no identity given: a bank knows its clients by their keys")
	case o.Roots == nil:
		return nil, errors.New("client: no roots given: name the bank's certificate")
	case o.Timeout < 0:
		return nil, fmt.Errorf("client: timeout %v is negative", o.Timeout)
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	retry, err := o.Retry.withDefaults()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: timeout}
	return &Client{caller{
		base:    base,
		timeout: timeout,
		retry:   retry,
		transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        identity.ClientConfig(o.Identity, o.Roots),
			TLSHandshakeTimeout:    2 * timeout, // a call ends by its own deadline and says so
			MaxIdleConnsPerHost:    idleConns,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // coins do not compress, and lengths are exact
		},
	}}, nil
}

// Close closes the connections that are idle; calls under way finish first and
// should have ended.
func (c *Client) Close() { c.caller.transport.CloseIdleConnections() }

// baseURL checks a bank's URL and returns it without a trailing slash.
func baseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("client: the bank's URL does not parse: want https://HOST[:PORT]")
	}
	if u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
		return "", fmt.Errorf("client: the bank's URL is %q: want https://HOST[:PORT] and nothing behind it", u.Redacted())
	}
	return "https://" + u.Host, nil
}
