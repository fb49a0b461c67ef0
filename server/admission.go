package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"ecoin/internal/addresses"
	"ecoin/internal/identity"
)

// Back-off after a failed accept, as when the process has no file descriptor left.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// admission accepts connections, bounds them, does their handshakes and hands those
// that passed to serve, each in its own goroutine.
type admission struct {
	ln      net.Listener
	config  *tls.Config
	max     int64            // connections at once
	from    *addresses.Limit // and of each address
	slots   chan struct{}    // one taken by each handshake
	metrics *instruments
	recent  *recentRefusals
	log     *slog.Logger
	serve   func(tc *tls.Conn, raw net.Conn) error // returns when the connection is done with

	open    atomic.Int64   // connections, from accept to close
	wg      sync.WaitGroup // one for each of them
	closing context.Context
	closed  context.CancelFunc
}

func newAdmission(s *Server) *admission {
	a := &admission{
		ln:      s.o.Listener,
		config:  s.tlsConfig(),
		max:     int64(s.o.MaxConns),
		from:    addresses.New(s.o.MaxConnsPerAddress),
		slots:   make(chan struct{}, s.o.MaxHandshakes),
		metrics: s.metrics,
		recent:  &s.watch.recent,
		log:     s.log,
		serve:   s.serveConn,
	}
	a.closing, a.closed = context.WithCancel(s.base)
	return a
}

// run accepts until close is called. No other error ends it: a listener that
// failed because the process was out of descriptors works again when some are free.
func (a *admission) run() {
	pause := time.Duration(0)
	for {
		c, err := a.ln.Accept()
		if errors.Is(err, net.ErrClosed) || a.closing.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil {
			pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
			a.metrics.acceptErrors.Inc()
			a.log.Warn("accept failed, trying again", "err", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-a.closing.Done():
			}
			continue
		}
		pause = 0
		address := addresses.Of(c.RemoteAddr())
		if why := a.enter(address); why != nil {
			why.Inc()
			_ = c.Close()
			limit := "limit of all connections"
			if why == a.metrics.overAddressLimit {
				limit = "limit of the address"
			}
			a.recent.add(time.Now(), address, refusal{what: "connection", reason: limit})
			continue
		}
		a.metrics.accepted.Inc()
		a.wg.Go(func() {
			defer a.leave(address)
			a.admit(c)
		})
	}
}

// enter counts one more connection, or returns the counter of the limit that it would
// break.
func (a *admission) enter(address netip.Addr) (broken *metrics.Counter) {
	if a.open.Add(1) > a.max {
		a.open.Add(-1)
		return a.metrics.overLimit
	}
	if !a.from.Enter(address) {
		a.open.Add(-1)
		return a.metrics.overAddressLimit
	}
	return nil
}

func (a *admission) leave(address netip.Addr) {
	a.from.Leave(address)
	a.open.Add(-1)
}

// close stops accepting. Connections that have not sent a byte are closed; the
// others finish.
func (a *admission) close() {
	a.closed()
	_ = a.ln.Close()
}

// wait returns when the last connection is done with. close comes first, and run must
// have returned.
func (a *admission) wait() { a.wg.Wait() }

// admit does the handshake of c and serves it; c is closed when it returns.
func (a *admission) admit(c net.Conn) {
	defer c.Close()
	tc, err := a.handshake(c)
	if err == nil {
		err = a.serve(tc, c)
	}
	if err != nil {
		why := refusalReason(err)
		a.metrics.refused(why)
		of := refusal{what: "handshake", reason: why}
		var known *keptOut
		if errors.As(err, &known) {
			of.account = known.account
		}
		a.recent.add(time.Now(), addresses.Of(c.RemoteAddr()), of)
		a.log.Debug("connection refused", "peer", c.RemoteAddr(), "reason", why, "err", err)
	}
}

// handshake does the handshake in one of the slots. A connection takes its slot only
// after its first byte, so silent ones keep nobody out; and it waits for one, because
// a fleet that reconnects at once is no reason to turn devices away. First byte and
// slot come within handshakeTimeout, and the handshake takes no longer than that.
func (a *admission) handshake(raw net.Conn) (*tls.Conn, error) {
	begin := time.Now().Add(handshakeTimeout)
	if err := raw.SetDeadline(begin); err != nil {
		return nil, err
	}
	begun := &begunConn{Conn: raw}
	stop := context.AfterFunc(a.closing, func() { _ = raw.SetReadDeadline(time.Unix(1, 0)) })
	_, err := io.ReadFull(raw, begun.first[:])
	if !stop() && err == nil {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, err
	}

	wait := time.NewTimer(time.Until(begin))
	defer wait.Stop()
	select {
	case a.slots <- struct{}{}:
	case <-wait.C:
		return nil, errCrowded
	}
	defer func() { <-a.slots }()
	start := time.Now()
	if err := raw.SetDeadline(start.Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	tc := tls.Server(begun, a.config)
	if err := tc.Handshake(); err != nil {
		return nil, err
	}
	a.metrics.handshakeSeconds.Observe(time.Since(start))
	return tc, raw.SetDeadline(time.Time{})
}

// begunConn is a connection whose first byte has been read.
type begunConn struct {
	net.Conn
	first [1]byte
	given bool
}

func (c *begunConn) Read(p []byte) (int, error) {
	if !c.given && len(p) > 0 {
		c.given = true
		return copy(p, c.first[:]), nil
	}
	return c.Conn.Read(p)
}

// Reasons for turning a connection away, beside those of the network.
var (
	errUnknownKey  = errors.New("server: the client's key is not in the truststore")
	errRemovedKey  = errors.New("server: the client's key was removed from the truststore")
	errSuspended   = errors.New("server: the client's account is suspended")
	errCertificate = errors.New("server: the client's certificate is not acceptable")
	errTruststore  = errors.New("server: the truststore cannot be read")
	errCrowded     = errors.New("server: too many handshakes at once")
)

// refusalReasons are the values of the metric's label.
var refusalReasons = []string{
	"unknown_key", "removed_key", "suspended", "certificate", "truststore", "crowded", "timeout", "closed", "tls",
}

func refusalReason(err error) string {
	switch {
	case errors.Is(err, errUnknownKey):
		return "unknown_key"
	case errors.Is(err, errRemovedKey):
		return "removed_key"
	case errors.Is(err, errSuspended):
		return "suspended"
	case errors.Is(err, errCertificate):
		return "certificate"
	case errors.Is(err, errTruststore):
		return "truststore"
	case errors.Is(err, errCrowded):
		return "crowded"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "closed"
	}
	return "tls" // no certificate, another protocol or version, garbage
}

// tlsConfig checks clients in VerifyConnection, which runs on resumed sessions too.
func (s *Server) tlsConfig() *tls.Config {
	config := identity.ServerConfig(s.o.Certificate, func(pin [32]byte) error {
		_, err := s.trusted(pin)
		return err
	})
	config.Certificates = nil
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &s.certificate.Load().Certificate, nil
	}
	check := config.VerifyConnection
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		err := check(cs)
		if err == nil || errors.Is(err, errUnknownKey) || errors.Is(err, errRemovedKey) || errors.Is(err, errSuspended) || errors.Is(err, errTruststore) {
			return err
		}
		return errors.Join(errCertificate, err)
	}
	return config
}
