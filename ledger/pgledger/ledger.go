// Package pgledger is the ledger on a database that speaks PostgreSQL's protocol, for
// fleets that outgrow one machine: any number of bank nodes share one database, and keep
// no state of their own. It means what package ledger means, method by method, and passes
// the same tests; the database places, replicates, fails over and backs up.
//
// A nil error from any method means that what it reports is committed, and as durable as
// the database makes a commit: with synchronous standbys, on a quorum of them. Statements
// whose answer was lost are repeated, and know their own earlier work.
//
// The tables are in migrations, the statements in statements.go, the life of a coin in
// ledger/internal/life, the reasons in ARCHITECTURE.md. Start with [Open] and
// [Ledger.Redeem].
package pgledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/core"
	"ecoin/ledger"
	"ecoin/ledger/internal/gate"
	"ecoin/ledger/internal/keylock"
	"ecoin/ledger/internal/outcomes"
)

// Ledger is one node's ledger on a shared database. All methods are safe for concurrent use.
type Ledger struct {
	o         Options
	hot       *pgxpool.Pool // redeems, returns, refunds: a connection for each worker
	lookups   *pgxpool.Pool // whose a key is, and the like: what every client waits for, and nothing that can be slow
	cold      *pgxpool.Pool // everything else
	breaker   breaker
	gate      *gate.Gate
	queue     *queue
	workers   sync.WaitGroup
	counter   int16 // the first of this node's counters, one a worker
	spent     windows
	withdrawn windows
	debited   keylock.Locks[ledger.AccountID]        // accounts with a withdrawal under way
	known     [1024]atomic.Pointer[ledger.AccountID] // accounts that were looked for lately
	events    events
	totals    totals
	closing   context.Context    // ends when Close begins
	stop      context.CancelFunc // ends closing
	closeOnce sync.Once
}

// counters is how many counters there are for an account's credits, and for all accounts
// together: what all workers of 64 nodes with the usual number of statements need to have
// one each.
const counters = 1024

// Open opens the ledger in the database that dsn names: a URL or keyword string of
// libpq's, with several hosts where there are standbys and target_session_attrs=read-write.
// It makes or updates the tables. It refuses a database that a newer version has updated,
// and one that answers before its disk has the data, unless Options.NoSync allows it.
func Open(ctx context.Context, dsn string, o Options) (*Ledger, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	l := &Ledger{o: o, gate: gate.New(ledger.ErrClosed), queue: newQueue(o), closing: background, stop: stop}
	l.spent = windows{l: l, kind: kindSpent, width: o.SpentWindow.Milliseconds()}
	l.withdrawn = windows{l: l, kind: kindWithdrawal, width: o.WithdrawalWindow.Milliseconds()}
	for _, p := range []struct {
		pool  **pgxpool.Pool
		conns int
	}{{&l.hot, o.Statements}, {&l.lookups, lookupConns}, {&l.cold, o.Conns}} {
		if *p.pool, err = newPool(background, dsn, p.conns, o.Timeout); err != nil {
			l.disconnect()
			return nil, err
		}
	}
	if err := l.begin(ctx); err != nil {
		l.disconnect()
		return nil, err
	}
	for i := range o.Statements {
		l.workers.Go(func() { l.work((l.counter + int16(i)) % counters) })
	}
	l.workers.Go(func() { l.watchTotals(background) })
	return l, nil
}

// disconnect ends the work in the background and closes the connections.
func (l *Ledger) disconnect() {
	l.stop()
	for _, p := range l.pools() {
		if p != nil {
			p.Close()
		}
	}
}

func (l *Ledger) pools() []*pgxpool.Pool { return []*pgxpool.Pool{l.hot, l.lookups, l.cold} }

// begin looks at the database, makes its tables, and takes counters.
func (l *Ledger) begin(ctx context.Context) error {
	if err := l.reach(ctx); err != nil {
		return err
	}
	if err := l.ask(ctx, "look at the database", l.checkDurable); err != nil {
		return err
	}
	tables := l.migrate
	if l.o.Existing {
		tables = existing
	}
	if err := l.do(ctx, l.cold, "make the tables", tables); err != nil {
		return cmp.Or(unusable(err), err)
	}
	own := mintMark(l.o)
	var nodes int64
	var mark [16]byte
	err := l.do(ctx, l.cold, "count the node", func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `UPDATE ledger SET nodes = nodes + 1, mint = COALESCE(mint, $1) WHERE one = 1 RETURNING nodes, mint`, own).Scan(&nodes, &mark)
	})
	if err != nil {
		return err
	}
	if mark != own {
		return errMint
	}
	l.counter = int16((nodes * int64(l.o.Statements)) % counters)
	for _, load := range []func(context.Context) error{l.spent.load, l.withdrawn.load} {
		if err := load(ctx); err != nil {
			return err
		}
	}
	return l.readTotals(ctx)
}

// errMint reports a node that would not find a single coin of the others.
var errMint = errors.New("pgledger: the database is of a bank with other keys: all nodes must have the same key folder; copy it from another node or from the backup, or name another database")

// mintMark is what tells one mint from another: the fingerprint of the first coin of the
// salt of zeros, which no withdrawal has.
func mintMark(o Options) [16]byte { return o.Mint(nil, new(core.Salt), 1)[0] }

