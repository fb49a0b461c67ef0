package ledger

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// TestFlippedLog damages the log of a ledger that was not closed. Everything in it was
// acknowledged, so Open must fail and say why. In the last 32 KiB of the log, and where
// the log is cut, damage looks like a write that a power loss cut short: then Open may
// take it for the end, but what comes before is whole.
func TestFlippedLog(t *testing.T) {
	t.Parallel()
	const block = 32 << 10
	mem := newCrashFS()
	o := testOptions(mem)
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 10_000)
	for range 40 {
		fps := withdraw(t, l, acc, 100)
		mustRedeem(t, l, acc, fps[:50], core.Digest{1}, core.StatusOK)
	}
	image := mem.CrashClone(vfs.CrashCloneCfg{})
	name := ""
	names, err := image.List("ledger")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names) // the last one is in use; one of the creation may be left
	for _, n := range names {
		if strings.HasSuffix(n, ".log") {
			name = image.PathJoin("ledger", n)
		}
	}
	whole := readFile(t, image, name)
	used := len(bytes.TrimRight(whole, "\x00"))
	strict := (used - 1) / block * block // where the last block begins
	if used < 5*block {
		t.Fatalf("the log has %d bytes", used)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	rounds := 150
	if raceEnabled { // everything is many times slower
		rounds = 12
	}
	for round := range rounds {
		damaged := slices.Clone(whole)
		at := rng.IntN(used)
		switch {
		case round%10 == 0:
			clear(damaged[at:]) // cut
		case round%2 == 0:
			clear(damaged[at:min(used, at+512)]) // a sector
		default:
			damaged[at] ^= 1 << rng.IntN(8)
		}
		copied := copyFS(t, image)
		writeFile(t, copied, name, damaged)
		o.FS = copied
		l, err := Open("ledger", o)
		switch {
		case err != nil:
			if !strings.Contains(err.Error(), "ledger: open ledger: ") || !pebble.IsCorruptionError(err) {
				t.Errorf("round %d: %v", round, err)
			}
			continue
		case at < strict && round%10 != 0:
			t.Errorf("round %d: opened with damage at %d of %d", round, at, used)
		}
		mustAudit(t, l)
		closeLedger(t, l)
	}
	o.FS = copyFS(t, image)
	l = open(t, "ledger", o)
	if a := mustAudit(t, l); a.Live != 2000 || a.Redeemed != 2000 {
		t.Errorf("the log without damage: %+v", a)
	}
}
