package pgledger_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"sync"
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
//	ECOIN_BENCH_COINS=2000000 go test -bench Redeem -benchtime 1000000x -count 5 ./ledger/pgledger
func BenchmarkRedeem(b *testing.B) {
	server := pgtest.Start(b, pgtest.Options{Settings: map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "wal_buffers": "64MB",
	}})
	b.Run("impl=ecoin", func(b *testing.B) { benchLedger(b, server) })
	b.Run("impl=delete", func(b *testing.B) { benchDelete(b, server) })
}

func benchLedger(b *testing.B, server *pgtest.Server) {
	ctx := context.Background()
	l, err := pgledger.Open(ctx, server.NewDatabase(b), pgledger.Options{Mint: benchMint, Statements: benchFlight, BatchCoins: benchBatch, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
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
	var coins []ledger.Redemption
	for len(coins) < max(b.N, benchCoins(b)) {
		var salt core.Salt
		var id ledger.RequestID
		rand.Read(salt[:])
		rand.Read(id[:])
		if salt, err = l.Withdraw(ctx, c.ID, id, salt, ledger.MaxCall); err != nil {
			b.Fatal(err)
		}
		for _, fp := range benchMint(nil, &salt, ledger.MaxCall) {
			coins = append(coins, ledger.Redemption{Fingerprint: fp, Digest: core.Digest(fp)})
		}
	}
	coins = coins[:b.N] // of ever so many batches of random keys
	cpu := server.CPU()
	b.ResetTimer()
	inFlight(b, len(coins), func(from, to int) {
		out := make([]core.Status, to-from)
		if err := l.Redeem(ctx, an.ID, coins[from:to], out); err != nil {
			b.Error(err)
		}
		for _, s := range out {
			if s != core.StatusOK {
				b.Errorf("a live coin is %v", s)
			}
		}
	})
	b.StopTimer()
	report(b, server.CPU()-cpu)
	if a, err := l.Account(ctx, an.ID); err != nil || a.Redeemed != int64(b.N) {
		b.Errorf("%d coins credited, %v, want %d", a.Redeemed, err, b.N)
	}
}

func benchDelete(b *testing.B, server *pgtest.Server) {
	ctx := context.Background()
	c, err := pgxpool.ParseConfig(server.NewDatabase(b))
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
	cpu := server.CPU()
	b.ResetTimer()
	inFlight(b, b.N, func(from, to int) {
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
	b.StopTimer()
	report(b, server.CPU()-cpu)
}

// inFlight cuts n coins into batches and does them, benchFlight at once.
func inFlight(b *testing.B, n int, do func(from, to int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range benchFlight {
		workers.Go(func() {
			for from := range next {
				do(from, min(from+benchBatch, n))
			}
		})
	}
	for from := 0; from < n; from += benchBatch {
		next <- from
	}
	close(next)
	workers.Wait()
}

func report(b *testing.B, cpu time.Duration) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "coins/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "us-db-cpu/coin")
	b.ReportMetric(0, "ns/op")
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
