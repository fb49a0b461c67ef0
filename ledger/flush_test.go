package ledger

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// TestFlushLiveAlone: a coin that was not live in Pebble and is not now has no row among
// the live ones, not even one that deletes it.
func TestFlushLiveAlone(t *testing.T) {
	t.Parallel()
	l := open(t, "ledger", testOptions(vfs.NewMem()))
	for _, c := range []struct {
		before, now phase
		tables      int
	}{
		{unknown, live, 1}, {live, redeemed, 1}, {live, refunded, 1},
		{unknown, redeemed, 0}, {unknown, refunded, 0}, {redeemed, returned, 0}, {returned, refunded, 0}, {live, live, 0},
	} {
		tables := tables{store: l.stores[0], prefix: "test-"}
		if err := tables.live([]*changed{{fp: core.Fingerprint{1}, before: c.before, coin: coin{phase: c.now}}}); err != nil {
			t.Fatal(err)
		}
		if tables.made != c.tables {
			t.Errorf("from %v to %v: %d tables of live coins, want %d", c.before, c.now, tables.made, c.tables)
		}
		if err := tables.abandon(); err != nil {
			t.Fatal(err)
		}
	}
}
