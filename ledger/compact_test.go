package ledger

import (
	"context"
	"errors"
	"testing"

	"ecoin/core"
	"ecoin/internal/coins"
)

// TestCompact redeems most coins and expects that compaction leaves no trace of them
// but their spent records, says how far it is, and changes no answer.
func TestCompact(t *testing.T) {
	t.Parallel()
	set := coins.New(16_000)
	for _, indexBytes := range []int64{0, 1 << 24} {
		dir := t.TempDir()
		o := testOptions(nil)
		o.Disks = []string{t.TempDir()}
		if _, err := CreateWith(dir, o, Pin{1}, set.Ascending(), nil); err != nil {
			t.Fatal(err)
		}
		o.IndexBytes = indexBytes
		l := open(t, dir, o)
		an := addAccount(t, l, 0)
		tables := func() TableBytes {
			b, err := l.TableBytes()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		full := tables()
		if perCoin := float64(full.Live) / float64(set.Len()); perCoin < 13 || perCoin > 20 {
			t.Errorf("%.1f bytes a live coin", perCoin)
		}
		var gone []core.Fingerprint
		for i := range set.Len() * 7 / 8 {
			gone = append(gone, set.Random(i))
		}
		for at := 0; at < len(gone); at += 2000 {
			mustRedeem(t, l, an, gone[at:at+2000], core.Digest{}, core.StatusOK)
		}
		last, calls := 0, 0
		err := l.Compact(ctx, func(done, steps int) {
			calls++
			if done != last+1 || steps != 4+2*2 {
				t.Errorf("step %d of %d after %d", done, steps, last)
			}
			last = done
		})
		if err != nil || calls != 8 {
			t.Fatal(err, calls)
		}
		few := tables()
		if few.Live > full.Live/5 { // neighbours that are further apart cost 2 bytes more
			t.Errorf("%d bytes of live coins, before seven eighths were redeemed %d", few.Live, full.Live)
		}
		if few.Spent < uint64(len(gone)*21) || few.All < few.Live+few.Spent-uint64(16<<10) {
			t.Errorf("%+v", few)
		}
		if few.Added <= full.Added || few.Rewrote == 0 {
			t.Errorf("written %+v, at first %+v", few, full)
		}
		mustRedeem(t, l, an, gone[:2000], core.Digest{1}, core.StatusRedeemed)
		mustRedeem(t, l, an, []core.Fingerprint{set.Random(set.Len() - 1)}, core.Digest{}, core.StatusOK)
		mustAudit(t, l)

		canceled, cancel := context.WithCancel(ctx)
		if err := l.Compact(canceled, func(int, int) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled: %v", err)
		}
		closed := make(chan error)
		if err := l.Compact(ctx, func(done, steps int) {
			if done == 1 {
				go func() { closed <- l.Close() }()
				<-l.gate.Closing()
			}
		}); !errors.Is(err, ErrClosed) {
			t.Errorf("closed meanwhile: %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if _, err := l.TableBytes(); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}