// Probe looks at a database without changing it, and returns what it is in a few words,
// or why Open would refuse it.
func Probe(ctx context.Context, dsn string, o Options) (string, error) {
	o, err := o.withDefaults()
	if err != nil {
		return "", err
	}
	l := &Ledger{o: o, gate: gate.New(ledger.ErrClosed)}
	if l.cold, err = newPool(ctx, dsn, 1, o.Timeout); err != nil {
		return "", err
	}
	defer l.cold.Close()
	l.hot, l.lookups = l.cold, l.cold
	if err := l.reach(ctx); err != nil {
		return "", err
	}
	var server string
	version, nodes := 0, int64(0)
	err = l.ask(ctx, "look at the database", func(ctx context.Context, c *pgx.Conn) error {
		if err := l.checkDurable(ctx, c); err != nil {
			return err
		}
		if err := c.QueryRow(ctx, `SELECT version()`).Scan(&server); err != nil {
			return err
		}
		var err error
		if version, err = tablesVersion(ctx, c); sqlState(err) == undefinedTable {
			return nil
		} else if err != nil {
			return err
		}
		mark, own := [16]byte{}, mintMark(o)
		if err := c.QueryRow(ctx, `SELECT nodes, COALESCE(mint, $1) FROM ledger WHERE one = 1`, own).Scan(&nodes, &mark); err != nil {
			return err
		}
		if mark != own {
			return outcome{errMint}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	server, _, _ = strings.Cut(server, " (")
	if version == 0 {
		return server + ", without tables yet: the first start makes them", nil
	}
	return fmt.Sprintf("%s, tables of version %d, opened %d times", server, version, nodes), nil
}

// checkDurable refuses a database that may forget what it answered.
func (l *Ledger) checkDurable(ctx context.Context, c *pgx.Conn) error {
	values := map[string]string{}
	for _, s := range []string{"fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names"} {
		var value *string
		err := c.QueryRow(ctx, "SELECT current_setting($1, true)", s).Scan(&value)
		if err != nil && !isServerError(err) {
			return err
		}
		if err == nil && value != nil { // other engines do not have all of these
			values[s] = *value
		}
	}
	bad := ""
	for _, s := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if values[s] == "off" {
			bad = s + " = off"
		}
	}
	if values["synchronous_commit"] == "local" && values["synchronous_standby_names"] != "" {
		bad = "synchronous_commit = local, and standbys that could take over"
	}
	if bad == "" {
		return nil
	}
	if !l.o.NoSync {
		return outcome{fmt.Errorf("pgledger: the database has %s: a crash could revive coins that were redeemed; set it to on", bad)}
	}
	l.o.Logger.Warn("pgledger: the database may forget what it answered, which a crash would show", "setting", bad)
	return nil
}

// Close lets every accepted call finish, refuses later ones and withdrawals that wait for
// others of their account with ledger.ErrClosed, and closes the connections. A second Close
// returns ledger.ErrClosed.
func (l *Ledger) Close() error {
	err := ledger.ErrClosed
	l.closeOnce.Do(func() {
		l.stop() // audits are broken off
		l.gate.Close()
		l.queue.close()
		l.workers.Wait()
		l.disconnect()
		err = nil
	})
	return err
}

// Checkpoint is what a ledger on a disk has: a database is backed up with its own tools.
func (l *Ledger) Checkpoint(string) error {
	return errors.New("pgledger: this ledger is in a database: back it up with the database's own tools (docs/OPERATIONS.md)")
}

// enter registers a call, unless the ledger is closed or ctx has ended. The caller
// calls leave when it is through.
func (l *Ledger) enter(ctx context.Context) (leave func(), err error) { return l.gate.EnterWith(ctx) }

// events counts what happened since Open.
type events struct {
	outcomes           outcomes.Counts
	overloads, lowDisk atomic.Int64

	again, unavailable atomic.Int64 // tries repeated; calls refused because the database was away
	batches, coins     atomic.Int64
}

// totals are the counts of all nodes, read now and then.
type totals struct {
	mu                                   sync.Mutex
	issued, redeemed, returned, refunded int64
	live                                 int64
}

const totalsEvery = time.Second

func (l *Ledger) watchTotals(ctx context.Context) {
	tick := time.NewTicker(totalsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := l.readTotals(ctx); err != nil && ctx.Err() == nil {
			l.o.Logger.Warn("pgledger: the totals cannot be read", "err", err)
		}
	}
}

func (l *Ledger) readTotals(ctx context.Context) error {
	var issued, redeemed, returned, refundedLive, refundedReturned int64
	err := l.ask(ctx, "read the totals", func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, totalsSQL).Scan(&issued, &redeemed, &returned, &refundedLive, &refundedReturned)
	})
	if err != nil {
		return err
	}
	l.totals.mu.Lock()
	defer l.totals.mu.Unlock()
	l.totals.issued, l.totals.redeemed, l.totals.returned = issued, redeemed, returned
	l.totals.refunded, l.totals.live = refundedLive+refundedReturned, issued-redeemed-refundedLive
	return nil
}

// Stats returns the counters: those of coins are of all nodes, as they were within the
// last second; events are this node's since Open. What only a store on a disk has is zero.
func (l *Ledger) Stats() ledger.Stats {
	l.totals.mu.Lock()
	defer l.totals.mu.Unlock()
	return ledger.Stats{
		Live: l.totals.live, Issued: l.totals.issued, Redeemed: l.totals.redeemed,
		Returned: l.totals.returned, Refunded: l.totals.refunded,
		Retries: l.events.outcomes.Retries.Load(), DoubleSpends: l.events.outcomes.DoubleSpends.Load(),
		NotLive: l.events.outcomes.NotLive.Load(), Temporary: l.events.outcomes.Temporary.Load(),
		Overloads: l.events.overloads.Load(), LowDisk: l.events.lowDisk.Load(),
		Batches: l.events.batches.Load(), Coins: l.events.coins.Load(), Queued: l.queue.waiting(),
	}
}
