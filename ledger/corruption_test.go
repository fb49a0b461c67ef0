package ledger

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"ecoin/core"
)

// TestFlippedBytes damages tables of a ledger and asks for a sample of the coins in it:
// what cannot be read is a temporary failure, and whatever is answered otherwise is
// true. (A sample, because Pebble spends 30 ms on each read of a damaged block.)
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	const coins, sample = 4_000, 250
	rounds := 9
	if raceEnabled { // everything is many times slower
		rounds = 4
	}
	mem := vfs.NewMem()
	o := testOptions(mem)
	l := open(t, "ledger", o)
	acc, an := addAccount(t, l, coins), addAccount(t, l, 0)
	fps := withdraw(t, l, acc, coins)
	live, spent := fps[:coins/2], fps[coins/2:]
	d := core.Digest{1}
	mustRedeem(t, l, an, spent, d, core.StatusOK)
	if err := l.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	closeLedger(t, l)

	var temporary, damagedOpens, paused int
	for round := range rounds {
		seed := uint64(round)
		rng := rand.New(rand.NewPCG(seed, 1))
		image := copyFS(t, mem)
		flip(t, image, rng, 1+rng.IntN(8))
		o.FS = image
		l, err := Open("ledger", o)
		if err != nil {
			if !strings.Contains(err.Error(), "ledger:") {
				t.Errorf("seed %d: %v", seed, err)
			}
			damagedOpens++
			continue
		}
		check := func(acc AccountID, fps []core.Fingerprint, d core.Digest, want core.Status) (failed int) {
			out, err := redeemAll(l, acc, fps, d)
			if errors.Is(err, errRead) {
				return len(fps) // the account itself cannot be read
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, s := range out {
				switch s {
				case want:
				case core.StatusTemporary:
					failed++
				default:
					t.Fatalf("seed %d: coin %d of a damaged ledger: %v, want %v", seed, i, s, want)
				}
			}
			return failed
		}
		damaged := func() (n int) {
			for _, s := range l.shards {
				n += len(s.damaged) // nothing is under way
			}
			return n
		}
		first := rng.IntN(coins/2 - sample)
		found := check(an, spent[first:first+sample], d, core.StatusRedeemedBefore)
		inSpent, events := damaged(), l.Stats().Corruptions
		if found == inSpent && found > 0 {
			// Only coins are damaged, not the account: asking again reads nothing, but
			// for what the filters had ruled out before they were found damaged.
			again := check(an, spent[first:first+sample], d, core.StatusRedeemedBefore)
			if reads := l.Stats().Corruptions - events; again < found || reads > int64(again-found) {
				t.Errorf("seed %d: %d coins failed; asked again, %d failed and %d damaged blocks were read", seed, found, again, reads)
			}
			paused++
		}
		found += check(an, live[first:first+sample], d, core.StatusOK)
		temporary += found
		if s := l.Stats(); found > 0 && s.Corruptions == 0 {
			t.Errorf("seed %d: %d temporary failures, but no damage was reported", seed, found)
		}
		a, err := l.Audit(ctx)
		if err != nil {
			t.Errorf("seed %d: audit: %v", seed, err)
		}
		if found > 0 && a.OK() {
			t.Errorf("seed %d: %d coins cannot be read, but the audit is content", seed, found)
		}
		closeLedger(t, l)
	}
	t.Logf("%d coins could not be read; %d of %d damaged ledgers did not open", temporary, damagedOpens, rounds)
	if temporary == 0 || paused == 0 {
		t.Error("the damage hit nothing, so this test tested nothing")
	}
}

// flip inverts a byte in each of n random places of the tables.
func flip(t *testing.T, fs vfs.FS, rng *rand.Rand, n int) {
	names, err := fs.List("ledger")
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			tables = append(tables, fs.PathJoin("ledger", name))
		}
	}
	if len(tables) == 0 {
		t.Fatal("no tables")
	}
	for range n {
		name := tables[rng.IntN(len(tables))]
		b := readFile(t, fs, name)
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		writeFile(t, fs, name, b)
	}
}

