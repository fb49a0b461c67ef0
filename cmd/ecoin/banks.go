package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ecoin/analyst"
	"ecoin/client"
	"ecoin/internal/identity"
)

// keysEvery is how often an analyst of several banks asks them for their keys: it is as
// long before it knows a new one, or a bank that was away when it started.
const keysEvery = 10 * time.Second

// banksFlags are how an analyst reaches its banks, and as whom.
type banksFlags struct {
	identityFlags
	Bank     []string `help:"URL of the bank. Repeatable: an analyst can serve coins of several banks." default:"https://127.0.0.1:7443"`
	BankCert []string `help:"Certificate the bank is known by: keys/tls.crt of its folder. One for each --bank, in the same order." default:"ecoin-bank/keys/tls.crt"`
}

// Validate is called by kong with the parsed command line.
func (f *banksFlags) Validate() error {
	if len(f.Bank) == 0 || len(f.Bank) != len(f.BankCert) {
		return fmt.Errorf("%d --bank and %d --bank-cert: give one certificate for each bank, in the same order", len(f.Bank), len(f.BankCert))
	}
	return nil
}

// open sets the bank of o, or its banks, whose keys are followed until close is called.
// Calls are not repeated, see analyst.Bank.
func (f *banksFlags) open(ctx context.Context, log *slog.Logger, o *analyst.Options) (close func(), err error) {
	var clients []*client.Client
	var following sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	close = func() {
		stop()
		following.Wait()
		for _, c := range clients {
			c.Close()
		}
	}
	for i := range f.Bank {
		roots, err := identity.ReadRoots(f.BankCert[i])
		if err == nil {
			var c *client.Client
			if c, err = client.New(client.Options{URL: f.Bank[i], Identity: o.Identity, Roots: roots}); err == nil {
				clients = append(clients, c)
			}
		}
		if err != nil {
			close()
			return nil, err
		}
	}
	if len(clients) == 1 {
		o.Bank = clients[0]
		return close, nil
	}
	router, err := client.NewRouter(ctx, clients...)
	if err != nil {
		close()
		return nil, err
	}
	following.Go(func() {
		router.Follow(ctx, keysEvery, func(err error) {
			log.Warn("a bank does not tell its keys; those that it told before count", "err", err)
		})
	})
	o.Banks = router
	o.RedeemCalls = 8 // so that a slow bank does not keep the operations of the others
	return close, nil
}
