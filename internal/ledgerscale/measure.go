package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"ecoin/internal/coins"
	"ecoin/ledger"
)

// result is what was measured at one size. Bytes a coin are of live coins, the other
// figures a coin of coins redeemed in the timed part.
type result struct {
	Coins      int64  `json:"coins"` // live at first
	Path       string `json:"path"`  // "index" or "plain"
	IndexLimit int64  `json:"index_limit_bytes"`

	LoadCoinsPerS float64 `json:"load_coins_per_s"`
	LoadCPUUs     float64 `json:"load_cpu_us_per_coin"`

	// After SIGKILL: seconds from the beginning of Open until it returned, until the
	// first redeem was answered, until all coins were in the index.
	Answered     int64   `json:"answered_before_kill"`
	Lost         int64   `json:"answered_and_lost"`
	OpenS        float64 `json:"reopen_s"`
	FirstRedeemS float64 `json:"first_redeem_s"`
	IndexedS     float64 `json:"indexed_s,omitempty"`
	IndexedShare float64 `json:"indexed_share,omitempty"` // of live coins

	Redeemed     int64   `json:"redeemed"`
	Seconds      float64 `json:"seconds"`
	CoinsPerS    float64 `json:"coins_per_s"`
	CPUUs        float64 `json:"cpu_us_per_coin"`         // until the last answer
	CPUDrainedUs float64 `json:"cpu_drained_us_per_coin"` // until nothing was left to compact
	P50Ms        float64 `json:"p50_ms"`                  // of a call
	P99Ms        float64 `json:"p99_ms"`
	P999Ms       float64 `json:"p999_ms"`

	// Bytes written until nothing was left to compact, over 16 bytes a redeemed coin.
	WriteAmp        float64 `json:"write_amplification"`
	WriteAmpTables  float64 `json:"write_amplification_tables"`  // tables of what was new
	WriteAmpCompact float64 `json:"write_amplification_compact"` // compaction
	WriteAmpLog     float64 `json:"write_amplification_log"`     // logs and everything else

	DiskBytesPerCoin      float64 `json:"disk_bytes_per_coin"`       // loaded and compacted: all tables
	DiskBytesPerCoinAfter float64 `json:"disk_bytes_per_coin_after"` // redeemed and compacted: tables of live coins
	SpentBytesPerCoin     float64 `json:"spent_bytes_per_coin"`      // redeemed and compacted: spent records, a spent coin
	IndexBytesPerCoin     float64 `json:"index_bytes_per_coin"`
	RSSBytes              int64   `json:"rss_bytes"` // growth of resident memory by opening the ledger

	AuditS float64 `json:"audit_s"`
}

// measurement is of one size on one path.
type measurement struct {
	o        *options
	n        int64
	index    int64 // bytes
	progress io.Writer

	set    *coins.Set
	result result
}

const analystCount = 16

func (m *measurement) say(format string, args ...any) {
	fmt.Fprintf(m.progress, "%s coins, %s path: %s\n", si(float64(m.n)), m.result.Path, fmt.Sprintf(format, args...))
}

// run does everything in a temporary folder, which it removes.
func (m *measurement) run() (err error) {
	m.set = coins.New(m.n)
	m.n = m.set.Len()
	m.result = result{Coins: m.n, Path: "plain", IndexLimit: m.index}
	if m.index > 0 {
		m.result.Path = "index"
	}
	dir, err := os.MkdirTemp(m.o.Dir, "ledgerscale-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store := filepath.Join(dir, "ledger")
	if err := m.load(store); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	analysts, err := m.prepare(store)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	answered, err := m.drill(store, analysts)
	if err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	debug.FreeOSMemory()
	before := used()
	l, next, err := m.afterKill(store, analysts, answered)
	if err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	debug.FreeOSMemory()
	m.result.RSSBytes = used().rss - before.rss
	m.say("killed after %s answered coins, none lost; first redeem after %.2f s", si(float64(m.result.Answered)), m.result.FirstRedeemS)
	if m.index > 0 {
		m.say("%.0f %% of the coins in the index after %.2f s, %.1f bytes each", 100*m.result.IndexedShare, m.result.IndexedS, m.result.IndexBytesPerCoin)
	}

	if err := m.redeem(l, dir, analysts, next); err != nil {
		return fmt.Errorf("redeem: %w", err)
	}
	return m.finish(l)
}

func (m *measurement) load(dir string) error {
	start, before := time.Now(), used()
	last := start
	_, err := ledger.CreateWith(dir, ledgerOptions(m.index, int64(m.o.CacheBytes)), ledger.Pin{1}, m.set.Ascending(), func(n int64) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			m.say("loaded %.0f %%", 100*float64(n)/float64(m.n))
		}
	})
	if err != nil {
		return err
	}
	m.result.LoadCoinsPerS = float64(m.n) / time.Since(start).Seconds()
	m.result.LoadCPUUs = perCoin(us(used().cpu-before.cpu), m.n)
	m.say("loaded, %s coins/s", si(m.result.LoadCoinsPerS))
	return nil
}

