package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"ecoin/bench/daemon"
	"ecoin/bench/harness"
	"ecoin/bench/proc"
	"ecoin/bench/store"
	"ecoin/internal/coins"
	"ecoin/internal/subprocess"
)

const (
	ledgerConns = 64
	ledgerMany  = 64 // coins a call
	ledgerAlone = "ecoin, ledger alone"
	ledgerBank  = "ecoin, whole bank"
)

// ledger asks what it costs to redeem coins durably, through a server.
func (b *bench) ledger(ctx context.Context) ([]*harness.Question, error) {
	if err := b.fleet(ctx); err != nil {
		return nil, err
	}
	q := &harness.Question{
		Name: "ledger", Title: "Ledger", Headline: "many_cpu",
		Text: fmt.Sprintf("The same %s live coins, redeemed at random by %d connections over loopback, each with its next call as soon as the last is answered: the live coin goes if it is there, a spent record (account, digest, time) is written, the account is credited, "+
			"all of it is on disk before the answer. *Many* is %d coins a call, *one* a single coin. CPU time is that of the server's processes until they are idle again, so flushes and compactions that follow are in it. Bytes are those of live coins after loading, with their index, without logs.",
			harness.Number(float64(b.sizes.coins)), ledgerConns, ledgerMany),
		Limits: "larger ledgers (`make bench-scale`), long runs with all compaction that comes later, spent records that end: Redis and Badger forget them by themselves, ours drops windows of them, for the others another program would have to. Clients share the processors with the server.",
		Columns: []harness.Column{
			{Key: "many", Head: "coins/s, many a call", MoreIsBetter: true}, {Key: "many_cpu", Head: "CPU us/coin, many a call"},
			{Key: "one", Head: "coins/s, one a call", MoreIsBetter: true}, {Key: "one_cpu", Head: "CPU us/coin, one a call"},
			{Key: "bytes", Head: "disk bytes/coin"}, {Key: "memory", Head: "memory, MB"},
		},
	}
	served := "a library behind the same minimal server: length-prefixed requests over TCP; all calls that wait are committed together, up to 4096 coins"
	for _, c := range []struct{ name, engine, note string }{
		{ledgerAlone, "ecoin", "package ledger behind the same minimal server as the other libraries, with its index; it groups commits by itself. Loaded as sorted tables (ledger.CreateWith)"},
		{"BadgerDB", "badger", "v4, " + served + ". SyncWrites; a redeem overwrites the coin's empty value with a record that expires. Loaded with its StreamWriter"},
		{"bbolt", "bbolt", "v1.5, " + served + " and in order of keys. Loaded in order into full pages"},
		{"SQLite", "sqlite", "modernc.org/sqlite (SQLite in Go, no C compiler needed), " + served + " and in order of keys; WAL, synchronous=FULL, tables without row ids. Loaded in order, 500 rows a statement"},
	} {
		contender := harness.Contender{Name: c.name, Note: c.note, Measure: func(ctx context.Context) (harness.Figures, error) { return b.measureEngine(ctx, c.engine) }}
		if c.name != ledgerAlone {
			contender.Against = []string{ledgerAlone}
		}
		q.Contenders = append(q.Contenders, contender)
	}
	many, one := &entrant{start: b.startEcoin, rate: bankRate, stretch: 1}, &entrant{start: b.startEcoin, rate: bankRateOne, stretch: 1}
	q.Contenders = append(q.Contenders, harness.Contender{
		Name: ledgerBank, Note: "`ecoin bank` through its API: mutual TLS, HTTP, sealed headers opened, 100 a post for *many*, 1 for *one*; so it does all of a bank's work where the others do a ledger's",
		Measure: func(ctx context.Context) (harness.Figures, error) {
			f, err := b.measureBank(ctx, many, manyAPost, false)
			if err != nil {
				return nil, err
			}
			g, err := b.measureBank(ctx, one, oneAPost, false)
			if err != nil {
				return nil, err
			}
			return harness.Figures{"many": f["rate"], "many_cpu": f["cpu"], "one": g["rate"], "one_cpu": g["cpu"], "memory": f["memory"]}, nil
		},
	})
	for _, c := range []struct {
		name, note string
		find       func() (string, error)
		measure    func(context.Context) (harness.Figures, error)
	}{
		{"Redis", "its own server and protocol, appendfsync always, no rewrite of the log; a Lua script a call (so that test, record and credit are one), in which one SET turns the coin's empty value into a record that expires. Loaded with pipelined MSETs, then the log written anew", daemon.FindRedis, b.measureRedis},
		{"PostgreSQL", "its own server and protocol, through pgx, prepared, one statement and transaction a call: DELETE from a table of uuids, INSERT of the spent record, UPDATE of a credit row that each connection has for itself, so that nobody waits for its lock. 1 GB of shared buffers, no checkpoint during the run. Loaded with COPY, then the primary key", daemon.FindPostgres, b.measurePostgres},
	} {
		if _, err := c.find(); errors.Is(err, daemon.ErrMissing) {
			q.Skipped = append(q.Skipped, err.Error())
			continue
		}
		q.Contenders = append(q.Contenders, harness.Contender{Name: c.name, Note: c.note, Against: []string{ledgerAlone, ledgerBank}, Measure: c.measure})
	}
	return []*harness.Question{q}, nil
}

