package ledger

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// onShard lets a shard's committer run f.
func onShard(s *shard, f func()) {
	done := make(chan struct{})
	s.control(func() {
		defer close(done)
		f()
	})
	<-done
}

// TestIndexDamage changes an index behind the ledger's back, as a bug or damaged memory
// would: every audit from then on says so.
func TestIndexDamage(t *testing.T) {
	t.Parallel()
	const coins = 1000
	for name, damage := range map[string]func(x *index, fps []core.Fingerprint){
		"a bit in a slot": func(x *index, _ []core.Fingerprint) {
			for _, table := range x.tables {
				if i := slices.IndexFunc(table.slots, func(s slot) bool { return s != slot{} }); i >= 0 {
					table.slots[i].low ^= 1
					return
				}
			}
		},
		"a slot that is gone": func(x *index, _ []core.Fingerprint) {
			table := x.tables[0]
			table.slots[slices.IndexFunc(table.slots, func(s slot) bool { return s != slot{} })] = slot{}
		},
		"a coin too many": func(x *index, _ []core.Fingerprint) {
			if err := x.insert(&core.Fingerprint{0: 1, 15: 1}); err != nil {
				t.Error(err)
			}
		},
		"a coin for another": func(x *index, fps []core.Fingerprint) {
			i := slices.IndexFunc(fps, func(fp core.Fingerprint) bool { return shardOf(&fp, 2) == 0 && x.has(&fp) })
			x.remove(&fps[i])
			if err := x.insert(&core.Fingerprint{0: 1, 15: 1}); err != nil {
				t.Error(err)
			}
		},
		"a redeemed coin that is back": func(x *index, fps []core.Fingerprint) {
			i := slices.IndexFunc(fps, func(fp core.Fingerprint) bool { return shardOf(&fp, 2) == 0 && !x.has(&fp) })
			if err := x.insert(&fps[i]); err != nil {
				t.Error(err)
			}
		},
	} {
		o := testOptions(vfs.NewMem())
		o.Shards, o.IndexBytes = 2, 1<<20
		l := open(t, "ledger", o)
		acc := addAccount(t, l, coins)
		fps := withdraw(t, l, acc, coins)
		mustRedeem(t, l, acc, fps[:coins/2], core.Digest{1}, core.StatusOK)
		eventually(t, "the index", func() bool { return l.Stats().Indexed == coins/2 })
		mustAudit(t, l)
		onShard(l.shards[0], func() { damage(l.shards[0].live, fps) })
		for range 2 {
			a, err := l.Audit(ctx)
			if err != nil || !slices.ContainsFunc(a.Problems, func(p string) bool { return strings.Contains(p, "shard 0: its index") }) || len(a.Problems) != 1 {
				t.Errorf("%s: audit: %v, %v", name, a.Problems, err)
			}
		}
		closeLedger(t, l)
	}
}

