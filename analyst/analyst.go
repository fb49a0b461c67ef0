// Package analyst serves operations: it has the bank redeem the coin in a
// request's header, opens the payload with it, analyses and replies under the same
// coin.
//
// It listens to one client alone, its director, known by the pin of its key; it
// trusts the bank, and believes nothing else. What holds, whatever the director
// and the collectors do:
//
//   - a request is served only after the bank said that its coin was redeemed now,
//     or, asked again because an answer was lost, that it was redeemed before by this
//     very operation: a replayed header is never served;
//   - a coin that was redeemed and not served goes back to the bank, in the
//     background, so that the collector's refund succeeds. So does one of which
//     nobody knows whether it was redeemed. What keeps an analyst from it is to be
//     killed, or to end while the bank is away;
//   - every failure looks the same from outside: 422, the same bytes, the same
//     headers, or, when a request does not arrive whole, a closed connection. (What
//     is not HTTP, net/http answers by itself, whatever it is about.) An analysis
//     that refuses its input is no failure: it says so inside the sealed reply.
//
// One process per key: what tells a lost answer from a replay is the memory of this
// process. After a restart, a header that was served before and comes again just when
// the bank's answers get lost passes for a retry: it is served again, or its coin
// given back. Start with [New], then [Analyst.Run].
package analyst

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"ecoin/analyst/analysis"
	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/httpserve"
	"ecoin/internal/identity"
)

// Bank is what an analyst asks of the bank; *client.Client is one. Both calls take
// 1 to maxBatch records and answer for each, in order. An error that client.Definite
// reports means that this call did nothing; after any other, nobody knows. Calls may
// run concurrently and end soon after ctx. They must not be repeated below this interface
// (client.Options.Retry): that an answer was lost is what tells a retry of this analyst
// from a record that somebody replays, when the bank says "redeemed before".
type Bank interface {
	Redeem(ctx context.Context, records [][]byte) ([]client.Redeemed, error)
	Return(ctx context.Context, records [][]byte) ([]core.Status, error)
}

// Banks is Bank for records of several banks, any number of them: what Bank says of a
// call, it says of each record. *client.Router is one.
type Banks interface {
	Redeem(ctx context.Context, records [][]byte) ([]client.Redeemed, []error)
	Return(ctx context.Context, records [][]byte) ([]core.Status, []error)
}

// Options configures New. Identity, Director, DirectorPin, Analyses, and either Bank or
// Banks are required; every other zero value is a safe default.
type Options struct {
	Address  string             // host:port to listen on; "" means 127.0.0.1:0
	URL      string             // how the director reaches that; "" means https:// and the address
	ID       string             // name of the registration, see core.ValidName; "" means "a-" and the start of the key's pin
	Identity *identity.Identity // the key with the account at the bank, too

	Director    string            // URL of the director
	DirectorPin [sha256.Size]byte // pin of the director's key, as server and as client

	Bank     Bank                     // the only bank
	Banks    Banks                    // or several
	Analyses map[string]analysis.Func // by name; 1 to 32

	Capacity         int           // operations at a time; 0 means 64
	MaxBody          int64         // longest request, and longest reply, in bytes; 0 means 1 MiB, a director's default
	AnalysisTimeout  time.Duration // for one analysis; 0 means 10 s
	OperationTimeout time.Duration // for one operation, from request to reply; 0 means 25 s, less than a director waits
	BankTimeout      time.Duration // for one call to the bank; 0 means 5 s
	RedeemCalls      int           // redeem calls under way at a time, 1 to 8; 0 means 1
	DrainTimeout     time.Duration // when Run is asked to end: for operations under way, and again for coins to give back; 0 means 5 s

	Logger *slog.Logger // nil means slog.Default()
}

const (
	maxRedeemCalls = 8
	maxAnalyses    = 32 // a director takes no more
)

func (o *Options) setDefaults() error {
	switch {
	case o.Identity == nil:
		return errors.New("analyst: an identity is required")
	case (o.Bank == nil) == (o.Banks == nil):
		return errors.New("analyst: a bank is required, or several: one of Bank and Banks")
	case o.DirectorPin == [sha256.Size]byte{}:
		return errors.New("analyst: the pin of the director's key is required")
	case o.Capacity < 0 || o.MaxBody < 0 || o.AnalysisTimeout < 0 || o.OperationTimeout < 0 || o.BankTimeout < 0 || o.DrainTimeout < 0:
		return errors.New("analyst: limits and time-outs must not be negative; 0 is the default")
	case o.RedeemCalls < 0 || o.RedeemCalls > maxRedeemCalls:
		return fmt.Errorf("analyst: %d redeem calls at a time, want 1 to %d", o.RedeemCalls, maxRedeemCalls)
	case len(o.Analyses) == 0 || len(o.Analyses) > maxAnalyses:
		return fmt.Errorf("analyst: %d analyses, want 1 to %d", len(o.Analyses), maxAnalyses)
	}
	for name, f := range o.Analyses {
		if !core.ValidName(name) {
			return fmt.Errorf("analyst: analysis name %q: use 1 to %d of a-z 0-9 . _ -, first a letter or digit", name, core.MaxNameLen)
		}
		if f == nil {
			return fmt.Errorf("analyst: analysis %s has no function", name)
		}
	}
	if u, err := url.Parse(o.Director); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("analyst: director %q: want https://host:port", o.Director)
	}
	o.ID = cmp.Or(o.ID, fmt.Sprintf("a-%x", o.Identity.Pin[:8]))
	if !core.ValidName(o.ID) {
		return fmt.Errorf("analyst: id %q: use 1 to %d of a-z 0-9 . _ -, first a letter or digit", o.ID, core.MaxNameLen)
	}
	o.Capacity = cmp.Or(o.Capacity, 64)
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.AnalysisTimeout = cmp.Or(o.AnalysisTimeout, 10*time.Second)
	o.OperationTimeout = cmp.Or(o.OperationTimeout, 25*time.Second)
	o.BankTimeout = cmp.Or(o.BankTimeout, 5*time.Second)
	o.RedeemCalls = cmp.Or(o.RedeemCalls, 1)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Banks == nil {
		o.Banks = oneBank{o.Bank}
	}
	return nil
}

