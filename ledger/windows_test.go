package ledger

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"ecoin/core"
)

// TestWindows moves a clock at random, also backwards, changes the width and reopens,
// and checks after each step what windows promises: records go into the newest window,
// stay for a width at least, and are gone from the store when the window is.
func TestWindows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: &storeLog{logger: quietLog, fatal: func(err error) { panic(err) }}})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		log := &storeLog{logger: quietLog, fatal: func(err error) { panic(err) }}
		var w *windows
		reopen := func() {
			width := time.Duration(rapid.IntRange(1, 50).Draw(t, "width")) * time.Second
			if w, err = openWindows([]*pebble.DB{db}, kindSpent, width, log); err != nil {
				t.Fatal(err)
			}
		}
		reopen()
		type record struct {
			window uint32
			latest int64 // the latest the clock had shown when it was written
		}
		records := make(map[core.Fingerprint]record)
		now, latest := int64(1_000_000), int64(0)
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += rapid.Int64Range(-20, 40).Draw(t, "clock")
			latest = max(latest, now)
			if rapid.IntRange(0, 15).Draw(t, "reopen") == 0 {
				now = latest // a new width and a clock that went back are too much at once
				reopen()
			}
			kept := w.acquire(time.Unix(now, 0))
			newest := kept[len(kept)-1]
			if int64(newest)+w.width <= now || !slices.IsSorted(kept) {
				t.Fatalf("at %d with width %d the windows are %v", now, w.width, kept)
			}
			fp := core.Fingerprint{byte(i)}
			if err := db.Set(appendSpentKey(nil, newest, &fp), nil, nil); err != nil {
				t.Fatal(err)
			}
			records[fp] = record{newest, latest}
			for fp, r := range records {
				_, closer, err := db.Get(appendSpentKey(nil, r.window, &fp))
				found := err == nil
				if found {
					closer.Close()
				}
				if found != slices.Contains(kept, r.window) {
					t.Fatalf("window %d: kept %t, record there %t", r.window, !found, found)
				}
				if !found && latest-r.latest < w.width {
					t.Fatalf("record of %d dropped at %d with width %d", r.latest, latest, w.width)
				}
				if !found {
					delete(records, fp)
				}
			}
			w.release()
			// The store has none that is not kept; kept ones may be empty.
			list, err := listWindows(db, kindSpent)
			if err != nil {
				t.Fatal(err)
			}
			for _, start := range list {
				if !slices.Contains(kept, start) {
					t.Fatalf("the store has window %d, kept are %v", start, kept)
				}
			}
		}
	})
}

// Windows go when time passes, two widths at most are kept with steady traffic.
func TestWindowsSteady(t *testing.T) {
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: &storeLog{logger: quietLog}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w, err := openWindows([]*pebble.DB{db}, kindEnded, 10*time.Second, &storeLog{logger: quietLog, fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for now := int64(1000); now < 1200; now++ {
		kept := w.acquire(time.Unix(now, 0))
		want := []uint32{uint32(now - now%10)}
		if now >= 1010 {
			want = []uint32{want[0] - 10, want[0]}
		}
		if !slices.Equal(kept, want) {
			t.Errorf("at %d the windows are %v, want %v", now, kept, want)
		}
		w.release()
	}
	// Clocks outside of 32 bits of seconds do not wrap around.
	for _, now := range []int64{-1, -1 << 40, 1 << 40} {
		if kept := w.acquire(time.Unix(now, 0)); kept[len(kept)-1] < 1190 || now < 0 && len(kept) != 2 {
			t.Errorf("at %d the newest window is %d", now, kept[len(kept)-1])
		}
		w.release()
	}
}

// TestDroppedStaysDropped loses power when a window was dropped that the log still has
// records of: they do not come back.
func TestDroppedStaysDropped(t *testing.T) {
	t.Parallel()
	mem := newCrashFS()
	o := testOptions(mem)
	now := time.Unix(1_900_000_000, 0)
	o.Now = func() time.Time { return now }
	o.Shards, o.IndexBytes, o.SpentWindow = 1, 1<<20, 10*time.Second
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 100)
	fps := withdraw(t, l, acc, 30)
	for i := range 3 { // one window each
		now = now.Add(10 * time.Second)
		mustRedeem(t, l, acc, fps[10*i:10*i+10], core.Digest{1}, core.StatusOK)
	}
	mustRedeem(t, l, acc, fps[:10], core.Digest{1}, core.StatusNotLive)
	// A coin that changed twice before a flush, in two windows, stays for the second.
	mustRedeem(t, l, acc, fps[10:], core.Digest{1}, core.StatusRedeemedBefore)
	o.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	l = open(t, "ledger", o)
	mustRedeem(t, l, acc, fps[:10], core.Digest{1}, core.StatusNotLive)
	mustRedeem(t, l, acc, fps[20:], core.Digest{1}, core.StatusRedeemedBefore)
	if a := mustAudit(t, l); a.Redeemed != 30 || a.Live != 0 {
		t.Error(a)
	}
	closeLedger(t, l)
}

// TestClockBackOverRestart: windows were dropped and nothing was written since. The ledger
// is opened again with the clock before that: no record goes where all is dropped, from
// where the next start would not take it out of the log.
func TestClockBackOverRestart(t *testing.T) {
	t.Parallel()
	for _, index := range []int64{0, 1 << 20} {
		mem := newCrashFS()
		o := testOptions(mem)
		var now atomic.Int64
		now.Store(1_900_000_000)
		o.Now = func() time.Time { return time.Unix(now.Load(), 0) }
		o.Shards, o.SpentWindow, o.IndexBytes = 1, 10*time.Second, index
		l := open(t, "ledger", o)
		acc := addAccount(t, l, 100)
		fps := withdraw(t, l, acc, 10)
		mustRedeem(t, l, acc, fps[:1], core.Digest{1}, core.StatusOK)
		for range 3 { // windows without a spent coin
			now.Add(10)
			withdraw(t, l, acc, 1)
		}
		closeLedger(t, l)

		now.Add(-15)
		l = open(t, "ledger", o)
		mustRedeem(t, l, acc, fps[1:], core.Digest{1}, core.StatusOK)
		o.FS = mem.CrashClone(vfs.CrashCloneCfg{})
		mustAudit(t, l)
		closeLedger(t, l)
		l = open(t, "ledger", o)
		mustRedeem(t, l, acc, fps[1:], core.Digest{1}, core.StatusRedeemedBefore)
		mustAudit(t, l)
		closeLedger(t, l)
	}
}
