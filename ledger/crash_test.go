package ledger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ecoin/core"
)

// fact is what the clients of the crash test were told about a coin.
type fact struct {
	acc      AccountID // who tries to redeem it
	digest   core.Digest
	redeem   progress
	giveBack progress
	refund   progress // by the collector
}

// progress of one operation: not asked for, asked for, answered with StatusOK.
type progress uint8

const (
	idle progress = iota
	asked
	acknowledged
)

// until returns what is known of the time between p and later.
func (p progress) until(later progress) progress {
	if p == idle && later != idle {
		return asked
	}
	return p
}

// crashWorld is a ledger under load and what its clients know.
type crashWorld struct {
	l         *Ledger
	collector AccountID
	analysts  []AccountID

	mu    sync.Mutex // guards the rest; an answer is noted under it
	facts map[core.Fingerprint]*fact
	salts map[RequestID]core.Salt // acknowledged withdrawals
}

const crashWithdraw = 24

// client withdraws, redeems, returns and refunds until stop.
func (w *crashWorld) client(t *testing.T, rng *rand.Rand, stop *atomic.Bool) {
	for !stop.Load() {
		id, salt := freshRequest(), freshSalt()
		if _, err := w.l.Withdraw(ctx, w.collector, id, salt, crashWithdraw); err != nil {
			t.Errorf("Withdraw: %v", err)
			return
		}
		fps := testMint(nil, &salt, crashWithdraw)
		acc, d := w.analysts[rng.IntN(len(w.analysts))], core.Digest(freshRequest())
		w.note(func() {
			w.salts[id] = salt
			for _, fp := range fps {
				w.facts[fp] = &fact{acc: acc, digest: d}
			}
		})
		// A random part of the coins goes on to each next step of its life.
		part := func(fps []core.Fingerprint) []core.Fingerprint { return fps[:rng.IntN(len(fps)+1)] }
		rng.Shuffle(len(fps), func(i, j int) { fps[i], fps[j] = fps[j], fps[i] })
		redeem := part(fps)
		w.step(t, redeem, func(f *fact) *progress { return &f.redeem }, func() ([]core.Status, error) { return redeemAll(w.l, acc, redeem, d) })
		back := part(redeem)
		w.step(t, back, func(f *fact) *progress { return &f.giveBack }, func() ([]core.Status, error) { return returnAll(w.l, acc, back, d) })
		refund := append(part(back), part(fps[len(redeem):])...)
		w.step(t, refund, func(f *fact) *progress { return &f.refund }, func() ([]core.Status, error) {
			out, status := make([]Refund, len(refund)), make([]core.Status, len(refund))
			err := w.l.Refund(ctx, w.collector, refund, out)
			for i := range out {
				status[i] = out[i].Status
			}
			return status, err
		})
	}
}

func (w *crashWorld) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *crashWorld) step(t *testing.T, fps []core.Fingerprint, of func(*fact) *progress, run func() ([]core.Status, error)) {
	if len(fps) == 0 {
		return
	}
	set := func(p progress) {
		w.note(func() {
			for _, fp := range fps {
				*of(w.facts[fp]) = p
			}
		})
	}
	set(asked)
	out, err := run()
	if err != nil {
		t.Error(err)
		return
	}
	for i := range out {
		if out[i] != core.StatusOK {
			t.Errorf("status %v in undisturbed work", out[i])
		}
	}
	set(acknowledged)
}

// image is a disk after a power loss. Its facts say acknowledged for what clients had
// been told before it, and idle for what they had not asked for until after it.
type image struct {
	index bool // whether it is opened with an index; it was written with or without one
	fs    vfs.FS
	facts map[core.Fingerprint]fact
	salts map[RequestID]core.Salt
}

// TestCrash cuts the power at random moments under load, keeping 0 to 100 % of what
// was not synced, opens each image, audits it and asks for every coin that clients
// knew of: nothing that was acknowledged may be undone. ECOIN_CRASH_SEED and
// ECOIN_CRASH_ROUNDS choose other runs.
func TestCrash(t *testing.T) {
	t.Parallel()
	seed, rounds := envInt(t, "ECOIN_CRASH_SEED", time.Now().UnixNano()), envInt(t, "ECOIN_CRASH_ROUNDS", crashRounds())
	t.Logf("replay the choices with ECOIN_CRASH_SEED=%d", seed)
	images, checks := 0, 0
	for round := range rounds {
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(round)))
		for _, im := range crashRound(t, rng) {
			images++
			checks += im.check(t, fmt.Sprintf("seed %d, round %d, image %d", seed, round, images))
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d images, %d coin checks", images, checks)
	if checks < images*100 {
		t.Errorf("only %d coin checks", checks)
	}
}

// crashRounds is how many rounds of 20 images there are.
func crashRounds() int64 {
	if raceEnabled {
		return 1
	}
	return 15
}

func envInt(t *testing.T, name string, value int64) int64 {
	if s := os.Getenv(name); s != "" {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return v
	}
	return value
}

// crashOptions are for a ledger with or without an index. One with an index has deltas
// so small that they are flushed all the time, and log files so small that many are
// used.
func crashOptions(fs vfs.FS, index bool) Options {
	o := testOptions(fs)
	o.Shards = 2
	if index {
		o.IndexBytes, o.deltaCoins, o.logSegment, o.replayRows = 1<<20, 200, 32<<10, 300
	}
	return o
}