func readFile(t *testing.T, fs vfs.FS, name string) []byte {
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func copyFS(t *testing.T, from vfs.FS) vfs.FS {
	to := vfs.NewMem()
	if ok, err := vfs.Clone(from, to, "ledger", "ledger"); err != nil || !ok {
		t.Fatalf("copy the ledger: %v, %v", ok, err)
	}
	return to
}

// TestReadFaults lets reads of tables fail for a while: temporary failures while they
// do, and the truth afterwards; a withdrawal that could not be completed is completed
// by its repeat, and by the next start.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	toggle := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") {
			return errorfs.ErrInjected
		}
		return nil
	})}
	o := testOptions(errorfs.Wrap(mem, toggle))
	o.CacheBytes = 1 // so that every block is read from the file
	l := open(t, "ledger", o)
	acc, stranger := addAccount(t, l, 10_000), addAccount(t, l, 0)
	fps := withdraw(t, l, acc, 2_000)
	spent := withdraw(t, l, acc, 500)
	mustRedeem(t, l, acc, spent, core.Digest{1}, core.StatusOK)
	if err := l.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Grant(ctx, acc, 1); err != nil { // the account is in the memtable now, its coins are not
		t.Fatal(err)
	}
	p := pendingWithdrawal{account: acc, id: freshRequest(), withdrawal: withdrawal{state: withdrawalPending, count: 300, salt: freshSalt()}}
	release, err := l.debit(&p)
	if err != nil {
		t.Fatal(err)
	}
	release()
	balance := func() int64 {
		a, err := l.Account(ctx, acc)
		if err != nil {
			t.Fatal(err)
		}
		return a.Balance()
	}
	had := balance()

	toggle.On()
	for range 2 {
		for _, set := range [][]core.Fingerprint{fps, spent} {
			out := make([]core.Status, len(set))
			c := &call{kind: opRedeem, account: acc, coins: make([]Redemption, len(set))}
			for i := range set {
				c.coins[i] = Redemption{set[i], core.Digest{1}}
			}
			l.queued.Add(int64(len(set)))
			l.do(c)
			copy(out, c.status)
			for i, s := range out {
				if s != core.StatusTemporary {
					t.Fatalf("coin %d while reads fail: %v", i, s)
				}
			}
		}
	}
	if err := l.complete(&p, true); !errors.Is(err, errRead) {
		t.Errorf("withdrawal while reads fail: %v", err)
	}
	out := make([]core.Status, 1)
	if err := l.Redeem(ctx, stranger, []Redemption{{Fingerprint: fps[0]}}, out); !errors.Is(err, errRead) {
		t.Errorf("redeem while the account cannot be read: %v", err)
	}
	if err := l.Redeem(ctx, acc, []Redemption{{Fingerprint: fps[0]}}, out); err != nil || out[0] != core.StatusTemporary {
		t.Errorf("redeem while only the coin cannot be read: %v, %v", out[0], err)
	}
	if a, err := l.Audit(ctx); err != nil || a.OK() {
		t.Errorf("audit while reads fail: %v, %v", a.Problems, err)
	}
	toggle.Off()

	if got := balance(); got != had {
		t.Errorf("balance is %d after temporary failures, was %d", got, had)
	}
	if a := mustAudit(t, l); a.Pending != 300 {
		t.Errorf("%d coins are under way, want 300", a.Pending)
	}
	if salt, err := l.Withdraw(ctx, acc, p.id, freshSalt(), 300); err != nil || salt != p.salt {
		t.Errorf("repeat of the withdrawal: %v", err)
	}
	mustRedeem(t, l, acc, spent, core.Digest{1}, core.StatusRedeemedBefore)
	mustRedeem(t, l, acc, fps, core.Digest{1}, core.StatusOK)
	if n := l.Stats().Temporary; n != 301 {
		t.Errorf("%d temporary failures counted, want 301", n)
	}
}

// Damage found in the background must not stop the process; Pebble's default would.
func TestCorruptionEventGoesOn(t *testing.T) {
	log := &storeLog{logger: quietLog, fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	log.events().DataCorruption(pebble.DataCorruptionInfo{Path: "x", Details: errors.New("checksum")})
	if log.corruptions.Load() != 1 {
		t.Error("not counted")
	}
}

// Damage is reported for the shards it is in and hides nothing of the others.
func TestDamageByShard(t *testing.T) {
	const coins, hurt = 4_000, 2
	mem := vfs.NewMem()
	o := testOptions(mem)
	l := open(t, "ledger", o)
	acc := addAccount(t, l, coins)
	fps := withdraw(t, l, acc, coins)
	if err := l.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	tables, err := l.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, level := range tables {
		for _, table := range level {
			name = fmt.Sprintf("ledger/%06d.sst", table.FileNum)
		}
	}
	closeLedger(t, l)

	// The coins are sorted and evenly spread over the blocks, which are the first nine
	// tenths of the table: this byte is in the middle of the third shard of four.
	b := readFile(t, mem, name)
	b[len(b)*9/10*5/8] ^= 1
	writeFile(t, mem, name, b)

	l = open(t, "ledger", o)
	a, err := l.Audit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Damaged, []int{hurt}) || len(a.Problems) != 1 || !strings.HasPrefix(a.Problems[0], "shard 2: live coins: reading stopped: pebble: file 0") || strings.Contains(a.Problems[0], "\n") {
		t.Errorf("audit: shards %v, %q", a.Damaged, a.Problems)
	}
	failed := make([]int64, o.Shards)
	fps = fps[:coins/8] // spread over all shards; Pebble spends 30 ms on each read of a damaged block
	out, err := redeemAll(l, acc, fps, core.Digest{1})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range out {
		switch s {
		case core.StatusOK:
		case core.StatusTemporary:
			failed[shardOf(&fps[i], o.Shards)]++
		default:
			t.Fatalf("a coin of a damaged ledger: %v", s)
		}
	}
	for i, s := range l.Stats().Shards {
		if s.Damaged != failed[i] || (s.Damaged > 0) != (i == hurt) {
			t.Errorf("shard %d counts %d damaged coins, %d failed", i, s.Damaged, failed[i])
		}
	}
}
