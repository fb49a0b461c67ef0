package ledger_test

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/ledger"
	"ecoin/ledger/ledgertest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// The suite runs on few and on many shards in memory, where the disk does not slow it
// down, and on the disk.
func TestConformance(t *testing.T) {
	t.Parallel()
	open := func(dir string, fs vfs.FS, shards int) ledgertest.Store {
		return func(o ledgertest.Options) (ledgertest.Ledger, error) {
			l, err := ledger.Open(dir, ledger.Options{
				Mint: o.Mint, Now: o.Now, SpentWindow: o.SpentWindow, WithdrawalWindow: o.WithdrawalWindow,
				Shards: shards, FS: fs, Logger: quiet, CacheBytes: 8 << 20, MinFreeBytes: 1, BallastBytes: -1,
				Fatal: func(err error) { panic(err) },
			})
			if err != nil {
				return nil, err
			}
			return l, nil
		}
	}
	t.Run("memory, 1 shard", func(t *testing.T) {
		ledgertest.Run(t, func(testing.TB) ledgertest.Store { return open("ledger", vfs.NewMem(), 1) })
	})
	t.Run("disk, 16 shards", func(t *testing.T) {
		ledgertest.Run(t, func(t testing.TB) ledgertest.Store { return open(t.TempDir(), vfs.Default, 16) })
	})
}