// Analyst is a listening analyst. Run it once, or Close it.
type Analyst struct {
	o        Options
	server   *httpserve.Server
	lease    *lease
	slots    chan struct{} // one element per operation under way
	held     *held
	redeemer *redeemer
	returner *returner
}

// New opens the analyst's address. It asks nobody anything yet.
func New(o Options) (*Analyst, error) {
	o.Analyses = maps.Clone(o.Analyses)
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	a := assemble(o)
	var err error
	a.server, err = httpserve.Listen(httpserve.Options{
		Address:       o.Address,
		TLS:           identity.ServerConfig(o.Identity, a.isDirector),
		Handler:       a,
		HandleTimeout: o.OperationTimeout,
		DrainTimeout:  o.DrainTimeout,
		Logger:        o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("analyst: %w", err)
	}
	if o.URL == "" {
		if a.server.Addr().IP.IsUnspecified() {
			_ = a.server.Close()
			return nil, fmt.Errorf("analyst: listening on every address (%s): say by which URL the director reaches this analyst", a.server.Addr())
		}
		o.URL = a.server.URL()
	}
	if a.lease, err = newLease(&o); err != nil {
		_ = a.server.Close()
		return nil, err
	}
	return a, nil
}

// assemble makes an analyst that neither listens nor registers.
func assemble(o Options) *Analyst {
	a := &Analyst{o: o, slots: make(chan struct{}, o.Capacity), held: newHeld()}
	a.redeemer = &redeemer{banks: o.Banks, timeout: o.BankTimeout, calls: o.RedeemCalls, asks: make(chan *ask)}
	a.returner = newReturner(o.Banks, o.BankTimeout, a.held, o.Logger)
	return a
}

// URL returns the URL that the analyst listens at, with its real port.
func (a *Analyst) URL() string { return a.server.URL() }

// Close gives up the address of an analyst that is not going to Run.
func (a *Analyst) Close() error { return a.server.Close() }

func (a *Analyst) isDirector(pin [sha256.Size]byte) error {
	if pin != a.o.DirectorPin {
		return errors.New("analyst: the caller is not the director")
	}
	return nil
}

// Run registers with the director, keeps the lease and serves until ctx ends. Then
// it ends the lease, lets operations under way finish, gives back the coins it
// owes, each for DrainTimeout, and returns nil; or it returns what kept it from
// serving.
func (a *Analyst) Run(ctx context.Context) error {
	a.o.Logger.Info("listening", "role", "analyst", "url", a.URL(), "id", a.o.ID,
		"analyses", slices.Sorted(maps.Keys(a.o.Analyses)), "capacity", a.o.Capacity, "max_body", a.o.MaxBody)

	// Each part outlives those that need it: lease, server, redeemer, returner.
	var background sync.WaitGroup
	redeem, stopRedeem := context.WithCancel(context.Background())
	defer stopRedeem()
	background.Go(func() { a.redeemer.run(redeem) })
	returnTo, cutReturner := context.WithCancel(context.Background())
	defer cutReturner()
	finish := make(chan struct{})
	returned := make(chan struct{})
	go func() { defer close(returned); a.returner.run(returnTo, finish) }()

	keep, stopLease := context.WithCancel(ctx)
	defer stopLease()
	serve, stopServer := context.WithCancel(context.Background())
	defer stopServer()
	background.Go(func() {
		a.lease.keep(keep)
		stopServer()
	})

	err := a.server.Run(serve)
	stopLease()
	stopRedeem()
	background.Wait()
	cut := time.AfterFunc(a.o.DrainTimeout, cutReturner)
	defer cut.Stop()
	close(finish)
	<-returned
	if n := a.returner.owed(); n > 0 {
		a.o.Logger.Error("coins not returned: the bank did not take them in time, and their collectors cannot have them refunded", "coins", n)
	}
	if err != nil {
		return fmt.Errorf("analyst: %w", err)
	}
	return nil
}
