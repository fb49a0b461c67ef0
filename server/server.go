// Package server puts a bank on the network: the API over HTTP/1.1 and TLS 1.3 with
// client certificates (docs/PROTOCOL.md, "Bank"), the operator's admin API on a Unix
// socket, and the operator's page, health, metrics and profiles on a second listener.
//
// What it guarantees:
//
//   - A key that is not in the truststore gets nothing: the handshake fails, on a
//     resumed session too. Removing a key closes its live connections before the
//     removal is answered, and nothing read from them afterwards is served.
//   - A slow, silent or crowding client costs itself: handshakes run off the accept
//     loop, bounded in number and time, and limits are answered by a plain close.
//   - Bytes of a request are used inside its handler alone, which waits for the
//     ledger; what holds coins is wiped where this package owns the memory. (The
//     buffers of fasthttp, 4 KiB for each connection, are overwritten by the next
//     request, not wiped.)
//   - A drain loses no request that a handler has begun.
//
// fasthttp parses HTTP and serves one connection at a time ([fasthttp.Server.ServeConn]);
// its accept loop, its limits and its shutdown are not used, because each of them can
// be made to stall or to lose requests (ARCHITECTURE.md, "Server").
//
// Start with [New] and [Server.Run].
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"ecoin/internal/fair"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

// Bank is what the API serves. Every method is safe for concurrent use, appends its
// answer to dst and leaves dst unchanged on error, and keeps nothing of its arguments.
type Bank interface {
	Withdraw(ctx context.Context, acc ledger.Client, dst []byte, id ledger.RequestID, n int) ([]byte, error)
	Redeem(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error)
	Return(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error)
	Refund(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error)
	Account(ctx context.Context, acc ledger.Client) (wire.Account, error)
	Keys() wire.Keys
	Audit(ctx context.Context) (wire.Audit, error)
	// Queued returns the records that wait to be opened, and the coins of all calls under way.
	Queued() (records, coins int)
	WriteMetrics(w io.Writer)
}

// Accounts is the truststore and what the operator does with it: the ledger, which
// documents the methods. Every method is safe for concurrent use; changes are durable
// when they return nil.
type Accounts interface {
	ClientByPin(ctx context.Context, pin ledger.Pin) (ledger.Client, error)
	Account(ctx context.Context, id ledger.AccountID) (ledger.Account, error)
	AccountByName(ctx context.Context, name string) (ledger.Account, error)
	Accounts(ctx context.Context, visit func(ledger.Account) error) error
	AddAccounts(ctx context.Context, accounts []ledger.NewAccount, ids []ledger.AccountID, errs []error) error
	SetState(ctx context.Context, id ledger.AccountID, state ledger.State) (ledger.Account, error)
	AddPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error)
	DropPin(ctx context.Context, id ledger.AccountID, pin ledger.Pin) (ledger.Account, error)
	Grant(ctx context.Context, id ledger.AccountID, amount int64) (ledger.Account, error)
	Checkpoint(dir string) error
	Stats() ledger.Stats
}

// Journal keeps a record of what operators do.
type Journal interface {
	// Append returns once the action is on disk. fields is an object's members.
	Append(action string, fields any) error
}

// Options configures New. Bank, Accounts, Certificate, Listener and Admin are
// required; every other zero value means the default named beside it.
type Options struct {
	Bank        Bank
	Accounts    Accounts
	Certificate *identity.Identity // the bank's TLS certificate and key
	Listener    net.Listener       // of the API, plain TCP; Run closes it
	Admin       string             // path of the Unix socket of the admin API, made with mode 0600
	Health      string             // address of the second listener; "127.0.0.1:0"
	Journal     Journal            // of the admin API; nil for none

	MaxConns           int           // client connections at once, handshakes included; 16,384
	MaxConnsPerAddress int           // of one IPv4 address or IPv6 /64; a quarter of MaxConns
	MaxHandshakes      int           // handshakes at once; 1,024
	BodyMemory         int           // bytes of large requests that are arriving, beyond 16 KiB each; 256 MiB
	TrustCache         int           // clients whose account is remembered; 65,536; negative for none
	DrainDelay         time.Duration // how long a stopping server serves on, not ready, closing connections as it answers; 500 ms
	DrainTimeout       time.Duration // how long it then waits for requests under way before it cuts them; 15 s

	Logger *slog.Logger // slog.Default()
}

// Time limits of a client connection.
const (
	handshakeTimeout = 3 * time.Second        // from accept until the handshake may begin, and again for the handshake
	readTimeout      = 10 * time.Second       // for a whole request, from its first byte
	writeTimeout     = 10 * time.Second       // for writing what an answer has ready
	idleTimeout      = 90 * time.Second       // between requests
	idleGrace        = 250 * time.Millisecond // what a drain leaves a connection that waits for a request
)

// Server is a bank on the network. Make it with New, then call Run once.
type Server struct {
	o       Options
	log     *slog.Logger
	metrics *instruments
	watch   *watch
	routes  map[string]*route // by path
	other   *route            // stands for every path that is not routed

	http      *fasthttp.Server
	admission *admission
	conns     connIndex
	trust     *truststore
	followed  int64 // number of the newest change of accounts when trust was empty, see follow
	bodies    bodies

	certificate atomic.Pointer[identity.Identity]

	admin, health     *http.Server
	adminLn, healthLn net.Listener

	// base is the context of every request: alive through a drain, ended when the
	// drain gives up.
	base   context.Context
	cancel context.CancelFunc

	writeTimeout time.Duration // the constant, but in tests

	ready    atomic.Bool // serving, and not about to stop
	draining atomic.Bool // answers close their connection
}

