// Package daemon runs the servers that ours is compared with, each on loopback, in a folder
// of its own, with every answer on disk before it is given. Start with [Redis] and
// [Postgres].
package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"ecoin/bench/store"
	"ecoin/internal/freeport"
	"ecoin/internal/subprocess"
)

// Server is a server that runs.
type Server struct {
	PID     int
	Address string // host:port, or a URL of PostgreSQL

	proc *subprocess.Process
	stop syscall.Signal // has it end at once, in order
}

// Stop ends the server, by its id.
func (s *Server) Stop() error {
	if err := s.proc.Signal(s.stop); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.proc.Wait(ctx); err != nil {
		return errors.Join(err, s.proc.Kill())
	}
	return nil
}

// ErrMissing is wrapped by errors that say which Debian package has a server that is not here.
var ErrMissing = errors.New("not installed")

// freeAddress returns an address on which nobody listens, and its port.
func freeAddress() (address, port string, err error) {
	addresses, err := freeport.Addresses(1)
	if err != nil {
		return "", "", err
	}
	_, port, err = net.SplitHostPort(addresses[0])
	return addresses[0], port, err
}

// ready calls try until it succeeds.
func (s *Server) ready(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		ended, cancelWait := context.WithTimeout(ctx, 50*time.Millisecond)
		e := s.proc.Wait(ended)
		cancelWait()
		if !errors.Is(e, context.DeadlineExceeded) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("daemon: %s does not serve: %w; its log:\n%s", s.proc.Name, err, s.proc.Log()), s.proc.Kill())
		}
	}
}

// FindRedis returns the path of redis-server.
func FindRedis() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("Redis: %w: apt-get install redis-server", ErrMissing)
	}
	return path, nil
}

// Redis starts Redis in dir. Its log of commands is synced at each of them, and never written
// anew by itself. With log "no" it is off until somebody turns it on, as after loading.
func Redis(ctx context.Context, dir, log string) (*Server, error) {
	exe, err := FindRedis()
	if err != nil {
		return nil, err
	}
	address, port, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p, err := subprocess.Start("redis-server", nil, exe, "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "",
		"--appendonly", log, "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0", "--logfile", filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	s := &Server{PID: p.PID, Address: address, proc: p, stop: syscall.SIGTERM}
	return s, s.ready(ctx, func() error {
		c, err := store.DialRedis(ctx, s.Address)
		if err != nil {
			return err
		}
		_, err = c.Do("PING")
		return errors.Join(err, c.Close())
	})
}

// FindPostgres returns the folder of the newest PostgreSQL's programs.
func FindPostgres() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL: %w: apt-get install postgresql", ErrMissing)
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

// version is the number in /usr/lib/postgresql/15/bin/initdb.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// postgresUser is who PostgreSQL runs as when we are root, which it refuses.
const postgresUser = "postgres"

// Postgres makes a database in dir, in a folder that other users may pass, and starts
// PostgreSQL. Everything is durable: fsync, synchronous_commit and full_page_writes are on.
func Postgres(ctx context.Context, dir string) (*Server, error) {
	bin, err := FindPostgres()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var as []string // a command before the command
	if os.Getuid() == 0 {
		u, err := user.Lookup(postgresUser)
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return nil, err
			}
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
		as = []string{"setpriv", "--reuid", u.Uid, "--regid", u.Gid, "--clear-groups"}
	}
	data := filepath.Join(dir, "data")
	args := append(as, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", "bench", "--auth", "trust", "--no-sync", "--no-locale", "--encoding", "UTF8")
	initdb := exec.CommandContext(ctx, args[0], args[1:]...)
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("daemon: initdb: %w\n%s", err, out)
	}
	address, port, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args = append(as, filepath.Join(bin, "postgres"), "-D", data)
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", "port=" + port, "unix_socket_directories=", "max_connections=300",
		"shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min", "wal_buffers=64MB", "jit=off", "logging_collector=off",
	} {
		args = append(args, "-c", setting)
	}
	p, err := subprocess.Start("postgres", nil, args[0], args[1:]...)
	if err != nil {
		return nil, err
	}
	s := &Server{PID: p.PID, Address: "postgres://bench@" + address + "/postgres?sslmode=disable", proc: p, stop: syscall.SIGINT}
	return s, s.ready(ctx, func() error {
		c, err := pgx.Connect(ctx, s.Address)
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
}
