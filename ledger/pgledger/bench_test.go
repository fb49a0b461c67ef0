package pgledger_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/core"
	"ecoin/internal/pgtest"
	"ecoin/ledger"
	"ecoin/ledger/pgledger"
)

// benchFlight and benchBatch are the statements at once and the coins of each.
const (
	benchFlight = 16
	benchBatch  = 256
)

// benchCoins is how many coins are live when a benchmark begins: ECOIN_BENCH_COINS, or
// what it redeems.
func benchCoins(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("ECOIN_BENCH_COINS"))
	if err != nil {
		return 0
	}
	return n
}

// BenchmarkRedeem redeems b.N coins of those that are live, 256 a call, 16 calls at once,
// on a durable PostgreSQL: through the ledger, spent records and credits included, and by
// the bare statement that a client of the database could not do without.
//
//	ECOIN_BENCH_COINS=2000000 go test -bench 'Redeem$' -benchtime 500000x ./ledger/pgledger
func BenchmarkRedeem(b *testing.B) {
	server := benchServer(b)
	b.Run("impl=ecoin", func(b *testing.B) { benchRedeem(b, server, false) })
	b.Run("impl=delete", func(b *testing.B) { benchDelete(b, server) })
}

// BenchmarkRedeemAfterCheckpoint redeems through the ledger, right after a checkpoint: the
// first change of each page of the tables is then logged as the whole page.
func BenchmarkRedeemAfterCheckpoint(b *testing.B) { benchRedeem(b, benchServer(b), true) }

// BenchmarkWithdraw issues b.N coins, 1000 a call, 16 calls at once, to a ledger that has
// ECOIN_BENCH_COINS live ones. The making of the coins is left out.
func BenchmarkWithdraw(b *testing.B) {
	server := benchServer(b)
	l := openBench(b, server)
	l.withdraw(b, benchCoins(b))
	m := l.measure(b)
	l.withdraw(b, b.N)
	m.report(b)
}

// benchServer starts a PostgreSQL that makes no checkpoint by itself in the time.
func benchServer(b *testing.B) *pgtest.Server {
	return pgtest.Start(b, pgtest.Options{Settings: map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "32GB", "checkpoint_timeout": "1h", "wal_buffers": "64MB",
	}})
}

// benchLedger is a ledger in a database of its own, with a collector and an analyst.
type benchLedger struct {
	*pgledger.Ledger
	dsn                string
	server             *pgtest.Server
	collector, analyst ledger.AccountID
}

