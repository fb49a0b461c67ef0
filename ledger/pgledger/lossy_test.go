package pgledger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/core"
	"ecoin/ledger"
	"ecoin/ledger/internal/gate"
)

// lossy is another node on a node's database, without workers, whose connections, one at
// a time, a test breaks.
type lossy struct {
	*Ledger
	lose func(request []byte) (answer bool) // whether the answer to a request is lost
	then func()                             // is called when an answer was lost
	keep atomic.Bool                        // a connection that broke stays in the pool's only place
	away atomic.Bool                        // no connection can be made
}

func newLossy(n *node) *lossy {
	n.t.Helper()
	l := &lossy{Ledger: &Ledger{o: n.o, gate: gate.New(ledger.ErrClosed)}, lose: func([]byte) bool { return false }, then: nothing}
	end := make(chan struct{})
	config := n.cold.Config()
	config.MaxConns = 1
	config.BeforeClose = func(*pgx.Conn) {
		if l.keep.Load() {
			<-end
		}
	}
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if l.away.Load() {
			return nil, errors.New("the database is away")
		}
		c, err := dial(ctx, network, address)
		return &lossyConn{Conn: c, l: l}, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		close(end)
		pool.Close()
	})
	l.hot, l.lookups, l.cold = pool, pool, pool
	l.spent = windows{l: l.Ledger, kind: kindSpent, width: n.spent.width}
	l.withdrawn = windows{l: l.Ledger, kind: kindWithdrawal, width: n.withdrawn.width}
	for _, w := range []*windows{&l.spent, &l.withdrawn} {
		if w.newest(context.Background()) == 0 { // begins the first one of a new database
			n.t.Fatal("no window of records")
		}
	}
	return l
}

const commit = "commit\x00"

// loseFirst loses the answer to the first request that has a text, and calls then; it calls
// second before the second one. It returns how many there were.
func (l *lossy) loseFirst(text string, then, second func()) *int {
	requests := 0
	l.then = then
	l.lose = func(request []byte) bool {
		if !bytes.Contains(request, []byte(text)) {
			return false
		}
		if requests++; requests == 2 {
			second()
		}
		return requests == 1
	}
	return &requests
}

func nothing() {}

// leave takes the database away once it has answered.
func (l *lossy) leave() {
	l.away.Store(true)
	l.cold.Reset()
}

// redeem decides a redeem without a worker.
func (l *lossy) redeem(acc ledger.AccountID, coin ledger.Redemption) (core.Status, error) {
	c := &call{op: opRedeem, account: acc, coins: []ledger.Redemption{coin}, status: make([]core.Status, 1)}
	b := batch{l: l.Ledger, states: make(map[core.Fingerprint]state)}
	err := b.decide([]*call{c})
	return c.status[0], err
}

// lossyConn breaks once the database has sent the answer that is to be lost.
type lossyConn struct {
	net.Conn
	l            *lossy
	lost, broken atomic.Bool
}

func (c *lossyConn) Write(b []byte) (int, error) {
	if !c.broken.Load() && c.l.lose(b) {
		c.lost.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.lost.Load() {
		return n, err
	}
	if c.broken.CompareAndSwap(false, true) {
		c.l.then()
	}
	c.Conn.Close()
	return 0, io.ErrUnexpectedEOF
}

// isNothing reports whether an error says that nothing happened.
func isNothing(err error) bool {
	for _, target := range []error{
		ledger.ErrOverload, ledger.ErrUnavailable, ledger.ErrLowDisk, ledger.ErrClosed,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// live returns how many coins are live.
func (n *node) live() (coins int) {
	n.t.Helper()
	c, err := pgx.Connect(context.Background(), n.dsn)
	if err != nil {
		n.t.Fatal(err)
	}
	defer c.Close(context.Background())
	if err := c.QueryRow(context.Background(), `SELECT count(*) FROM coin`).Scan(&coins); err != nil {
		n.t.Fatal(err)
	}
	return coins
}
