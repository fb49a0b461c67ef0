package pgledger

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// Options configures Open. Only Mint is required. All nodes on one database must have
// the same Mint and windows.
type Options struct {
	// Mint appends the fingerprints of the n coins of one withdrawal to dst, the same
	// for the same salt for ever. Safe for concurrent use.
	Mint func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint

	SpentWindow      time.Duration // retries and evidence work at least this long; 0 means 1 h
	WithdrawalWindow time.Duration // a withdrawal can be asked for again at least this long; 0 means 24 h

	MaxQueued  int // coins waiting or being decided; more is ledger.ErrOverload; 0 means 65,536
	Statements int // redeems, returns and refunds at once, each on a connection; 0 means 16
	BatchCoins int // coins of several calls that one statement takes; 0 means 512
	Conns      int // connections for all else, but two more that only look up keys and accounts; 0 means 8

	// Patience is how long a call goes on asking a database that does not answer or has
	// conflicts; 0 means 5 s.
	Patience time.Duration
	// Timeout is how long one statement may take until its connection is given up; 0 means 10 s.
	Timeout time.Duration

	// Existing refuses a database without the tables of this version, instead of making them.
	Existing bool

	// NoSync accepts a database that answers before its disk has the data. A crash of
	// the database may then revive coins.
	NoSync bool

	Now    func() time.Time // clock; nil means time.Now
	Logger *slog.Logger     // nil means slog.Default()
}

const (
	defaultSpentWindow      = time.Hour
	defaultWithdrawalWindow = 24 * time.Hour
	maxWindow               = 10 * 365 * 24 * time.Hour
	defaultMaxQueued        = 1 << 16
	defaultStatements       = 16
	defaultBatchCoins       = 512
	defaultConns            = 8
	defaultPatience         = 5 * time.Second
	defaultTimeout          = 10 * time.Second

	maxStatements = 1024
	lookupConns   = 2 // each look-up is a row or two by key
)

// withDefaults fills in what is zero and checks every limit.
func (o Options) withDefaults() (Options, error) {
	fill(&o.SpentWindow, defaultSpentWindow)
	fill(&o.WithdrawalWindow, defaultWithdrawalWindow)
	fill(&o.MaxQueued, defaultMaxQueued)
	fill(&o.Statements, defaultStatements)
	fill(&o.BatchCoins, defaultBatchCoins)
	fill(&o.Conns, defaultConns)
	fill(&o.Patience, defaultPatience)
	fill(&o.Timeout, defaultTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	switch {
	case o.Mint == nil:
		return o, errors.New("pgledger: Options.Mint is missing")
	case o.MaxQueued < ledger.MaxCall:
		return o, fmt.Errorf("pgledger: Options.MaxQueued is %d, want at least %d, the coins of one call", o.MaxQueued, ledger.MaxCall)
	case o.Statements < 1 || o.Statements > maxStatements:
		return o, fmt.Errorf("pgledger: Options.Statements is %d, want 1 to %d", o.Statements, maxStatements)
	case o.BatchCoins < 1 || o.BatchCoins > ledger.MaxCall:
		return o, fmt.Errorf("pgledger: Options.BatchCoins is %d, want 1 to %d", o.BatchCoins, ledger.MaxCall)
	case o.Conns < 2:
		return o, fmt.Errorf("pgledger: Options.Conns is %d, want at least 2", o.Conns)
	case o.Patience < 0 || o.Timeout < 0:
		return o, fmt.Errorf("pgledger: Options.Patience is %v and Options.Timeout %v, want positive durations", o.Patience, o.Timeout)
	}
	for _, w := range []struct {
		name  string
		width time.Duration
	}{{"SpentWindow", o.SpentWindow}, {"WithdrawalWindow", o.WithdrawalWindow}} {
		if w.width < time.Second || w.width > maxWindow || w.width%time.Second != 0 {
			return o, fmt.Errorf("pgledger: Options.%s is %v, want whole seconds from 1s to %v", w.name, w.width, maxWindow)
		}
	}
	return o, nil
}

// Check returns what Open would say of the options alone.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
