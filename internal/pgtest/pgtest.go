// Package pgtest runs real PostgreSQL servers for tests, from Debian's package postgresql:
// on loopback, under an unprivileged user, in a temporary folder. [Shared] is one server
// for all tests of a package, [Start] one that a test may kill and freeze, [StartCluster]
// a primary with standbys.
//
// No server outlives the process that started it, not even one that is killed: see keeper.go.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The roles of each server. The password is one for all servers of the process.
const (
	admin = "postgres" // the superuser, for this package alone
	owner = "ecoin"    // may log in and create databases
)

// startLimit is how long a server may take to start, or to stop, before the test fails.
const startLimit = 60 * time.Second

// Options configures Start. The zero value is a durable server on 127.0.0.1.
type Options struct {
	// NoSync turns fsync off, for tests that are not about durability. What is committed
	// still survives a kill of the server, though not a crash of the machine.
	NoSync bool

	// Settings are lines of postgresql.conf, over the defaults of this package.
	Settings map[string]string
}

// Server is a PostgreSQL server. Its methods end the test where they fail, and are for one
// goroutine at a time; DSN and NewDatabase may be called from any.
type Server struct {
	t        testing.TB // nil for the shared server, which nobody may stop
	host     *host
	dir      string // holds the folder "data" and the file "log"
	place    Place
	port     int
	settings map[string]string

	process *process // nil while it does not run
}

// Start makes a server that lives until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	h := installed(t)
	s, err := create(h, o, here)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	s.own(t)
	return s
}

// Place is a host that a server runs on. All of them share the file system.
type Place struct {
	Address string
	Do      func(func() error) error // calls a function on a thread that is there; nil: any thread
}

func (p Place) do(f func() error) error {
	if p.Do == nil {
		return f()
	}
	return p.Do(f)
}

var here = Place{Address: "127.0.0.1"}

// own makes the test the server's owner: it ends with it.
func (s *Server) own(t testing.TB) {
	s.t = t
	t.Cleanup(func() {
		if err := s.destroy(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
}

// create makes a server from the template and starts it.
func create(h *host, o Options, at Place) (*Server, error) {
	template, err := h.template()
	if err != nil {
		return nil, err
	}
	s, err := h.newServer(o, at)
	if err != nil {
		return nil, err
	}
	if err := h.run("cp", "-r", template, s.data()); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.destroy())
	}
	return s, nil
}

// newServer makes the folder of a server, without data.
func (h *host) newServer(o Options, at Place) (*Server, error) {
	dir, err := h.folder("server-")
	if err != nil {
		return nil, err
	}
	s := &Server{host: h, dir: dir, place: at, settings: map[string]string{
		"listen_addresses":           at.Address,
		"unix_socket_directories":    "",
		"max_connections":            "200",
		"shared_buffers":             "128MB",
		"dynamic_shared_memory_type": "mmap", // files of the server's folder, which go with it
		"log_timezone":               "UTC",
		"timezone":                   "UTC",
	}}
	if o.NoSync {
		s.settings["fsync"] = "off"
	}
	for name, value := range o.Settings {
		s.settings[name] = value
	}
	return s, s.findPort()
}

// findPort chooses a port that nobody listens on just now.
func (s *Server) findPort() error {
	return s.place.do(func() error {
		l, err := net.Listen("tcp", net.JoinHostPort(s.place.Address, "0"))
		if err != nil {
			return err
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		return l.Close()
	})
}

func (s *Server) data() string     { return filepath.Join(s.dir, "data") }
func (s *Server) log() string      { return filepath.Join(s.dir, "log") }
func (s *Server) hostPort() string { return net.JoinHostPort(s.place.Address, fmt.Sprint(s.port)) }

// configure writes the server's settings, which it reads when it starts and on reload.
func (s *Server) configure() error {
	var b strings.Builder
	for name, value := range s.settings {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
	}
	fmt.Fprintf(&b, "port = %d\n", s.port)
	const access = "host all all all scram-sha-256\nhost replication all all scram-sha-256\n"
	for name, text := range map[string]string{"postgresql.conf": b.String(), "pg_hba.conf": access} {
		if err := s.host.write(filepath.Join(s.data(), name), text); err != nil {
			return err
		}
	}
	return nil
}

// DSN returns the URL of a database of this server. Its role owns the databases that
// NewDatabase makes, and is no superuser.
func (s *Server) DSN(database string) string {
	return dsn(owner, s.host.password, database, "", s.hostPort())
}

func dsn(role, password, database, options string, hosts ...string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable&connect_timeout=2%s", role, password, strings.Join(hosts, ","), database, options)
}

// NewDatabase makes an empty database, which is dropped when the test ends, and returns
// its URL.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	name, create, drop := newDatabase()
	if err := execute(s.DSN("postgres"), create); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if s.t == t {
		return s.DSN(name) // it goes with its server
	}
	t.Cleanup(func() {
		// As the administrator: an owner must not end the autovacuum that may be at work there.
		if err := execute(s.adminDSN(), drop); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s.DSN(name)
}

// newDatabase returns a random name, and the statements that make and drop its database.
func newDatabase() (name, create, drop string) {
	var b [8]byte
	rand.Read(b[:])
	name = "test_" + hex.EncodeToString(b[:])
	return name, "CREATE DATABASE " + name, "DROP DATABASE " + name + " WITH (FORCE)"
}

// Checkpoint writes all changed pages to disk; the first change of each after it is logged
// as the whole page.
func (s *Server) Checkpoint(t testing.TB) {
	t.Helper()
	if err := execute(s.adminDSN(), "CHECKPOINT"); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

// execute runs one statement on a connection of its own.
func execute(dsn, statement string) error {
	return withConn(dsn, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, statement)
		return err
	})
}

// query returns the one value of a statement that has one.
func query[T any](dsn, statement string, args ...any) (value T, err error) {
	err = withConn(dsn, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, statement, args...).Scan(&value)
	})
	return value, err
}

func withConn(dsn string, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return do(ctx, c)
}

func (s *Server) adminDSN() string {
	return dsn(admin, s.host.password, "postgres", "", s.hostPort())
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns the server that all tests of the process share, which is started at first
// use, without fsync, and ends with the process. It is there for NewDatabase and DSN: to
// kill, freeze or stop it panics.
func Shared(t testing.TB) *Server {
	t.Helper()
	h := installed(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := create(h, Options{NoSync: true}, here)
		if err != nil {
			t.Fatalf("pgtest: %v", err)
		}
		shared.server = s
	}
	return shared.server
}

// tail is the end of the server's log.
func (s *Server) tail() string {
	b, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
