// Package collector is the role that has readings and wants them analysed: it
// withdraws coins, seals readings under one coin each, sends them to analysts
// through a director it does not trust, and opens the replies.
//
// # The guarantee
//
// One coin, one attempt: a coin is durably marked as used before anything made
// from it leaves, and never used again. A reply counts only if it opens under the
// coin and IV of its own operation. After anything else (no answer, another
// status than 200, a reply that does not open) the coin is bad, stays in the
// wallet, and [Collector.Refund] asks the bank about it. Errors hold no coin, no
// reading and no plaintext.
//
// Start with [New], then [Collector.Do] for one operation or [Collector.Run] for many.
package collector

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ecoin/client"
	"ecoin/collector/wallet"
	"ecoin/core"
	"ecoin/internal/wire"
)

// Bank is what a collector needs of its bank. A [client.Client] is one, and says
// what each call does; calls come from several goroutines.
type Bank interface {
	Withdraw(ctx context.Context, id [16]byte, n int) ([]core.Coin, error)
	Refund(ctx context.Context, coins []core.Coin) ([]client.Refunded, error)
	Account(ctx context.Context) (wire.Account, error)
	Keys(ctx context.Context) ([]client.Key, error)
}

// Options configures New. Wallet and Bank are required.
type Options struct {
	Wallet *wallet.Wallet // the collector's until Close; its owner closes it then
	Bank   Bank

	// DirectorURL is https://HOST[:PORT], and DirectorRoots the certificate it is
	// known by. A collector without can withdraw and refund.
	DirectorURL   string
	DirectorRoots *x509.CertPool

	Key        *core.PublicKey // of the bank; nil means to ask the bank
	Suite      core.Suite      // which of the bank's keys to use; 0 means core.SuiteX25519
	KeyRefresh time.Duration   // how long the bank's answer is good; 0 means 10 min

	Refill int // coins to withdraw when the wallet runs low; 0 means never
	Low    int // as many coins are low; 0 means none left

	Timeout    time.Duration // of one operation, from sending to the reply; 0 means 40 s
	MaxRequest int           // longest request in bytes, as the director has it; 0 means 1 MiB
	MaxReply   int           // longest reply in bytes; 0 means 1 MiB
	Logger     *slog.Logger  // nil means slog.Default()
}

func (o *Options) setDefaults() error {
	if o.Wallet == nil || o.Bank == nil {
		return errors.New("collector: wallet and bank are required")
	}
	o.Suite = cmp.Or(o.Suite, core.SuiteX25519)
	if o.Key != nil {
		o.Suite = o.Key.Suite()
	}
	if o.Suite.HeaderLen() == 0 {
		return fmt.Errorf("collector: %v is no suite this program knows: use x25519, xwing or rsa3072", o.Suite)
	}
	if o.Refill < 0 || o.Refill > wire.MaxWithdraw {
		return fmt.Errorf("collector: refill of %d coins: choose 0 to %d", o.Refill, wire.MaxWithdraw)
	}
	if o.Refill > 0 && o.Low >= o.Refill {
		return fmt.Errorf("collector: %d coins are low and %d are withdrawn then: the first must be less", o.Low, o.Refill)
	}
	if o.Low < 0 || o.KeyRefresh < 0 || o.Timeout < 0 || o.MaxRequest < 0 || o.MaxReply < 0 {
		return errors.New("collector: limits and times must not be negative; 0 is the default")
	}
	o.KeyRefresh = cmp.Or(o.KeyRefresh, 10*time.Minute)
	o.Timeout = cmp.Or(o.Timeout, 40*time.Second)
	o.MaxRequest = cmp.Or(o.MaxRequest, 1<<20)
	o.MaxReply = cmp.Or(o.MaxReply, 1<<20)
	if least := requestLen(o.Suite, 1+core.MaxNameLen+1); o.MaxRequest < least {
		return fmt.Errorf("collector: requests of at most %d bytes: the smallest need %d", o.MaxRequest, least)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// A Collector runs operations. Its methods may be called concurrently.
type Collector struct {
	o        Options
	log      *slog.Logger
	keys     keys
	director *director // nil without a director

	topUp    chan struct{} // holds a token while somebody withdraws for operations
	retryAt  atomic.Int64  // Unix nanoseconds; no early top-up before, because the last one failed
	refunded sync.Mutex    // held for a whole refund
}

// New returns a collector. It talks to nobody yet. To directors it shows a
// certificate made for the purpose, and another every twelve hours, so that its
// operations lead back to no account and to no earlier run.
func New(o Options) (*Collector, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	c := &Collector{o: o, log: o.Logger, topUp: make(chan struct{}, 1)}
	c.keys = keys{bank: o.Bank, suite: o.Suite, refresh: o.KeyRefresh, fixed: o.Key, log: o.Logger, now: time.Now}
	if o.DirectorURL != "" {
		d, err := newDirector(o.DirectorURL, o.DirectorRoots, o.Timeout, o.MaxReply)
		if err != nil {
			return nil, err
		}
		c.director = d
	}
	for _, p := range o.Wallet.Problems() {
		c.log.Warn("wallet file left alone", "path", p.Path, "problem", p.Text)
	}
	if n := o.Wallet.Counts().Recovered; n > 0 {
		c.log.Warn("coins were in use when the wallet was last closed; they are bad now, and a refund decides", "coins", n)
	}
	return c, nil
}

// Close closes idle connections to the director. Operations should have ended.
func (c *Collector) Close() {
	if c.director != nil {
		c.director.close()
	}
}

// MaxBody returns the longest body in bytes that Do takes for every analysis.
func (c *Collector) MaxBody() int {
	fixed := requestLen(c.o.Suite, 0) - 16
	room := (c.o.MaxRequest - fixed) / 16 * 16
	return min(room-1, core.MaxPlaintext) - 1 - core.MaxNameLen
}

// requestLen returns the length of a request around a plaintext of n bytes.
func requestLen(s core.Suite, n int) int {
	return core.PrefixLen + s.HeaderLen() + (n/16+1)*16 + core.TagLen
}