func crashRound(t *testing.T, rng *rand.Rand) []image {
	const perRound, clients = 20, 6
	mem := newCrashFS()
	l, err := Open("ledger", crashOptions(mem, rng.IntN(3) > 0))
	if err != nil {
		t.Fatal(err)
	}
	w := &crashWorld{l: l, collector: addAccount(t, l, 1<<40), facts: make(map[core.Fingerprint]*fact), salts: make(map[RequestID]core.Salt)}
	for range 3 {
		w.analysts = append(w.analysts, addAccount(t, l, 0))
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range clients {
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		wg.Go(func() { w.client(t, own, &stop) })
	}
	var images []image
	for i := range perRound {
		// A slow machine must not make images with nothing to check in them. After
		// that, any moment.
		eventually(t, "the clients to work", func() (busy bool) {
			w.note(func() { busy = len(w.facts) >= 12*(i+1) })
			return busy
		})
		time.Sleep(time.Duration(rng.IntN(4_000)) * time.Microsecond)
		if rng.IntN(4) == 0 {
			// Somewhere in a flush. In small ledgers none would happen by itself.
			if _, err := l.db.AsyncFlush(); err != nil {
				t.Error(err)
			}
		}
		percent := []int{0, 0, rng.IntN(101), 100}[rng.IntN(4)]
		im := image{index: rng.IntN(2) > 0, facts: make(map[core.Fingerprint]fact), salts: make(map[RequestID]core.Salt)}
		w.note(func() {
			for fp, f := range w.facts {
				im.facts[fp] = *f
			}
			for id, salt := range w.salts {
				im.salts[id] = salt
			}
		})
		im.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(rng.Uint64(), 0))})
		w.note(func() {
			for fp, f := range im.facts {
				now := w.facts[fp]
				f.redeem = f.redeem.until(now.redeem)
				f.giveBack = f.giveBack.until(now.giveBack)
				f.refund = f.refund.until(now.refund)
				im.facts[fp] = f
			}
		})
		images = append(images, im)
	}
	stop.Store(true)
	wg.Wait()
	closeLedger(t, l)
	return images
}

// check opens the image and returns how many coins it asked for.
func (im *image) check(t *testing.T, name string) int {
	l, err := Open("ledger", crashOptions(im.fs, im.index))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	defer closeLedger(t, l)
	a, err := l.Audit(ctx)
	if err != nil || !a.OK() || a.Pending != 0 {
		t.Errorf("%s: audit: %+v, %v", name, a, err)
	}
	var collector AccountID
	err = l.Accounts(ctx, func(a Account) error {
		if a.Granted > 0 {
			collector = a.ID
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	n := 0
	for id, salt := range im.salts {
		if n++; n > 5 {
			break
		}
		if got, err := l.Withdraw(ctx, collector, id, freshSalt(), crashWithdraw); err != nil || got != salt {
			t.Errorf("%s: acknowledged withdrawal is forgotten: %v", name, err)
		}
	}

	// A stranger asks for every coin, in one batch: he gets what is live and nothing else.
	stranger := addAccount(t, l, 0)
	fps := make([]core.Fingerprint, 0, len(im.facts))
	for fp := range im.facts {
		if fps = append(fps, fp); len(fps) == MaxCall {
			break
		}
	}
	stolen, err := redeemAll(l, stranger, fps, core.Digest{0xff})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	for i, fp := range fps {
		f := im.facts[fp]
		wasLive := stolen[i] == core.StatusOK
		switch {
		case stolen[i] != core.StatusOK && stolen[i] != core.StatusRedeemed:
			t.Errorf("%s: an acknowledged coin is gone: %v (%+v)", name, stolen[i], f)
		case wasLive && (f.redeem == acknowledged || f.refund == acknowledged):
			t.Errorf("%s: a consumed coin came back: %+v", name, f)
		case !wasLive && f.redeem == idle && f.refund == idle:
			t.Errorf("%s: a live coin was redeemed by nobody: %+v", name, f)
		}
	}
	// Retries by those who were answered get the same answers.
	for i, fp := range fps {
		f := im.facts[fp]
		if i >= 24 || stolen[i] == core.StatusOK {
			continue
		}
		if f.redeem == acknowledged && f.giveBack == idle {
			if out, err := redeemAll(l, f.acc, []core.Fingerprint{fp}, f.digest); err != nil || out[0] != core.StatusRedeemedBefore {
				t.Errorf("%s: retry of an acknowledged redeem: %v, %v", name, out, err)
			}
		}
		if f.giveBack == acknowledged {
			if out, err := returnAll(l, f.acc, []core.Fingerprint{fp}, f.digest); err != nil || out[0] != core.StatusOK {
				t.Errorf("%s: retry of an acknowledged return: %v, %v", name, out, err)
			}
		}
		if f.refund == acknowledged || f.giveBack == acknowledged {
			out := make([]Refund, 1)
			if err := l.Refund(ctx, collector, []core.Fingerprint{fp}, out); err != nil || out[0].Status != core.StatusOK {
				t.Errorf("%s: refund after an acknowledged return or refund: %v, %v", name, out, err)
			}
		}
	}
	if a, err := l.Audit(ctx); err != nil || !a.OK() {
		t.Errorf("%s: audit afterwards: %+v, %v", name, a, err)
	}
	return len(fps)
}
