// Package director relays operations from collectors to analysts.
//
// Nobody has to trust a director: it sees sealed messages alone, and what it
// drops, delays, repeats or alters neither opens nor pays (see ARCHITECTURE.md,
// "A hostile director"). It asks for a client certificate with any key: the key is
// the caller's name, and what an analyst registers belongs to the key that did it.
//
//   - PUT /v1/analysts/{id} registers an analyst for a lease of 15 s, renewed by the
//     same call; DELETE ends it. The analyst's server must have the very key that
//     registered: before that is proven in the handshake, nothing of an operation and
//     not even the director's certificate is sent. So a URL can be registered only to
//     no effect by whoever does not hold the key behind it; what it can make a
//     director do is open a TCP connection and say hello in TLS. A director that can
//     reach hosts which must not even see that needs a firewall.
//   - POST /v1/operations/{analysis} hands a request to the analyst with the fewest
//     operations outstanding among those that offer the analysis, and returns its
//     answer. Another analyst is asked only if the first could not be reached, so
//     that nothing was sent; a request that may have arrived is never repeated.
//   - GET /v1/analyses lists what is offered.
//
// Errors are problem JSON (RFC 9457). The formats are in docs/PROTOCOL.md. Start
// with [New], then [Director.Run].
package director

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"ecoin/internal/fair"
	"ecoin/internal/httpserve"
	"ecoin/internal/identity"
)

// Options configures New. Identity is required; every other zero value is a safe
// default. Requests take at most MaxOperations * 2 * MaxBody of memory and 16 KiB a
// connection, shared fairly among the addresses that they come from; replies about as
// much, in buffers of up to twice their length.
type Options struct {
	Address  string             // host:port to listen on; "" means 127.0.0.1:0
	Identity *identity.Identity // for collectors, and for analysts, who know the director by it

	MaxBody       int64         // longest request, and longest reply, in bytes; 0 means 1 MiB
	MaxOperations int           // operations under way in all; 0 means 256
	MaxCapacity   int           // most operations at one analyst, whatever it registers; 0 means 256
	MaxAnalysts   int           // leases in all; 0 means 256
	MaxPerKey     int           // leases of one key; 0 means 8
	Timeout       time.Duration // for an operation once its request is read; 0 means 30 s
	DialTimeout   time.Duration // to reach an analyst, handshake included; 0 means 3 s
	DrainTimeout  time.Duration // for operations under way when Run is asked to end; 0 means 5 s
	MaxConns      int           // open connections; 0 means 8192

	MaxConnsPerAddress int // of one IPv4 address or IPv6 /64; 0 means a quarter of MaxConns

	Logger *slog.Logger // nil means slog.Default()
}

func (o *Options) setDefaults() error {
	if o.Identity == nil {
		return errors.New("director: an identity is required")
	}
	if o.MaxBody < 0 || o.MaxOperations < 0 || o.MaxCapacity < 0 || o.MaxAnalysts < 0 || o.MaxPerKey < 0 ||
		o.Timeout < 0 || o.DialTimeout < 0 || o.DrainTimeout < 0 || o.MaxConns < 0 || o.MaxConnsPerAddress < 0 {
		return errors.New("director: limits and time-outs must not be negative; 0 is the default")
	}
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxOperations = cmp.Or(o.MaxOperations, 256)
	o.MaxCapacity = cmp.Or(o.MaxCapacity, 256)
	o.MaxAnalysts = cmp.Or(o.MaxAnalysts, 256)
	o.MaxPerKey = cmp.Or(o.MaxPerKey, 8)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 3*time.Second)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 5*time.Second)
	o.MaxConns = cmp.Or(o.MaxConns, 8192)
	o.MaxConnsPerAddress = cmp.Or(o.MaxConnsPerAddress, max(o.MaxConns/4, 1))
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Director is a listening director. Run it once, or Close it.
type Director struct {
	o        Options
	server   *httpserve.Server
	registry *registry
	bodies   bodies
	slots    chan struct{} // one element per operation whose request is here
	failures *lines        // about operations that analysts failed
}

// New opens the director's address.
func New(o Options) (*Director, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	d := &Director{o: o, registry: newRegistry(&o), slots: make(chan struct{}, o.MaxOperations),
		failures: newLines(o.Logger, slog.LevelWarn, o.MaxOperations)}
	d.bodies.memory = fair.New[netip.Addr](2 * o.MaxOperations * int(o.MaxBody))
	var err error
	d.server, err = httpserve.Listen(httpserve.Options{
		Address:       o.Address,
		TLS:           identity.ServerConfig(o.Identity, nil), // any key: it is the caller's name
		Handler:       d,
		HandleTimeout: o.Timeout,
		DrainTimeout:  o.DrainTimeout,
		MaxConns:      o.MaxConns,
		Logger:        o.Logger,

		MaxConnsPerAddress: o.MaxConnsPerAddress,
	})
	if err != nil {
		return nil, fmt.Errorf("director: %w", err)
	}
	return d, nil
}

// URL returns the director's URL, with its real port.
func (d *Director) URL() string { return d.server.URL() }

// Run serves until ctx ends, and then as long as DrainTimeout for operations under
// way. It returns nil after that, or what kept it from serving.
func (d *Director) Run(ctx context.Context) error {
	defer d.registry.close()
	d.o.Logger.Info("listening", "role", "director", "url", d.URL(),
		"max_body", d.o.MaxBody, "max_operations", d.o.MaxOperations, "max_analysts", d.o.MaxAnalysts)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.server.Run(ctx) })
	g.Go(func() error { d.registry.run(ctx); return nil })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("director: %w", err)
	}
	return nil
}

// Close gives up the address of a director that is not going to Run.
func (d *Director) Close() error { return d.server.Close() }