// prepare compacts what was loaded, measures it, and adds the analysts.
func (m *measurement) prepare(dir string) (analysts []ledger.AccountID, err error) {
	l, err := ledger.Open(dir, ledgerOptions(m.index, int64(m.o.CacheBytes)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for i := range analystCount {
		a, err := l.AddAccount(context.Background(), fmt.Sprintf("analyst %d", i), ledger.RoleAnalyst, ledger.Pin{2, byte(i)})
		if err != nil {
			return nil, err
		}
		analysts = append(analysts, a.ID)
	}
	t, err := m.compact(l)
	m.result.DiskBytesPerCoin = perCoin(float64(t.All), m.n)
	return analysts, err
}

func (m *measurement) compact(l *ledger.Ledger) (ledger.TableBytes, error) {
	last := time.Now()
	err := l.Compact(context.Background(), func(done, steps int) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			m.say("compacted %d of %d", done, steps)
		}
	})
	if err != nil {
		return ledger.TableBytes{}, err
	}
	return l.TableBytes()
}

// redeem is the timed part. dir is a folder for what is thrown away.
func (m *measurement) redeem(l *ledger.Ledger, dir string, analysts []ledger.AccountID, next int64) error {
	settle()
	tables, err := l.TableBytes()
	if err != nil {
		return err
	}
	r := redeemer{l: l, set: m.set, analysts: analysts, waiters: m.o.Waiters, size: m.o.Coins, next: next, end: min(m.n, next+m.n/2)}
	runtime.GC()
	done := make(chan struct{})
	var teller sync.WaitGroup
	teller.Go(func() {
		for tick := time.NewTicker(5 * time.Second); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				m.say("redeemed %s", si(float64(r.coins.Load())))
			}
		}
	})
	start, before := time.Now(), used()
	err = r.run(m.o.Time)
	after, elapsed := used(), time.Since(start)
	close(done)
	teller.Wait()
	if err != nil {
		return err
	}
	// A checkpoint gives the store what the ledger keeps in memory.
	if err := errors.Join(l.Checkpoint(filepath.Join(dir, "checkpoint")), os.RemoveAll(filepath.Join(dir, "checkpoint"))); err != nil {
		return err
	}
	settle()
	drained := used()
	now, err := l.TableBytes()
	if err != nil {
		return err
	}

	n := r.coins.Load()
	p := &m.result
	p.Redeemed, p.Seconds = n, elapsed.Seconds()
	p.CoinsPerS = float64(n) / p.Seconds
	p.CPUUs = perCoin(us(after.cpu-before.cpu), n)
	p.CPUDrainedUs = perCoin(us(drained.cpu-before.cpu), n)
	ms := func(q float64) float64 { return float64(r.latency.ValueAtQuantile(q)) / 1e3 }
	p.P50Ms, p.P99Ms, p.P999Ms = ms(50), ms(99), ms(99.9)
	amp := func(bytes float64) float64 { return perCoin(bytes, 16*n) }
	p.WriteAmp = amp(float64(drained.written - before.written))
	p.WriteAmpTables = amp(float64(now.Added - tables.Added))
	p.WriteAmpCompact = amp(float64(now.Rewrote - tables.Rewrote))
	p.WriteAmpLog = max(0, p.WriteAmp-p.WriteAmpTables-p.WriteAmpCompact)
	m.say("redeemed %s coins, %s coins/s, %.2f us of CPU a coin, %.2f with compaction", si(float64(n)), si(p.CoinsPerS), p.CPUUs, p.CPUDrainedUs)
	return nil
}

// settle waits until flushes, compactions and loaders have nothing to do.
func settle() {
	limit := time.Now().Add(15 * time.Minute)
	for w := (idleWatch{}); !w.idle(time.Second) && time.Now().Before(limit); {
		time.Sleep(20 * time.Millisecond)
	}
}

// finish compacts, measures and audits.
func (m *measurement) finish(l *ledger.Ledger) error {
	t, err := m.compact(l)
	if err != nil {
		return err
	}
	s := l.Stats()
	m.result.DiskBytesPerCoinAfter = perCoin(float64(t.Live), s.Live)
	m.result.SpentBytesPerCoin = perCoin(float64(t.Spent), s.Redeemed)
	start := time.Now()
	a, err := l.Audit(context.Background())
	switch {
	case err != nil:
		return fmt.Errorf("audit: %w", err)
	case !a.OK():
		return fmt.Errorf("the audit found problems: %s", strings.Join(a.Problems, "; "))
	case a.Live+a.Redeemed != m.n || a.Granted != m.n:
		return fmt.Errorf("the audit counts %d live, %d redeemed, %d granted of %d", a.Live, a.Redeemed, a.Granted, m.n)
	}
	m.result.AuditS = time.Since(start).Seconds()
	m.say("audit ok, %.1f s; %.1f bytes of disk a live coin", m.result.AuditS, m.result.DiskBytesPerCoinAfter)
	return nil
}

func perCoin(x float64, coins int64) float64 { return x / max(1, float64(coins)) }

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
