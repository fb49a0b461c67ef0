// Package httpserve runs a net/http server over TLS for the director and the
// analyst: HTTP/1.1 alone, every wait and every size bounded, and an orderly end.
//
// Start with [Listen], then [Server.Run].
package httpserve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"ecoin/internal/addresses"
)

// Options configures Listen. TLS and Handler are required.
type Options struct {
	Address string      // host:port; "" means 127.0.0.1:0, port 0 a free port
	TLS     *tls.Config // see identity.ServerConfig
	Handler http.Handler

	ReadTimeout   time.Duration // for the handshake, and for a request from first byte to last; 0 means 15 s
	HandleTimeout time.Duration // longest that Handler takes once it has the request; 0 means 30 s
	IdleTimeout   time.Duration // between requests; 0 means 90 s
	DrainTimeout  time.Duration // for requests under way when Run is asked to end; 0 means 5 s
	MaxConns      int           // open connections; more are closed at once; 0 means 8192
	Logger        *slog.Logger  // nil means slog.Default()

	// MaxConnsPerAddress bounds the connections of one IPv4 address or IPv6 /64; more
	// are closed at once. 0 means MaxConns, so that one address may have them all.
	MaxConnsPerAddress int
}

// maxHeaderBytes bounds a request's line and headers; net/http adds 4 KiB.
const maxHeaderBytes = 4 << 10

// cutTimeout is how long requests whose contexts have ended at the end of Run may
// take to answer. Then their connections are closed: a client that sends no more, or
// reads nothing, would hold the end up as long as the other time-outs allow.
const cutTimeout = 2 * time.Second

// writeTimeout is how long a client may take to accept an answer.
const writeTimeout = 15 * time.Second

func (o *Options) setDefaults() error {
	if o.TLS == nil || o.Handler == nil {
		return errors.New("httpserve: TLS configuration and handler are required")
	}
	if o.ReadTimeout < 0 || o.HandleTimeout < 0 || o.IdleTimeout < 0 || o.DrainTimeout < 0 || o.MaxConns < 0 || o.MaxConnsPerAddress < 0 {
		return errors.New("httpserve: time-outs and limits must not be negative; 0 is the default")
	}
	o.Address = cmp.Or(o.Address, "127.0.0.1:0")
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 15*time.Second)
	o.HandleTimeout = cmp.Or(o.HandleTimeout, 30*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 90*time.Second)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 5*time.Second)
	o.MaxConns = cmp.Or(o.MaxConns, 8192)
	o.MaxConnsPerAddress = cmp.Or(o.MaxConnsPerAddress, o.MaxConns)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Server is a listening server. Run it once, or Close it.
type Server struct {
	listener net.Listener
	http     http.Server
	drain    time.Duration

	cut      context.CancelFunc // ends the contexts of all requests
	handlers gate
}

// Listen opens the address. Connections queue up until Run.
func Listen(o Options) (*Server, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("httpserve: listen on %q: %w", o.Address, err)
	}
	bounded := &boundedListener{Listener: l, free: make(chan struct{}, o.MaxConns), from: addresses.New(o.MaxConnsPerAddress)}
	s := &Server{listener: bounded, drain: o.DrainTimeout}
	base, cut := context.WithCancel(context.Background())
	s.cut = cut
	s.http = http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.handlers.enter() {
				panic(http.ErrAbortHandler) // the connection is closed without a word
			}
			defer s.handlers.leave()
			o.Handler.ServeHTTP(w, r)
		}),
		TLSConfig:                    o.TLS,
		DisableGeneralOptionsHandler: true,
		ReadTimeout:                  o.ReadTimeout,
		WriteTimeout:                 o.ReadTimeout + o.HandleTimeout + writeTimeout, // counts from the end of the headers
		IdleTimeout:                  o.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		BaseContext:                  func(net.Listener) context.Context { return base },
		Protocols:                    new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	return s, nil
}

// Addr returns the address that the server listens on, with its real port.
func (s *Server) Addr() *net.TCPAddr { return s.listener.Addr().(*net.TCPAddr) }

// URL returns "https://" and that address.
func (s *Server) URL() string { return "https://" + s.Addr().String() }

// Run serves until ctx ends. Then it accepts nothing new, lets requests under way
// finish for DrainTimeout, ends the contexts of those that have not, closes the
// connections of those that have not answered 2 s later, and returns when no
// handler runs any more: nil, or what kept it from serving.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- s.http.ServeTLS(s.listener, "", "") }()
	var err error
	select {
	case err = <-stopped:
		s.cut()
		_ = s.http.Close()
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), s.drain)
		defer cancel()
		cutOff := context.AfterFunc(drain, s.cut)
		if s.http.Shutdown(drain) != nil { // the contexts of those left have ended
			answer, cancel := context.WithTimeout(context.Background(), cutTimeout)
			defer cancel()
			_ = s.http.Shutdown(answer)
			_ = s.http.Close()
		}
		cutOff()
		s.cut()
		err = <-stopped
	}
	s.handlers.close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("httpserve: %s: %w", s.URL(), err)
}

// Close gives up the address of a server that is not going to Run.
func (s *Server) Close() error {
	s.cut()
	return s.listener.Close()
}

// gate counts those inside, and can be closed. The zero value is open. (A WaitGroup
// would not do: a request may arrive while somebody waits for none to be left.)
type gate struct {
	mu     sync.Mutex
	inside int
	empty  chan struct{} // made by the first close, closed when nobody is inside any more
}

// enter reports false once the gate is closed.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.empty != nil {
		close(g.empty)
	}
}

// close lets nobody in any more and waits until nobody is inside.
func (g *gate) close() {
	g.mu.Lock()
	if g.empty == nil {
		g.empty = make(chan struct{})
		if g.inside == 0 {
			close(g.empty)
		}
	}
	g.mu.Unlock()
	<-g.empty
}

// boundedListener closes connections beyond the capacity of free, or beyond what their
// address may have, as soon as they arrive: a client that is turned away at once can ask elsewhere, one that waits in
// a queue cannot.
type boundedListener struct {
	net.Listener
	free chan struct{}
	from *addresses.Limit
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := addresses.Of(c.RemoteAddr())
		if !l.from.Enter(address) {
			_ = c.Close()
			continue
		}
		select {
		case l.free <- struct{}{}:
			return &boundedConn{Conn: c, release: sync.OnceFunc(func() { <-l.free; l.from.Leave(address) })}, nil
		default:
			l.from.Leave(address)
			_ = c.Close()
		}
	}
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
