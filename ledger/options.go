package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// Options configures Open. Only Mint is required.
type Options struct {
	// Mint appends the fingerprints of the n coins of one withdrawal to dst. It
	// must give the same fingerprints for the same salt for ever, because an
	// interrupted withdrawal is completed with it. Safe for concurrent use.
	Mint func(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint

	Shards           int           // power of two in [1, 256]; 0 means as created, 16 for a new ledger; fixed at creation
	SpentWindow      time.Duration // retries and evidence work at least this long; whole seconds; 0 means 1 h
	WithdrawalWindow time.Duration // a withdrawal can be asked for again at least this long; whole seconds; 0 means 24 h
	MaxQueued        int           // coins waiting or being committed; more is ErrOverload; at least 10,000; 0 means 65,536
	MinFreeBytes     uint64        // with less free on the disk withdrawals are refused; 0 means 1 GiB
	BallastBytes     int64         // file given up when the disk is full; 0 means 1 % of the disk, at most 256 MiB; negative means none
	CacheBytes       int64         // memory for blocks of the store; 0 means 256 MiB

	// IndexBytes is the memory for an exact index of all live coins, about 22 bytes
	// each. With one, shards write through a log of their own and look hardly anything
	// up on disk: a redeem costs a fraction of the CPU time. Shards whose part does not
	// fit look coins up on disk. 0 means no index: everything goes through Pebble.
	IndexBytes int64

	// Disks are folders on further disks, beside the one given to Open, that shards are
	// spread over; fixed at creation, with their order.
	Disks []string

	Now    func() time.Time // clock; nil means time.Now
	Logger *slog.Logger     // nil means slog.Default()
	FS     vfs.FS           // nil means the operating system's

	// Fatal is called when durability is in doubt. It must stop the process; the
	// ledger panics if it returns. nil means log the error and os.Exit(1).
	Fatal func(error)

	keyless bool                  // no Mint: what needs it is left out, see Verify
	tune    func(*pebble.Options) // for tests that want flushes and compactions sooner; may be nil

	// For tests: 0 means the constants of these names.
	deltaCoins int
	logSegment int64
	replayRows int
}

const (
	defaultShards           = 16
	maxShards               = 256
	defaultSpentWindow      = time.Hour
	defaultWithdrawalWindow = 24 * time.Hour
	maxWindow               = 10 * 365 * 24 * time.Hour
	defaultMaxQueued        = 1 << 16
	defaultMinFreeBytes     = 1 << 30
	defaultCacheBytes       = 256 << 20

	// maxDisks limits the folders of a ledger.
	maxDisks = 64

	// MaxCall limits the coins of one call.
	MaxCall = 10_000
	// maxCommit limits the coins of one batch: enough to make the sync's share
	// of a coin's cost small, few enough to keep the latency low.
	maxCommit = 4096
)

// Check returns what Open would say of the options alone.
func (o Options) Check() error {
	_, err := o.withDefaults()
	return err
}

func validShards(n int) bool { return n >= 1 && n <= maxShards && n&(n-1) == 0 }

// withDefaults fills in what is zero and checks every limit.
func (o Options) withDefaults() (Options, error) {
	if o.SpentWindow == 0 {
		o.SpentWindow = defaultSpentWindow
	}
	if o.WithdrawalWindow == 0 {
		o.WithdrawalWindow = defaultWithdrawalWindow
	}
	if o.MaxQueued == 0 {
		o.MaxQueued = defaultMaxQueued
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = defaultMinFreeBytes
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.deltaCoins == 0 {
		o.deltaCoins = deltaCoins
	}
	if o.logSegment == 0 {
		o.logSegment = logSegmentBytes
	}
	if o.replayRows == 0 {
		o.replayRows = replayRows
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Fatal == nil {
		logger := o.Logger
		o.Fatal = func(err error) {
			logger.Error("ledger: durability is in doubt, stopping; restart when the disk is well", "error", err)
			os.Exit(1)
		}
	}
	switch {
	case o.Mint == nil && !o.keyless:
		return o, errors.New("ledger: Options.Mint is missing")
	case o.Shards != 0 && !validShards(o.Shards):
		return o, fmt.Errorf("ledger: Options.Shards is %d, want a power of two from 1 to %d", o.Shards, maxShards)
	case o.MaxQueued < MaxCall:
		return o, fmt.Errorf("ledger: Options.MaxQueued is %d, want at least %d, the coins of one call", o.MaxQueued, MaxCall)
	case o.CacheBytes < 0:
		return o, fmt.Errorf("ledger: Options.CacheBytes is %d, want a positive number", o.CacheBytes)
	case o.IndexBytes < 0:
		return o, fmt.Errorf("ledger: Options.IndexBytes is %d, want a positive number, or 0", o.IndexBytes)
	case len(o.Disks) >= maxDisks:
		return o, fmt.Errorf("ledger: %d further disks, at most %d are possible", len(o.Disks), maxDisks-1)
	}
	for _, w := range []struct {
		name  string
		width time.Duration
	}{{"SpentWindow", o.SpentWindow}, {"WithdrawalWindow", o.WithdrawalWindow}} {
		if w.width < time.Second || w.width > maxWindow || w.width%time.Second != 0 {
			return o, fmt.Errorf("ledger: Options.%s is %v, want whole seconds from 1s to %v", w.name, w.width, maxWindow)
		}
	}
	return o, nil
}