func openBench(b *testing.B, server *pgtest.Server) *benchLedger {
	ctx := context.Background()
	dsn := server.NewDatabase(b)
	l, err := pgledger.Open(ctx, dsn, pgledger.Options{Mint: benchMint, Statements: benchFlight, BatchCoins: benchBatch, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	c, err := l.AddAccount(ctx, "collector", ledger.RoleCollector, ledger.Pin{1})
	if err != nil {
		b.Fatal(err)
	}
	an, err := l.AddAccount(ctx, "analyst", ledger.RoleAnalyst, ledger.Pin{2})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := l.Grant(ctx, c.ID, ledger.MaxGrant); err != nil {
		b.Fatal(err)
	}
	return &benchLedger{l, dsn, server, c.ID, an.ID}
}

// withdraw issues n coins, rounded up to whole calls, and returns the salts of the calls.
func (l *benchLedger) withdraw(b *testing.B, n int) []core.Salt {
	salts := make([]core.Salt, (n+ledger.MaxCall-1)/ledger.MaxCall)
	inFlight(len(salts), 1, func(i, _ int) {
		var id ledger.RequestID
		rand.Read(salts[i][:])
		rand.Read(id[:])
		var err error
		if salts[i], err = l.Withdraw(context.Background(), l.collector, id, salts[i], ledger.MaxCall); err != nil {
			b.Error(err)
		}
	})
	return salts
}

func benchRedeem(b *testing.B, server *pgtest.Server, checkpoint bool) {
	ctx := context.Background()
	l := openBench(b, server)
	salts := l.withdraw(b, max(b.N, benchCoins(b)))
	var coins []ledger.Redemption
	for i := range salts {
		for _, fp := range benchMint(nil, &salts[i], ledger.MaxCall) {
			coins = append(coins, ledger.Redemption{Fingerprint: fp, Digest: core.Digest(fp)})
		}
	}
	shuffle(coins)
	if checkpoint {
		server.Checkpoint(b)
	}
	m := l.measure(b)
	inFlight(b.N, benchBatch, func(from, to int) {
		out := make([]core.Status, to-from)
		if err := l.Redeem(ctx, l.analyst, coins[from:to], out); err != nil {
			b.Error(err)
		}
		for _, s := range out {
			if s != core.StatusOK {
				b.Errorf("a live coin is %v", s)
			}
		}
	})
	m.report(b)
	if a, err := l.Account(ctx, l.analyst); err != nil || a.Redeemed != int64(b.N) {
		b.Errorf("%d coins credited, %v, want %d", a.Redeemed, err, b.N)
	}
}

// meter is what a benchmark has used of the machine, since it began to count.
type meter struct {
	server *pgtest.Server
	dsn    string
	began  use
}

type use struct {
	database, own time.Duration // processor time
	log, disk     int64         // bytes
}

func measure(b *testing.B, server *pgtest.Server, dsn string) *meter {
	m := &meter{server: server, dsn: dsn}
	m.began = m.read(b)
	b.ResetTimer()
	return m
}

func (l *benchLedger) measure(b *testing.B) *meter { return measure(b, l.server, l.dsn) }

func (m *meter) read(b *testing.B) use {
	u := use{database: m.server.CPU()}
	ctx := context.Background()
	c, err := pgx.Connect(ctx, m.dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.QueryRow(ctx, "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint, pg_database_size(current_database())").Scan(&u.log, &u.disk); err != nil {
		b.Fatal(err)
	}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	u.own = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return u
}

// report stops the clock and tells of b.N coins.
func (m *meter) report(b *testing.B) {
	b.StopTimer()
	now, n := m.read(b), float64(b.N)
	us := func(d time.Duration) float64 { return float64(d.Microseconds()) / n }
	b.ReportMetric(n/b.Elapsed().Seconds(), "coins/s")
	b.ReportMetric(us(now.database-m.began.database), "us-db-cpu/coin")
	b.ReportMetric(us(now.own-m.began.own), "us-cpu/coin")
	b.ReportMetric(float64(now.log-m.began.log)/n, "B-log/coin")
	b.ReportMetric(float64(now.disk-m.began.disk)/n, "B-disk/coin")
	b.ReportMetric(0, "ns/op")
}

func benchDelete(b *testing.B, server *pgtest.Server) {
	ctx := context.Background()
	dsn := server.NewDatabase(b)
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		b.Fatal(err)
	}
	c.MaxConns = benchFlight
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `CREATE TABLE coin (fp uuid PRIMARY KEY)`); err != nil {
		b.Fatal(err)
	}
	fps := make([][16]byte, max(b.N, benchCoins(b)))
	for i := range fps {
		rand.Read(fps[i][:])
	}
	for from := 0; from < len(fps); from += ledger.MaxCall {
		part := fps[from:min(from+ledger.MaxCall, len(fps))]
		rows := pgx.CopyFromSlice(len(part), func(i int) ([]any, error) { return []any{part[i]}, nil })
		if _, err := pool.CopyFrom(ctx, pgx.Identifier{"coin"}, []string{"fp"}, rows); err != nil {
			b.Fatal(err)
		}
	}
	shuffle(fps)
	m := measure(b, server, dsn)
	inFlight(b.N, benchBatch, func(from, to int) {
		err := pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			sd, err := c.Conn().Prepare(ctx, "redeem", `DELETE FROM coin WHERE fp = ANY ($1::uuid[]) RETURNING fp`)
			if err != nil {
				return err
			}
			params := binary.BigEndian.AppendUint32(nil, 1)
			for _, v := range []uint32{0, 2950, uint32(to - from), 1} {
				params = binary.BigEndian.AppendUint32(params, v)
			}
			for _, fp := range fps[from:to] {
				params = append(binary.BigEndian.AppendUint32(params, 16), fp[:]...)
			}
			r := c.Conn().PgConn().ExecPrepared(ctx, sd.Name, [][]byte{params}, []int16{1}, []int16{1})
			n := 0
			for r.NextRow() {
				n++
			}
			if _, err := r.Close(); err != nil || n != to-from {
				return fmt.Errorf("%d of %d deleted: %w", n, to-from, err)
			}
			return nil
		})
		if err != nil {
			b.Error(err)
		}
	})
	m.report(b)
}

// shuffle brings coins into an order that has nothing to do with where their rows are.
func shuffle[T any](s []T) {
	mathrand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

// inFlight cuts n into batches of a size and does them, benchFlight at once.
func inFlight(n, size int, do func(from, to int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range benchFlight {
		workers.Go(func() {
			for from := range next {
				do(from, min(from+size, n))
			}
		})
	}
	for from := 0; from < n; from += size {
		next <- from
	}
	close(next)
	workers.Wait()
}

// benchMint makes random-looking fingerprints cheaply.
func benchMint(dst []core.Fingerprint, salt *core.Salt, n int) []core.Fingerprint {
	a, c := binary.BigEndian.Uint64(salt[:]), binary.BigEndian.Uint64(salt[8:])
	for i := range n {
		var fp core.Fingerprint
		binary.BigEndian.PutUint64(fp[:], mix(a+uint64(i)))
		binary.BigEndian.PutUint64(fp[8:], mix(c^uint64(i)))
		dst = append(dst, fp)
	}
	return dst
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
