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
// down, and on the disk; without an index, with one, with one that soon is too large,
// and on two disks. Under the race detector, which makes everything many times slower,
// those that have parts of another are left out.
func TestConformance(t *testing.T) {
	t.Parallel()
	open := func(dir string, fs vfs.FS, shards int, indexBytes int64, disks ...string) ledgertest.Store {
		return func(o ledgertest.Options) (ledgertest.Ledger, error) {
			l, err := ledger.Open(dir, ledger.WithTinyMemory(ledger.Options{
				Mint: o.Mint, Now: o.Now, SpentWindow: o.SpentWindow, WithdrawalWindow: o.WithdrawalWindow,
				Shards: shards, FS: fs, Logger: quiet, CacheBytes: 8 << 20, MinFreeBytes: 1, BallastBytes: -1,
				IndexBytes: indexBytes, Disks: disks,
				Fatal: func(err error) { panic(err) },
			}))
			if err != nil {
				return nil, err
			}
			return l, nil
		}
	}
	for _, c := range []struct {
		name  string
		race  bool
		store func(t testing.TB) ledgertest.Store
	}{
		{"memory, 1 shard", false, func(testing.TB) ledgertest.Store { return open("ledger", vfs.NewMem(), 1, 0) }},
		{"memory, 2 shards, index", false, func(testing.TB) ledgertest.Store { return open("ledger", vfs.NewMem(), 2, 64<<20) }},
		{"memory, 4 shards, small index", true, func(testing.TB) ledgertest.Store { return open("ledger", vfs.NewMem(), 4, 40<<10) }},
		{"disk, 16 shards", true, func(t testing.TB) ledgertest.Store { return open(t.TempDir(), vfs.Default, 16, 0) }},
		{"2 disks, 16 shards, index", true, func(t testing.TB) ledgertest.Store {
			return open(t.TempDir(), vfs.Default, 16, 64<<20, t.TempDir())
		}},
	} {
		if ledger.RaceEnabled && !c.race {
			continue
		}
		t.Run(c.name, func(t *testing.T) { ledgertest.Run(t, c.store) })
	}
}
