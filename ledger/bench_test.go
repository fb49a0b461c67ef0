package ledger

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"ecoin/core"
	"ecoin/internal/coins"
)

func benchLedger(b *testing.B) (*Ledger, AccountID) {
	o := testOptions(vfs.Default)
	o.Shards, o.CacheBytes, o.IndexBytes = 0, 0, 1<<30
	l := open(b, b.TempDir(), o)
	return l, addAccount(b, l, 1<<40)
}

// benchCoins is how many live coins BenchmarkRedeem and BenchmarkRawDelete begin with;
// ECOIN_BENCH_COINS=20000000 for figures worth quoting.
func benchCoins(b *testing.B) int64 {
	n := int64(200_000)
	if s := os.Getenv("ECOIN_BENCH_COINS"); s != "" {
		var err error
		if n, err = strconv.ParseInt(s, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

// warmCoins is how many more coins the two take first, untimed, or as many as they are to
// time if that is less. So what they time is a ledger at work, whose log has files to use
// again and whose memory was used before: memory that is touched for the first time costs a
// virtual machine up to 15 us a page, and how much of it is new hangs on what ran before.
const warmCoins = 1 << 20

// loaded makes a ledger with at least min live coins once, and copies of it for those
// who ask for it.
type loadedLedger struct {
	mu    sync.Mutex
	dir   string // removed by TestMain
	coins *coins.Set
}

var loaded loadedLedger

func (l *loadedLedger) copy(b *testing.B, min int64) (dir string, set *coins.Set) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.coins == nil || l.coins.Len() < min {
		l.remove()
		var err error
		if l.dir, err = os.MkdirTemp("", "ecoin-loaded"); err != nil {
			b.Fatal(err)
		}
		l.coins = coins.New(min)
		if _, err := CreateWith(l.dir+"/ledger", benchOptions(false), Pin{1}, l.coins.Ascending(), nil); err != nil {
			b.Fatal(err)
		}
	}
	dir = b.TempDir() + "/copy"
	source := open(b, l.dir+"/ledger", benchOptions(false))
	if err := source.Checkpoint(dir); err != nil {
		b.Fatal(err)
	}
	closeLedger(b, source)
	return dir, l.coins
}

func (l *loadedLedger) remove() {
	if l.dir != "" {
		_ = os.RemoveAll(l.dir)
	}
}

func benchOptions(index bool) Options {
	o := testOptions(vfs.Default)
	o.Shards, o.CacheBytes = 0, 1<<30
	if index {
		o.IndexBytes = 8 << 30
	}
	return o
}

// cpuTime is what the process used so far, in user and system mode.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quiet waits until a Pebble has nothing to compact.
func quiet(db *pebble.DB) {
	for calm := 0; calm < 10; time.Sleep(20 * time.Millisecond) {
		m := db.Metrics()
		if m.Compact.NumInProgress == 0 && m.Flush.NumInProgress == 0 {
			calm++
		} else {
			calm = 0
		}
	}
}

// BenchmarkRedeem redeems live coins at random, durably, for 16 analysts, on the disk
// of the temporary folder, with spent records, credits and counters. An operation is a
// coin. us-cpu/coin is the CPU time of the whole process until the last answer. As much
// of the work for the store may come later, us-cpu-all/coin has also all that is left to
// flush and a compaction of the whole store, of every live coin: more than there ever
// is to do for so few coins.
func BenchmarkRedeem(b *testing.B) {
	for _, c := range []struct{ waiters, coins int }{{1, 1}, {16, 1}, {256, 1}, {2048, 1}, {64, 64}} {
		b.Run(fmt.Sprintf("waiters=%d/coins=%d", c.waiters, c.coins), func(b *testing.B) {
			b.Run("path=index", func(b *testing.B) { benchRedeem(b, true, c.waiters, c.coins) })
			b.Run("path=plain", func(b *testing.B) { benchRedeem(b, false, c.waiters, c.coins) })
		})
	}
}

func benchRedeem(b *testing.B, index bool, waiters, size int) {
	dir, set := loaded.copy(b, max(benchCoins(b), int64(b.N))+warmCoins)
	l := open(b, dir, benchOptions(index))
	if index {
		for l.Stats().Indexed != set.Len() { // half a minute for 100 M
			time.Sleep(10 * time.Millisecond)
		}
	}
	analysts := make([]AccountID, 16)
	for i := range analysts {
		analysts[i] = addAccount(b, l, 0)
	}
	hist := make([]*hdrhistogram.Histogram, waiters)
	redeem := func(from, to int64) {
		next := atomic.Int64{}
		next.Store(from)
		var wg sync.WaitGroup
		for w := range waiters {
			hist[w] = hdrhistogram.New(1, int64(time.Minute/time.Microsecond), 3)
			wg.Go(func() {
				batch, out := make([]Redemption, size), make([]core.Status, size)
				for {
					first := next.Add(int64(size)) - int64(size)
					n := min(int64(size), to-first)
					if n <= 0 {
						return
					}
					for k := range n {
						batch[k].Fingerprint = set.Random(first + k)
					}
					start := time.Now()
					if err := l.Redeem(ctx, analysts[w%len(analysts)], batch[:n], out[:n]); err != nil {
						b.Error(err)
						return
					}
					_ = hist[w].RecordValue(time.Since(start).Microseconds())
					for _, s := range out[:n] {
						if s != core.StatusOK {
							b.Error(s)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	}
	warm := int64(min(b.N, warmCoins))
	redeem(0, warm)
	quiet(l.db)
	runtime.GC()
	before := l.Stats()
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	redeem(warm, warm+int64(b.N))
	b.StopTimer()
	perCoin := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "coins/s")
	b.ReportMetric(perCoin(cpuTime()-cpu), "us-cpu/coin")
	for _, h := range hist[1:] {
		hist[0].Merge(h)
	}
	b.ReportMetric(float64(hist[0].ValueAtQuantile(50)), "p50-us")
	b.ReportMetric(float64(hist[0].ValueAtQuantile(99)), "p99-us")
	stats := l.Stats()
	b.ReportMetric(float64(stats.Coins-before.Coins)/float64(stats.Batches-before.Batches), "coins/batch")
	if err := l.Compact(ctx, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(perCoin(cpuTime()-cpu), "us-cpu-all/coin")
}

// BenchmarkRawDelete is the limit of a bare Pebble with the same options and coins:
// batches of 1000 deletions, synced, without looking whether anything is there.
func BenchmarkRawDelete(b *testing.B) {
	const writers, size = 4, 1000
	dir, set := loaded.copy(b, max(benchCoins(b), int64(b.N))+warmCoins)
	log := &storeLog{logger: quietLog, fatal: func(err error) { panic(err) }}
	o := benchOptions(false)
	o.Now = time.Now
	cache := pebble.NewCache(o.CacheBytes)
	defer cache.Unref()
	db, err := pebble.Open(dir, pebbleOptions(o, cache, nil, log))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	remove := func(from, to int64) {
		next := atomic.Int64{}
		next.Store(from)
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				var key []byte
				for {
					first := next.Add(size) - size
					n := min(size, to-first)
					if n <= 0 {
						return
					}
					batch := db.NewBatch()
					for k := range n {
						fp := set.Random(first + k)
						key = appendLiveKey(key[:0], &fp)
						_ = batch.Delete(key, nil)
					}
					if err := errors.Join(db.Apply(batch, pebble.Sync), batch.Close()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	warm := int64(min(b.N, warmCoins))
	remove(0, warm)
	quiet(db)
	runtime.GC()
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	remove(warm, warm+int64(b.N))
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "coins/s")
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "us-cpu/coin")
	if err := errors.Join(db.Flush(), db.Compact(ctx, []byte{0}, []byte{0xff}, false)); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "us-cpu-all/coin")
}

// BenchmarkWithdraw withdraws 1000 coins a call, for 1 and for 16 accounts at once.
func BenchmarkWithdraw(b *testing.B) {
	const n = 1000
	for _, accounts := range []int{1, 16} {
		b.Run(fmt.Sprintf("accounts=%d/coins=%d", accounts, n), func(b *testing.B) {
			l, _ := benchLedger(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			ids := make([]AccountID, accounts)
			for i := range ids {
				ids[i] = addAccount(b, l, 1<<40)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, id := range ids {
				wg.Go(func() {
					for next.Add(1) <= int64(b.N) {
						if _, err := l.Withdraw(ctx, id, freshRequest(), freshSalt(), n); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "coins/s")
		})
	}
}
