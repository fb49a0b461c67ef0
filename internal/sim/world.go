package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"ecoin/core"
	"ecoin/ledger"
)

// epoch is when the simulated clock begins.
var epoch = time.Date(2031, 5, 6, 7, 0, 0, 0, time.UTC)

const (
	spentWindow      = 100 * time.Second
	withdrawalWindow = 300 * time.Second
)

// books are the amounts of one account, in coins.
type books struct{ granted, issued, redeemed, returned, refunded int64 }

func (b books) balance() int64 { return b.granted - b.issued + b.redeemed - b.returned + b.refunded }

func (b books) add(o books) books {
	return books{b.granted + o.granted, b.issued + o.issued, b.redeemed + o.redeemed, b.returned + o.returned, b.refunded + o.refunded}
}

// each combines two books field by field.
func (b books) each(o books, f func(x, y int64) int64) books {
	return books{f(b.granted, o.granted), f(b.issued, o.issued), f(b.redeemed, o.redeemed), f(b.returned, o.returned), f(b.refunded, o.refunded)}
}

func minOf(x, y int64) int64 { return min(x, y) }
func maxOf(x, y int64) int64 { return max(x, y) }

// account is what clients know about one account. The lists hold what no answer
// rules out.
type account struct {
	name    string
	role    ledger.Role
	pin     ledger.Pin
	id      ledger.AccountID // zero until an answer told it
	granted []int64
	removed []bool
	told    books // the most that an answer showed; but for granted, amounts only grow
}

// withdrawal is one idempotency key. Its belief holds what the ledger may have under
// it; the zero value is nothing.
type withdrawal struct {
	index  int
	acc    int
	id     ledger.RequestID
	at     int64 // when it was asked for first, unix ms
	belief []issue
	known  []issue // whose coins were given out
}

// issue is the coins of one salt.
type issue struct {
	salt core.Salt
	n    int
}

// world is what all clients know together, and the draws of the seed. One goroutine
// owns it.
type world struct {
	rng     *rand.Rand
	variant variant
	mint    *core.Mint
	key     *core.PublicKey
	ring    *core.Keyring
	seal    core.Scratch

	clock   time.Time
	serial  uint64
	started bool

	accounts    []*account
	coins       []*coin
	shards      [][]*coin // by shard
	withdrawals []*withdrawal
	doubts      []*op // whose answer was lost, in order
	readFaults  bool  // a read was made to fail since the process began

	disk  *disk
	trace *trace

	lives, checks int
}

// fresh returns 32 bytes that this world did not have before.
func (w *world) fresh() [32]byte {
	w.serial++
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("fresh"), w.serial))
}

func (w *world) id() (id [16]byte) { b := w.fresh(); return [16]byte(b[:16]) }

func (w *world) nowMs() int64 { return w.clock.UnixMilli() }

// newCoin notes a coin in state s.
func (w *world) newCoin(secret core.Coin, s state, sealed bool) {
	c := &coin{index: len(w.coins), secret: secret, fp: w.mint.Fingerprint(&secret), belief: []state{s}}
	c.shard = shardOf(c.fp, w.variant.shards)
	for i := range c.headers {
		h := header{digest: w.id(), iv: w.id()}
		if sealed {
			b, err := w.key.AppendHeader(nil, &w.seal, &core.Secrets{Coin: secret, IV: h.iv})
			if err != nil {
				panic(err)
			}
			h.bytes, h.digest = b, core.RecordDigest(b)
		}
		c.headers[i] = h
	}
	w.coins = append(w.coins, c)
	w.shards[c.shard] = append(w.shards[c.shard], c)
}

// books returns the least and the most that an account's amounts can be.
func (w *world) books(acc int) (lo, hi books) {
	a := w.accounts[acc]
	lo.granted, hi.granted = slices.Min(a.granted), slices.Max(a.granted)
	for _, c := range w.coins {
		if s := &c.belief[0]; len(c.belief) == 1 && s.redeemer != acc+1 && s.refunder != acc+1 {
			continue
		}
		from, to := c.belief[0].owed(acc), c.belief[0].owed(acc)
		for _, s := range c.belief[1:] {
			o := s.owed(acc)
			from, to = from.each(o, minOf), to.each(o, maxOf)
		}
		lo, hi = lo.add(from), hi.add(to)
	}
	for _, wd := range w.withdrawals {
		if wd.acc != acc {
			continue
		}
		from, to := int64(1<<62), int64(0)
		for _, i := range wd.belief {
			n := int64(i.n)
			if slices.Contains(wd.known, i) {
				n = 0
			}
			from, to = min(from, n), max(to, n)
		}
		for _, i := range wd.known {
			from, to = from+int64(i.n), to+int64(i.n)
		}
		lo.issued, hi.issued = lo.issued+from, hi.issued+to
	}
	return lo, hi
}

// balance returns the least and the most that an account can have.
func (w *world) balance(acc int) (lo, hi int64) {
	l, h := w.books(acc)
	return l.granted - h.issued + l.redeemed - h.returned + l.refunded, h.granted - l.issued + h.redeemed - l.returned + h.refunded
}

// advance moves the clock; what may be forgotten by then is.
func (w *world) advance(d time.Duration) {
	w.clock = w.clock.Add(d)
	for _, c := range w.coins {
		c.age(w.nowMs(), spentWindow.Milliseconds())
	}
	for _, wd := range w.withdrawals {
		if w.nowMs()-wd.at >= withdrawalWindow.Milliseconds() && !slices.Contains(wd.belief, issue{}) {
			wd.belief = append(wd.belief, issue{})
		}
	}
}

// violation ends a run: the ledger broke its contract.
type violation struct{ err error }

func violated(format string, args ...any) { panic(violation{fmt.Errorf(format, args...)}) }

// shardOf returns the shard of a coin: the first bits of its fingerprint.
func shardOf(fp core.Fingerprint, shards int) int {
	return int(binary.BigEndian.Uint16(fp[:])) * shards >> 16
}