// TestIndexMemory opens a ledger with memory for the index of some of its shards. The
// others find their coins in the store, and nobody is told anything else.
func TestIndexMemory(t *testing.T) {
	t.Parallel()
	const coins, shards = 4000, 4
	fs := vfs.NewMem()
	o := testOptions(fs)
	o.Shards = shards
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 1<<20)
	fps := withdraw(t, l, acc, coins)
	closeLedger(t, l)

	indexed := func(l *Ledger) (n int) {
		for _, s := range l.Stats().Shards {
			if s.Indexed {
				n++
			}
		}
		return n
	}
	each := int64(coins/shards*3/2+overhang) * slotSize // about what a shard's index takes
	o.IndexBytes = each * 5 / 2
	l = open(t, "ledger", o)
	eventually(t, "two indexes", func() bool { return indexed(l) == 2 })
	if used := l.Stats().IndexBytes; used > o.IndexBytes || used < each*3/2 {
		t.Errorf("%d bytes for two indexes of about %d", used, each)
	}
	mustRedeem(t, l, acc, fps[:coins/2], core.Digest{1}, core.StatusOK)
	mustRedeem(t, l, acc, fps[:coins/2], core.Digest{2}, core.StatusRedeemed)
	mustAudit(t, l)

	// Indexes grow until there is no memory left for them either.
	for i := 0; indexed(l) > 0; i++ {
		if i == 100 {
			t.Fatalf("%d coins, and %d indexes have room in %d bytes", l.Stats().Live, indexed(l), o.IndexBytes)
		}
		fps = append(fps, withdraw(t, l, acc, 1000)...)
	}
	if used := l.Stats().IndexBytes; used != 0 {
		t.Errorf("no index, and %d bytes for it", used)
	}
	for _, s := range l.shards {
		onShard(s, func() {
			if s.loading || len(s.missed) > 0 {
				t.Errorf("shard %d remembers %d changes for an index that nobody loads", s.index, len(s.missed))
			}
		})
	}
	mustRedeem(t, l, acc, fps[coins/2:coins/2+1000], core.Digest{1}, core.StatusOK)
	mustRedeem(t, l, acc, fps[len(fps)-1000:], core.Digest{1}, core.StatusOK)
	mustRedeem(t, l, acc, fps[:1000], core.Digest{1}, core.StatusRedeemedBefore)
	mustAudit(t, l)
	closeLedger(t, l)

	// What there was before is found again, with all the memory that it takes.
	o.IndexBytes = 64 << 20
	l = open(t, "ledger", o)
	eventually(t, "all indexes", func() bool { return indexed(l) == shards })
	mustRedeem(t, l, acc, fps[:1000], core.Digest{1}, core.StatusRedeemedBefore)
	mustAudit(t, l)
	closeLedger(t, l)
}

// TestRedeemWhileLoading works with coins while their index is loaded: it is what it
// would be without.
func TestRedeemWhileLoading(t *testing.T) {
	t.Parallel()
	const coins = 1000
	o := testOptions(vfs.NewMem())
	o.Shards, o.IndexBytes = 1, 1<<20
	l := open(t, "ledger", o)
	acc := addAccount(t, l, 1<<20)
	fps := withdraw(t, l, acc, coins)
	eventually(t, "the index", func() bool { return l.Stats().Indexed == coins })

	s := l.shards[0]
	v := l.newView()
	onShard(s, func() {
		s.live.close()
		s.live, s.loading = nil, true
		s.indexed.Store(-1)
	})
	mustRedeem(t, l, acc, fps[:300], core.Digest{1}, core.StatusOK)
	more := withdraw(t, l, acc, 500)
	mustRedeem(t, l, acc, more[:100], core.Digest{1}, core.StatusOK) // came and went
	for _, r := range []struct {
		fps  []core.Fingerprint
		want core.Status
	}{{fps[300:400], core.StatusOK}, {fps[:100], core.StatusRedeemed}} {
		out := make([]Refund, len(r.fps))
		if err := l.Refund(ctx, acc, r.fps, out); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			if out[i].Status != r.want {
				t.Fatal(out[i])
			}
		}
	}
	x, err := l.scanIndex(0, v.snaps[0])
	if err != nil || x.n != coins {
		t.Fatal(x.n, err)
	}
	if err := v.close(); err != nil {
		t.Fatal(err)
	}
	onShard(s, func() { err = s.adopt(x, nil) })
	if got := l.Stats().Indexed; err != nil || got != coins-400+400 {
		t.Fatal(got, err)
	}
	mustAudit(t, l)
	mustRedeem(t, l, acc, slices.Concat(fps[400:], more[100:]), core.Digest{1}, core.StatusOK)
	mustAudit(t, l)

	// An index that does not come out right is not taken.
	onShard(s, func() {
		if x, err = newIndex(&l.budget, 0, 0); err == nil {
			err = x.insert(&core.Fingerprint{1})
		}
		if err == nil {
			s.live.close()
			s.live, s.loading = nil, true
			err = s.adopt(x, nil)
		}
	})
	if !errors.Is(err, errIndexWrong) || l.Stats().IndexBytes != 0 {
		t.Errorf("adopted: %v, %d bytes", err, l.Stats().IndexBytes)
	}
	closeLedger(t, l)
}
