// Package sim simulates a bank, its ledger, its clients and a disk that fails. All
// choices come from a seed: what clients ask for, whose answers are lost, when the
// power fails and what the disk keeps of that which was not synced, which reads, writes
// and syncs fail, also while the ledger opens. A seed that fails does so again.
//
// Clients remember what they were told. What was acknowledged must hold, and what was
// not may have happened or not, until the client asks again. After each life of the
// ledger clients settle their doubts, every account and every coin is compared with
// what they know, and the ledger is audited.
//
// What is not simulated: races, since calls are under way together only in waves whose
// order is certain (nextWave); they are for ledger/ledgertest under the race detector.
// When the power fails under a call whose coins are in several shards, which of them it
// reached may differ from run to run; clients ask again at once, and the trace shows only
// what that leads to. Names survive a power loss in the order in which they were changed.
package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
	"testing/synctest"

	"ecoin/core"
	"ecoin/ledger"
)

// variant is a way to set a ledger up.
type variant struct {
	name   string
	shards int
	set    func(*ledger.Options)
}

// variants returns all that are simulated. The seed chooses one. What a ledger keeps in
// logs of its own must be known to class, and the order of a wave is certain only if all
// its calls write to one log.
func variants() []variant {
	shards := func(n int) variant {
		return variant{fmt.Sprintf("shards=%d", n), n, func(o *ledger.Options) { o.Shards = n }}
	}
	indexed := func(n int) variant {
		return variant{fmt.Sprintf("index,shards=%d", n), n, func(o *ledger.Options) { o.Shards, o.IndexBytes = n, 64<<20 }}
	}
	return []variant{shards(1), shards(2), shards(16), indexed(1), indexed(4)}
}

// result is what a run was like.
type result struct {
	trace  []string // all that happened, in order
	err    error    // how the ledger broke its contract
	lives  int      // of the ledger, opened and checked
	checks int      // of coins, after the start of a life
}

type trace struct{ lines []string }

func (t *trace) add(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

// simulate runs about as many steps as given. Runs cannot be parallel: the system's
// random source is the seed's meanwhile.
func simulate(t *testing.T, seed uint64, steps int) result {
	cryptotest.SetGlobalRandom(t, seed)
	w := newWorld(seed)
	var err error
	for err == nil && steps > 0 {
		err = w.life(t, &steps)
	}
	return result{trace: w.trace.lines, err: err, lives: w.lives, checks: w.checks}
}

func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0)), clock: epoch, disk: newDisk(), trace: new(trace)}
	w.variant = pick(w, variants())
	w.shards = make([][]*coin, w.variant.shards)
	keys := [2][32]byte{w.fresh(), w.fresh()}
	w.mint = core.NewMint(&keys[0], &keys[1])
	key, err := core.GenerateKey(core.SuiteX25519)
	if err == nil {
		w.key = key.Public()
		w.ring, err = core.NewKeyring(key)
	}
	if err != nil {
		panic(err)
	}
	w.trace.add("seed %d, %s", seed, w.variant.name)
	return w
}

// life runs one process. The goroutines of one that died are left behind, in a bubble
// whose first goroutine never ends.
func (w *world) life(t *testing.T, steps *int) (err error) {
	ended := make(chan *ending)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		synctest.Test(t, func(t *testing.T) {
			p := &process{w: w, disk: w.disk, fatal: make(chan error, 1000)}
			end := func() (end *ending) {
				defer func() {
					switch v := recover().(type) {
					case nil:
					case violation:
						err, end = v.err, &ending{}
					default:
						panic(v)
					}
				}()
				return p.live(steps)
			}()
			ended <- end
			if !end.clean {
				ended <- nil // nobody receives it, and synctest does not count it as waiting
			}
		})
	}()
	end := <-ended
	if end.clean {
		<-closed
	}
	w.disk = end.disk
	return err
}
