package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"ecoin/internal/identity"
	"ecoin/ledger"
)

// trusted returns whose a key is, if its account is active.
func (s *Server) trusted(pin ledger.Pin) (ledger.Client, error) {
	c, err := s.trust.client(s.base, pin)
	switch {
	case errors.Is(err, ledger.ErrNoAccount):
		return ledger.Client{}, errUnknownKey
	case err != nil:
		return ledger.Client{}, fmt.Errorf("%w: %w", errTruststore, err)
	case c.State == ledger.Suspended:
		return ledger.Client{}, &keptOut{c.Name, errSuspended}
	case c.State != ledger.Active:
		return ledger.Client{}, &keptOut{c.Name, errRemovedKey}
	}
	return c, nil
}

// keptOut is the refusal of a key whose account is known. The name is for the operator's
// page alone and not part of the text.
type keptOut struct {
	account string
	reason  error
}

func (e *keptOut) Error() string { return e.reason.Error() }
func (e *keptOut) Unwrap() error { return e.reason }

// register makes a connection known under its account. The order matters: it is in
// the index before its trust is checked for the last time. Whoever removes the key
// does it in the truststore first and then cuts what is in the index; so either the
// check below sees the removal, or the removal sees the connection.
func (s *Server) register(tc *tls.Conn, raw net.Conn) (*conn, error) {
	now := time.Now()
	cert, pin, err := identity.CheckPeer(tc.ConnectionState(), now)
	if err != nil {
		return nil, errors.Join(errCertificate, err)
	}
	account, err := s.trusted(pin)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: tc, raw: raw, account: account, pin: pin, expires: cert.NotAfter, writeTimeout: s.writeTimeout}
	c.idle(now)
	s.conns.add(c)
	again, err := s.trusted(pin)
	if err == nil && (again.ID != account.ID || again.Role != account.Role) {
		err = &keptOut{account.Name, errRemovedKey} // and added anew as something else, in between
	}
	if err != nil {
		s.conns.remove(c)
		return nil, err
	}
	return c, nil
}

// serveConn serves one connection until it ends. It returns an error only when the
// connection was refused before its first request.
func (s *Server) serveConn(tc *tls.Conn, raw net.Conn) error {
	c, err := s.register(tc, raw)
	if err != nil {
		return err
	}
	defer s.conns.remove(c)
	defer func() {
		if p := recover(); p != nil { // in the HTTP parser: handlers recover by themselves
			s.metrics.panics.Inc()
			s.log.Error("panic on a connection", "account", c.account.ID, "panic", panicText(p), "at", callers())
			c.cut()
		}
	}()
	if err := s.http.ServeConn(c); err != nil {
		s.metrics.connErrors.Inc() // the error itself may quote the request
	}
	return nil
}

// panicText describes a recovered panic without its value, which may hold anything,
// except for the runtime's own words.
func panicText(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

// callers lists the functions on the stack and their lines. Unlike a stack trace it
// holds no arguments, among which a coin or a salt could be.
func callers() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var out []string
	for {
		f, more := frames.Next()
		out = append(out, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return out
		}
	}
}