// New returns a server that is bound to its addresses and serves nothing yet. After
// an error nothing is left open but o.Listener, which stays the caller's.
func New(o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{o: o, log: o.Logger, writeTimeout: writeTimeout}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.certificate.Store(o.Certificate)
	s.metrics = newInstruments(s)
	s.trust = newTruststore(o.Accounts, max(o.TrustCache, 0), s.metrics.set)
	s.watch = newWatch(time.Now())
	s.bodies.memory = fair.New[ledger.AccountID](o.BodyMemory)
	s.makeRoutes()
	s.http = s.newHTTP()
	s.admission = newAdmission(s)
	s.admin = s.newAdmin()
	s.health = s.newHealth()

	var err error
	if d, ok := o.Accounts.(shared); ok { // now, when nothing is remembered of any account
		if _, s.followed, err = d.TrustChanges(s.base, -1); err != nil {
			s.cancel()
			return nil, fmt.Errorf("server: changes of accounts: %w", err)
		}
	}
	if s.healthLn, err = net.Listen("tcp", o.Health); err != nil {
		s.cancel()
		return nil, fmt.Errorf("server: health listener: %w", err)
	}
	if s.adminLn, err = listenUnix(o.Admin); err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("server: admin socket: %w", err), s.healthLn.Close())
	}
	return s, nil
}

// check says what o lacks and fills in the defaults.
func (o *Options) check() error {
	for _, need := range []struct {
		what  string
		given bool
	}{
		{"bank", o.Bank != nil},
		{"accounts", o.Accounts != nil},
		{"certificate", o.Certificate != nil},
		{"listener", o.Listener != nil},
		{"admin socket path", o.Admin != ""},
	} {
		if !need.given {
			return fmt.Errorf("server: no %s given", need.what)
		}
	}
	if o.MaxConns < 0 || o.MaxConnsPerAddress < 0 || o.MaxHandshakes < 0 || o.BodyMemory < 0 || o.DrainDelay < 0 || o.DrainTimeout < 0 {
		return errors.New("server: a limit or time is negative; 0 means the default")
	}
	o.Health = cmp.Or(o.Health, "127.0.0.1:0")
	o.MaxConns = cmp.Or(o.MaxConns, 16384)
	o.MaxConnsPerAddress = cmp.Or(o.MaxConnsPerAddress, max(o.MaxConns/4, 1))
	o.BodyMemory = cmp.Or(o.BodyMemory, defaultBodyMemory)
	o.TrustCache = cmp.Or(o.TrustCache, 1<<16)
	o.MaxHandshakes = cmp.Or(o.MaxHandshakes, 1024)
	o.DrainDelay = cmp.Or(o.DrainDelay, 500*time.Millisecond)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 15*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// SetCertificate replaces the bank's TLS certificate and key for handshakes from now on.
// It is safe for concurrent use.
func (s *Server) SetCertificate(id *identity.Identity) { s.certificate.Store(id) }

// addr returns the API's bound address.
func (s *Server) addr() net.Addr { return s.o.Listener.Addr() }

// healthAddr returns the second listener's bound address.
func (s *Server) healthAddr() net.Addr { return s.healthLn.Addr() }

// Run serves until ctx ends or a listener fails, then drains and closes everything,
// the API's listener included. It returns nil after ctx ended, and the listener's
// error otherwise. When it returns, no handler of the API is running, those of the
// admin API have had a second to end, and the ledger may be closed.
func (s *Server) Run(ctx context.Context) error {
	defer s.cancel()
	var wg sync.WaitGroup
	failed := make(chan error, 2)
	serve := func(name string, srv *http.Server, ln net.Listener) {
		wg.Go(func() {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("server: %s listener: %w", name, err)
			}
		})
	}
	wg.Go(s.admission.run)
	wg.Go(s.runSampler)
	if d, ok := s.o.Accounts.(shared); ok {
		wg.Go(func() { s.follow(d) })
	}
	serve("admin", s.admin, s.adminLn)
	serve("health", s.health, s.healthLn)
	s.ready.Store(true)
	s.log.Info("listening", "api", s.addr().String(), "health", s.healthAddr().String(), "admin", s.o.Admin)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.drain()
	s.cancel()
	s.stop(s.admin)
	s.stop(s.health) // last, so that the drain can be watched
	wg.Wait()
	s.admission.wait() // after its run, which may just have let one more connection in
	s.log.Info("stopped")
	return err
}

// stop ends the admin or health server: requests under way have a second to finish.
func (s *Server) stop(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close() // the listener is closed; what is cut here has been waited for
	}
}

// drain stops serving the API without losing a request that a handler has begun.
//
// First every answer closes its connection, and new connections are still taken,
// while whoever watches readiness sends clients elsewhere. Then no new connections;
// those that wait between requests have their wait ended (not their connection
// closed: a request that is just arriving is still served). What is left after
// DrainTimeout is cut.
func (s *Server) drain() {
	s.ready.Store(false)
	s.draining.Store(true)
	s.log.Info("draining", "connections", s.conns.len())
	time.Sleep(s.o.DrainDelay)

	s.admission.close()
	deadline := time.Now().Add(s.o.DrainTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.admission.open.Load() > 0 {
		now := <-tick.C
		if now.Before(deadline) {
			s.conns.each(func(c *conn) { c.endIdle(now) })
			continue
		}
		s.cancel()
		if n := s.conns.cutAll(); n > 0 {
			s.log.Warn("drain took too long, connections cut", "connections", n, "timeout", s.o.DrainTimeout)
			deadline = now.Add(time.Second) // for those that come out of a handshake only now
		}
	}
}
