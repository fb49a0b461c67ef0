package pgledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connectTimeout = 2 * time.Second  // to one host, unless the DSN says otherwise
	connLifetime   = 30 * time.Minute // then anew, so that nodes spread over hosts that came back
	healthEvery    = 10 * time.Second

	// How long a host may be silent, on a connection where it must say at least that it is
	// there. A statement may take longer: the host is there.
	silence = 3 * time.Second
)

// newPool returns a pool for dsn, a URL or keyword string of libpq's, that connects when
// it is first used.
func newPool(ctx context.Context, dsn string, conns int, timeout time.Duration) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("pgledger: the DSN is not usable: %w", hidePassword(err))
	}
	c.MaxConns = int32(conns)
	c.MaxConnLifetime, c.MaxConnLifetimeJitter = connLifetime, connLifetime/4
	c.HealthCheckPeriod = healthEvery
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connectTimeout
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "ecoin"
	}
	c.ConnConfig.DialFunc = dial(&net.Dialer{
		Timeout:         c.ConnConfig.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 3, Interval: silence / 3, Count: 2},
		Control:         endSilence(silence),
	})
	c.ConnConfig.ValidateConnect = commits(c.ConnConfig.ValidateConnect)
	c.ConnConfig.OnNotice = noteWarning
	h := newHosts(c.ConnConfig)
	c.BeforeConnect = h.prefer
	c.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		h.worked(c.PgConn())
		return setUp(ctx, c, timeout)
	}
	p, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("pgledger: the DSN is not usable: %w", hidePassword(err))
	}
	return p, nil
}

// noCancel is the network of the address by which pgx would cancel a statement.
const noCancel = "tcp, but never to cancel"

// dial returns a dialer whose connections cannot be cancelled through a second one, as
// pgx does when a statement times out. A backend that is told to cancel while it waits
// for its standbys stops waiting, and shows others a commit that no standby may have:
// they would answer for what a fail-over undoes. Without it the backend waits on, and
// nobody sees the commit. (PostgreSQL, "synchronous_commit"; syncrep.c.)
func dial(d *net.Dialer) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if network == noCancel {
			return nil, errors.New("pgledger: statements are not cancelled")
		}
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return uncancelable{c}, nil
	}
}

type uncancelable struct{ net.Conn }

func (c uncancelable) RemoteAddr() net.Addr { return uncancelableAddr{c.Conn.RemoteAddr()} }

type uncancelableAddr struct{ net.Addr }

func (uncancelableAddr) Network() string { return noCancel }

// warned is where a connection's custom data say that the server warned.
const warned = "warned"

// noteWarning notes a warning. The one that matters is that a commit's wait for standbys
// was cancelled by an administrator: the statement succeeds, and no standby may have it.
func noteWarning(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Code == "01000" {
		c.CustomData()[warned] = n.Message
	}
}

// forgetWarning is for the beginning of work: there are warnings that are not about a commit,
// such as that of a new connection to a database whose collations are of an older system.
func forgetWarning(c *pgconn.PgConn) { delete(c.CustomData(), warned) }

// checkWarning returns an error that leaves the outcome in doubt after a warning.
func checkWarning(c *pgconn.PgConn) error {
	if message, ok := c.CustomData()[warned]; ok {
		return doubtful{fmt.Errorf("the database warned: %v", message)}
	}
	return nil
}

// commits returns a check that a server is what the DSN asks for, and that it can commit,
// within the time for connecting. A primary that is cut off from its standbys, or comes
// back after another one took over, still calls itself one; its state is not the ledger's
// any more. It cannot commit, and so the next host of the DSN is tried.
func commits(wanted pgconn.ValidateConnectFunc) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, c *pgconn.PgConn) error {
		if wanted != nil {
			if err := wanted(ctx, c); err != nil {
				return err
			}
		}
		forgetWarning(c)
		_, err := c.Exec(ctx, fmt.Sprintf(proofSQL, rand.IntN(counters))).ReadAll()
		if sqlState(err) == undefinedTable { // a new database: the migration commits
			return nil
		}
		if err == nil {
			err = checkWarning(c)
		}
		return err
	}
}

// proofSQL writes without changing anything: an update of one of many counters.
const proofSQL = `INSERT INTO issued AS t (counter, coins) VALUES (%d, 0) ON CONFLICT (counter) DO UPDATE SET coins = t.coins`

const undefinedTable = "42P01"

// setUp asks for what a session needs here, of PostgreSQL in one round trip. Engines that
// do not know a setting do without.
func setUp(ctx context.Context, c *pgx.Conn, timeout time.Duration) error {
	settings := []string{
		// Plans that stay right when tables grow from nothing: by index, for any parameters.
		"SET enable_seqscan = off", "SET enable_hashjoin = off", "SET enable_mergejoin = off",
		"SET plan_cache_mode = force_generic_plan", "SET jit = off",
		// Who waits for a lock hears that it waited in vain, while its node still listens.
		fmt.Sprintf("SET lock_timeout = %d", max(1, timeout.Milliseconds()/2)),
		// A node that is gone keeps no locks and no place in a queue for them. No setting
		// ends a commit that waits for its standbys: statement_timeout could.
		fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", max(1, timeout.Milliseconds())),
		"SET client_connection_check_interval = 2000",
	}
	if c.PgConn().ParameterStatus("crdb_version") != "" {
		// CockroachDB would commit before a TRUNCATE, and give the locks back.
		settings = append(settings, "SET autocommit_before_ddl = off")
	}
	_, err := c.Exec(ctx, strings.Join(settings, "; "))
	if !isServerError(err) {
		return err
	}
	for _, set := range settings {
		if _, err := c.Exec(ctx, set); err != nil && !isServerError(err) {
			return err
		}
	}
	return nil
}

func isServerError(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e)
}
