package ledger

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
	"ecoin/ledger/internal/life"
)

// TestAuditFinds does to a ledger each kind of damage that an audit looks for, behind
// its back, and checks that it is found and named in plain words.
func TestAuditFinds(t *testing.T) {
	t.Parallel()
	type books struct {
		l                    *Ledger
		acc, an              AccountID
		fps                  []core.Fingerprint // 0-4 live, 5-9 redeemed, 10-12 returned, 13, 14 refunded
		window               uint32
		set                  func(key, value []byte)
		del                  func(key []byte)
		live, spent, counter func(i int) []byte // keys
	}
	for _, c := range []struct {
		name   string
		damage func(b *books)
		want   []string // parts of problems, one each at least
	}{
		{"a live coin vanished", func(b *books) { b.del(b.live(0)) },
			[]string{"live coins, the scan found", "conservation: 1000 granted"}},
		{"a coin from nowhere", func(b *books) { b.set(appendLiveKey(nil, &core.Fingerprint{1}), nil) },
			[]string{"live coins, the scan found", "conservation"}},
		{"a redeemed coin lives", func(b *books) { b.set(b.live(5), nil) },
			[]string{"1 coins are in more than one state", "live coins, the scan found"}},
		{"a live coin was returned", func(b *books) {
			c := life.Coin{Phase: life.Returned, Redeemer: b.an}
			b.set(appendReturnedKey(nil, &b.fps[0]), appendReturned(nil, &c))
		}, []string{"more than one state", "returned coins, the scan found"}},
		{"spent twice", func(b *books) {
			c := life.Coin{Phase: life.Refunded, Refunder: b.acc}
			b.set(appendSpentKey(nil, b.window+3600, &b.fps[6]), appendSpent(nil, &c))
		}, []string{"more than one state"}},
		{"a returned coin vanished", func(b *books) { b.del(appendReturnedKey(nil, &b.fps[10])) },
			[]string{"returned coins, the scan found", "conservation"}},
		{"an unreadable spent record", func(b *books) { b.set(b.spent(7), []byte{9}) },
			[]string{"the records of 1 coins cannot be read"}},
		{"a live coin with a value", func(b *books) { b.set(b.live(1), []byte{9}) },
			[]string{"the records of 1 coins cannot be read"}},
		{"a key of wrong length", func(b *books) { b.set([]byte{kindLive, 1}, nil) },
			[]string{"live coins: a key has the wrong length"}},
		{"a counter is off", func(b *books) {
			c := b.l.shards[0].books.current
			c.redeemed++
			b.set(b.counter(0), c.append(nil))
		}, []string{"shard 0: it counts", "shard 0: it counts"}},
		{"a counter is gone", func(b *books) { b.del(b.counter(shardOf(&b.fps[0], len(b.l.shards)))) }, []string{": it counts"}},
		{"an unreadable counter", func(b *books) { b.set(b.counter(2), []byte("x")) }, []string{"shard 2: ledger: record cannot be read: counters"}},
		{"counters of no shard", func(b *books) { b.set(b.counter(200), counters{}.append(nil)) }, []string{"a shard that does not exist"}},
		{"credit from nowhere", func(b *books) { b.set(appendTallyKey(nil, &b.an, 3), tally{redeemed: 7}.append(nil)) },
			[]string{"shard 3: it counts", "conservation"}},
		{"a debit lost", func(b *books) { b.set(fundsKey(b.acc), funds{1000, 10}.append(nil)) },
			[]string{"the accounts withdrew 10 coins, but 15 were issued", "conservation"}},
		{"a grant by hand is credit like any other", func(b *books) { b.set(fundsKey(b.an), funds{5, 0}.append(nil)) }, nil},
		{"funds gone", func(b *books) { b.del(fundsKey(b.an)) }, []string{"its funds are missing"}},
		{"unreadable funds", func(b *books) { b.set(fundsKey(b.an), nil) }, []string{"funds: wrong length"}},
		{"an unreadable tally", func(b *books) { b.set(appendTallyKey(nil, &b.an, 0), nil) }, []string{"shard 0: ledger: record cannot be read: tally"}},
		{"a tally of no shard", func(b *books) { b.set(appendTallyKey(nil, &b.an, 77), tally{}.append(nil)) }, []string{"a tally of shard 77, which does not exist"}},
		{"a tally with a long key", func(b *books) { b.set(append(appendTallyKey(nil, &b.an, 0), 0), tally{}.append(nil)) }, []string{"the key of a tally has the wrong length"}},
		{"a tally of nobody", func(b *books) { b.set(appendTallyKey(nil, &AccountID{}, 0), tally{}.append(nil)) }, []string{"a tally of an account that does not exist"}},
		{"funds of nobody", func(b *books) { b.set(fundsKey(AccountID{0xff, 0xff}), funds{}.append(nil)) }, []string{"funds of an account that does not exist"}},
		{"an unreadable account", func(b *books) { b.set(accountKey(b.an), []byte{1}) }, []string{"record cannot be read: account"}},
		{"an account's key of wrong length", func(b *books) { b.set([]byte{kindAccount, 1}, nil) }, []string{"an account's key has the wrong length"}},
		{"a pin gone", func(b *books) {
			a, err := readRecord(b.l.db, b.an)
			if err != nil {
				t.Fatal(err)
			}
			b.del(pinKey(a.pin))
		}, []string{"a pin does not lead to it"}},
		{"a pin too many", func(b *books) { b.set(pinKey(Pin{1}), b.an[:]) }, []string{"-1 pins and 0 names more than lead"}},
		{"a name gone", func(b *books) {
			a, err := readRecord(b.l.db, b.an)
			if err != nil {
				t.Fatal(err)
			}
			b.del(nameKey(a.name))
		}, []string{"its name does not lead to it"}},
		{"a name too many", func(b *books) { b.set(nameKey("nobody"), b.an[:]) }, []string{"0 pins and -1 names more than lead"}},
		{"a withdrawal of nobody", func(b *books) {
			w := withdrawal{state: withdrawalPending, count: 2, salt: freshSalt()}
			b.set(appendPendingKey(nil, &AccountID{9}, &RequestID{}), w.append(nil))
		}, []string{"has no account", "2 are under way", "conservation"}},
		{"an unreadable withdrawal", func(b *books) { b.set(appendPendingKey(nil, &b.acc, &RequestID{}), []byte{1}) },
			[]string{"a withdrawal under way: "}},
		{"an ended withdrawal under way", func(b *books) {
			w := withdrawal{state: withdrawalPending, count: 2, salt: freshSalt()}
			b.set(appendEndedKey(nil, b.window, &b.acc, &RequestID{}), w.append(nil))
		}, []string{"is among those that ended"}},
		{"an unreadable ended withdrawal", func(b *books) { b.set(appendEndedKey(nil, b.window, &b.acc, &RequestID{}), nil) },
			[]string{"a withdrawal that ended cannot be read"}},
		{"a short key of a window", func(b *books) { b.set([]byte{kindSpent, 0xff}, nil) }, []string{"key of a window: too short"}},
		{"an unreadable first window", func(b *books) { b.set(keptKey(kindSpent), []byte{1}) }, []string{"kept windows cannot be read"}},
		{"a first window with a long key", func(b *books) { b.set([]byte{kindKept, kindSpent, 1}, make([]byte, 4)) }, []string{"kept windows cannot be read"}},
		{"a window that was dropped", func(b *books) { b.set(keptKey(kindSpent), []byte{0xff, 0xff, 0xff, 0xff}) }, []string{"in a window that was dropped"}},
		{"an unknown kind, first", func(b *books) { b.set([]byte{0}, nil) }, []string{"a kind that this program does not know"}},
		{"an unknown kind, between", func(b *books) { b.set([]byte{'o', 1}, nil) }, []string{"a kind that this program does not know"}},
		{"an unknown kind, last", func(b *books) { b.set([]byte{'z'}, nil) }, []string{"a kind that this program does not know"}},
		{"many unreadable records", func(b *books) {
			for i := range 300 {
				b.set(appendTallyKey(nil, &AccountID{0, byte(i >> 8), byte(i)}, 0), tally{}.append(nil))
			}
		}, []string{"and 201 problems more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := open(t, "ledger", testOptions(vfs.NewMem()))
			b := &books{l: l, acc: addAccount(t, l, 1000), an: addAccount(t, l, 0)}
			b.fps = withdraw(t, l, b.acc, 15)
			d := core.Digest{1}
			mustRedeem(t, l, b.an, b.fps[5:13], d, core.StatusOK)
			if _, err := returnAll(l, b.an, b.fps[10:13], d); err != nil {
				t.Fatal(err)
			}
			if err := l.Refund(ctx, b.acc, b.fps[13:], make([]Refund, 2)); err != nil {
				t.Fatal(err)
			}
			kept := l.spent.acquire(l.now())
			b.window = kept[len(kept)-1]
			l.spent.release()
			check := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			b.set = func(key, value []byte) { check(l.db.Set(key, value, pebble.Sync)) }
			b.del = func(key []byte) { check(l.db.Delete(key, pebble.Sync)) }
			b.live = func(i int) []byte { return appendLiveKey(nil, &b.fps[i]) }
			b.spent = func(i int) []byte { return appendSpentKey(nil, b.window, &b.fps[i]) }
			b.counter = func(i int) []byte { return appendCountersKey(nil, i) }

			want := Audit{Accounts: 2, Live: 5, Returned: 3, Spent: 7, Granted: 1000, Balances: 992, Issued: 15, Redeemed: 8, Refunded: 2}
			got := mustAudit(t, l)
			got.Problems = nil
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("before the damage the audit is %+v, want %+v", got, want)
			}
			c.damage(b)
			a, err := l.Audit(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if a.OK() != (len(c.want) == 0) {
				t.Errorf("problems: %q", a.Problems)
			}
			if len(a.Problems) > maxProblems {
				t.Errorf("%d problems listed", len(a.Problems))
			}
			all := strings.Join(a.Problems, "\n")
			for _, want := range c.want {
				if !strings.Contains(all, want) {
					t.Errorf("no problem says %q; problems: %q", want, a.Problems)
				}
			}
			for _, fp := range b.fps {
				if strings.Contains(all, fp.String()) {
					t.Error("a problem names a fingerprint")
				}
			}
		})
	}
}