// loads puts both loads on a ledger and returns their figures.
func (b *bench) loads(ctx context.Context, pid int, set *coins.Set, dial func(context.Context, int) (store.Client, error)) (harness.Figures, error) {
	f := harness.Figures{}
	var next atomic.Int64
	for _, l := range []struct {
		key   string
		size  int
		limit int64
	}{{"many", ledgerMany, set.Len() * 3 / 4}, {"one", 1, set.Len()}} {
		var before time.Duration
		load := &store.Load{Dial: dial, Conns: ledgerConns, Size: l.size, Set: set, Next: &next, Limit: l.limit, Time: b.sizes.load, Ready: func() (err error) {
			before, err = calm(ctx, pid)
			return err
		}}
		n, took, err := load.Run(ctx)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, errors.New("no coin was redeemed")
		}
		after, err := calm(ctx, pid)
		if err != nil {
			return nil, err
		}
		f[l.key], f[l.key+"_cpu"] = float64(n)/took.Seconds(), float64((after-before).Microseconds())/float64(n)
	}
	memory, err := proc.Memory(pid)
	f["memory"] = float64(memory) / 1e6
	return f, err
}

// calm waits until a process uses hardly any CPU time, five seconds at most, and returns how
// much it has used.
func calm(ctx context.Context, pid int) (time.Duration, error) {
	const look = 50 * time.Millisecond
	last, err := proc.CPU(pid)
	for quiet, end := 0, time.Now().Add(5*time.Second); err == nil && quiet < 2 && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(look):
		}
		var now time.Duration
		if now, err = proc.CPU(pid); now-last < look/5 {
			quiet++
		} else {
			quiet = 0
		}
		last = now
	}
	return last, err
}

// folder makes a folder for one server, and returns what removes it.
func (b *bench) folder(name string) (string, func()) {
	dir := filepath.Join(b.dir, name)
	return dir, func() { _ = os.RemoveAll(dir) }
}

func (b *bench) measureEngine(ctx context.Context, engine string) (f harness.Figures, err error) {
	dir, remove := b.folder("ledger-" + engine)
	defer remove()
	p, err := subprocess.Start(engine, nil, b.self, "store-server", engine, dir, fmt.Sprint(b.sizes.coins))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Stop(time.Minute)) }()
	attrs, err := p.WaitFor(ctx, "listening")
	if err != nil {
		return nil, err
	}
	address, _ := attrs["address"].(string)
	bytes, _ := attrs["live_bytes"].(float64)
	set := coins.New(b.sizes.coins)
	f, err = b.loads(ctx, p.PID, set, func(ctx context.Context, _ int) (store.Client, error) { return store.Dial(ctx, address) })
	if err != nil {
		return nil, err
	}
	f["bytes"] = bytes / float64(set.Len())
	return f, nil
}

func (b *bench) measureRedis(ctx context.Context) (f harness.Figures, err error) {
	dir, remove := b.folder("redis")
	defer remove()
	s, err := daemon.Redis(ctx, dir, "no")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c, err := store.DialRedis(ctx, s.Address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	set := coins.New(b.sizes.coins)
	if err := c.Load(set.Ascending()); err != nil {
		return nil, err
	}
	bytes, err := sizeOf(filepath.Join(dir, "appendonlydir"))
	if err != nil {
		return nil, err
	}
	f, err = b.loads(ctx, s.PID, set, func(ctx context.Context, _ int) (store.Client, error) { return store.DialRedis(ctx, s.Address) })
	if err != nil {
		return nil, err
	}
	f["bytes"] = float64(bytes) / float64(set.Len())
	return f, nil
}

func (b *bench) measurePostgres(ctx context.Context) (f harness.Figures, err error) {
	dir, remove := b.folder("postgres")
	defer remove()
	s, err := daemon.Postgres(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c, err := store.DialPostgres(ctx, s.Address, 0)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	set := coins.New(b.sizes.coins)
	if err := c.Load(set.Ascending()); err != nil {
		return nil, err
	}
	bytes, err := c.LiveBytes()
	if err != nil {
		return nil, err
	}
	f, err = b.loads(ctx, s.PID, set, func(ctx context.Context, i int) (store.Client, error) { return store.DialPostgres(ctx, s.Address, i) })
	if err != nil {
		return nil, err
	}
	f["bytes"] = float64(bytes) / float64(set.Len())
	return f, nil
}

// sizeOf returns the bytes of all files below dir.
func sizeOf(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
