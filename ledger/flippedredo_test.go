package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

const redoCall = 200 // coins a call

// crashedWithLog returns the disk of a ledger with an index that lost power: all it was
// ever told is in its own log, which has several files. The coins were redeemed,
// redoCall at a time, by the account.
func crashedWithLog(t *testing.T) (image vfs.FS, o Options, an AccountID, redeemed []core.Fingerprint) {
	t.Helper()
	mem := newCrashFS()
	o = testOptions(mem)
	o.Shards, o.IndexBytes, o.logSegment = 2, 1<<20, 180<<10 // 4 files: with more, shards are asked to flush
	// No compaction, so that images can be copied while nothing changes in them.
	o.tune = func(po *pebble.Options) { po.DisableAutomaticCompactions = true }
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 10_000)
	for range 20 {
		fps := withdraw(t, l, acc, 2*redoCall)
		mustRedeem(t, l, acc, fps[:redoCall], core.Digest{1}, core.StatusOK)
		redeemed = append(redeemed, fps[:redoCall]...)
	}
	return mem.CrashClone(vfs.CrashCloneCfg{}), o, acc, redeemed
}

// logGroups returns where in a file of the log its groups begin, and where the last
// one's records end.
func logGroups(t *testing.T, data []byte, number uint64) (at []int, end int) {
	t.Helper()
	group, ok := decodeLogFile(data, number)
	if !ok {
		t.Fatalf("file %d was not begun", number)
	}
	for pos := logBlock; ; group++ {
		records, size, ok := decodeGroup(data, pos, group)
		if !ok {
			return at, end
		}
		at, end = append(at, pos), pos+groupHead+len(records)
		pos += size
	}
}

// TestFlippedRedo damages the own log of a ledger with an index. Open must fail and say
// why, unless the damage is where a write that nobody was answered for would end.
func TestFlippedRedo(t *testing.T) {
	t.Parallel()
	image, o, an, redeemed := crashedWithLog(t)
	files, err := listLog(image, "ledger/redo")
	if err != nil || len(files) != 4 {
		t.Fatalf("log files: %v, %v", files, err)
	}
	last := files[len(files)-1]
	name := func(n uint64) string { return "ledger/redo/" + logFileName(n) }
	rng := rand.New(rand.NewPCG(1, 1))
	rounds := 200
	if raceEnabled {
		rounds = 12
	}
	refused := 0
	for round := range rounds {
		n := files[rng.IntN(len(files))]
		if round%4 == 0 {
			n = last
		}
		data := slices.Clone(readFile(t, image, name(n)))
		groups, end := logGroups(t, data, n)
		at := rng.IntN(end)
		switch round % 5 {
		case 0:
			at &^= 511 // a sector
			clear(data[at : at+512])
		case 1:
			at &^= logBlock - 1 // a block of another place
			copy(data[at:at+logBlock], data[logBlock:])
		default:
			data[at] ^= 1 << rng.IntN(8)
		}
		what := fmt.Sprintf("round %d: file %d of %v, byte %d of %d", round, n, files, at, end)
		copied := copyFS(t, image)
		writeFile(t, copied, name(n), data)
		o.FS = copied
		l, err := Open("ledger", o)
		if err != nil {
			refused++
			if !errors.Is(err, errLogDamaged) || !strings.Contains(err.Error(), logSuffix) {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		// What cannot be read was at the end, or nothing was lost at all.
		sure := redeemed
		if n == last && at >= groups[len(groups)-1] {
			sure = redeemed[:len(redeemed)-redoCall]
		}
		for i := 0; i < len(sure); i += redoCall {
			out, err := redeemAll(l, an, sure[i:i+redoCall], core.Digest{1})
			if err != nil || slices.ContainsFunc(out, func(s core.Status) bool { return s != core.StatusRedeemedBefore }) {
				t.Errorf("%s: opened, and call %d is lost: %v", what, i/redoCall, err)
				break
			}
		}
		mustAudit(t, l)
		closeLedger(t, l)
	}
	least := rounds / 2
	if raceEnabled {
		least = rounds / 4 // so few rounds may well strike the end of the log more often
	}
	if refused < least {
		t.Errorf("%d of %d were refused", refused, rounds)
	}
}

// TestClearedDescription clears the first sector of each file of the log: one with groups
// was not simply never used.
func TestClearedDescription(t *testing.T) {
	t.Parallel()
	image, o, _, _ := crashedWithLog(t)
	files, err := listLog(image, "ledger/redo")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range files {
		name := "ledger/redo/" + logFileName(n)
		data := slices.Clone(readFile(t, image, name))
		clear(data[:512])
		o.FS = copyFS(t, image)
		writeFile(t, o.FS, name, data)
		if l, err := Open("ledger", o); !errors.Is(err, errLogDamaged) {
			t.Errorf("file %d of %v: %v", n, files, err)
			if err == nil {
				closeLedger(t, l)
			}
		}
	}
}

// TestLostRedo takes a file of the log away, or swaps two, or puts one in twice.
func TestLostRedo(t *testing.T) {
	t.Parallel()
	image, o, _, _ := crashedWithLog(t)
	files, err := listLog(image, "ledger/redo")
	if err != nil {
		t.Fatal(err)
	}
	name := func(n uint64) string { return "ledger/redo/" + logFileName(n) }
	for _, c := range []struct {
		name   string
		change func(fs vfs.FS)
	}{
		{"the first is gone", func(fs vfs.FS) { mustRemove(t, fs, name(files[0])) }},
		{"one is gone", func(fs vfs.FS) { mustRemove(t, fs, name(files[1])) }},
		{"two are swapped", func(fs vfs.FS) {
			writeFile(t, fs, name(files[0]), readFile(t, image, name(files[1])))
			writeFile(t, fs, name(files[1]), readFile(t, image, name(files[0])))
		}},
		{"one is there twice", func(fs vfs.FS) {
			writeFile(t, fs, name(files[1]), readFile(t, image, name(files[0])))
		}},
		{"one is cut in a group", func(fs vfs.FS) {
			data := readFile(t, image, name(files[1]))
			groups, _ := logGroups(t, data, files[1])
			writeFile(t, fs, name(files[1]), data[:groups[len(groups)-1]+100])
		}},
		{"one is empty", func(fs vfs.FS) { writeFile(t, fs, name(files[1]), nil) }},
	} {
		o.FS = copyFS(t, image)
		c.change(o.FS)
		if l, err := Open("ledger", o); err == nil {
			t.Errorf("%s: opened", c.name)
			closeLedger(t, l)
		} else if !errors.Is(err, errLogDamaged) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func mustRemove(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	if err := fs.Remove(name); err != nil {
		t.Fatal(err)
	}
}
