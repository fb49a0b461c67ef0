package pgtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// Cluster is a primary and standbys, to which it streams its log. A commit is acknowledged
// when the primary and one standby have it on disk. Its methods end the test where they
// fail, and are for one goroutine at a time.
type Cluster struct {
	t        testing.TB
	servers  []*Server // as they were made
	primary  *Server
	standbys []*Server
}

// StartCluster makes a cluster that lives until the test ends.
func StartCluster(t testing.TB, standbys int) *Cluster {
	t.Helper()
	return StartClusterAt(t, slices.Repeat([]Place{here}, standbys+1)...)
}

// StartClusterAt makes a cluster of a server at each place, the first of them the primary.
func StartClusterAt(t testing.TB, places ...Place) *Cluster {
	t.Helper()
	h := installed(t)
	c := &Cluster{t: t}
	for i, at := range places {
		s, err := c.join(h, i, at)
		if err != nil {
			t.Fatalf("pgtest: server %d of a cluster: %v", i, err)
		}
		s.own(t)
		c.servers = append(c.servers, s)
	}
	c.primary, c.standbys = c.servers[0], slices.Clone(c.servers[1:])
	if err := c.quorum(); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	c.WaitReplicated()
	return c
}

// settings of each server, whichever part it plays. A standby tries to reconnect ten times
// a second, and gives a connection up on which it hears nothing.
var replication = map[string]string{
	"hot_standby":                  "on",
	"wal_retrieve_retry_interval":  "100ms",
	"wal_receiver_timeout":         "5s",
	"wal_sender_timeout":           "5s",
	"wal_receiver_status_interval": "1s",
	"wal_keep_size":                "512MB",
}

// join makes server i of a cluster: the primary, or a copy of it.
func (c *Cluster) join(h *host, i int, at Place) (*Server, error) {
	o := Options{Settings: maps.Clone(replication)}
	if i == 0 {
		return create(h, o, at)
	}
	s, err := h.newServer(o, at)
	if err != nil {
		return nil, err
	}
	if err := h.run(h.program("pg_basebackup"), "-D", s.data(), "-d", c.servers[0].conninfo(""),
		"-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return nil, err
	}
	if err := h.write(s.data()+"/standby.signal", ""); err != nil {
		return nil, err
	}
	s.settings["primary_conninfo"] = c.servers[0].conninfo(name(i))
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.destroy())
	}
	return s, nil
}

// name is what server i calls itself as a standby.
func name(i int) string { return fmt.Sprintf("standby%d", i) }

// conninfo is how a standby with that name connects to the server.
func (s *Server) conninfo(as string) string {
	return fmt.Sprintf("host=%s port=%d user=%s password=%s application_name=%s connect_timeout=2 sslmode=disable",
		s.place.Address, s.port, admin, s.host.password, as)
}

// quorum makes the primary wait for one of the standbys, and waits until they stream. A
// primary without any waits for nobody.
func (c *Cluster) quorum() error {
	var names []string
	for _, s := range c.standbys {
		names = append(names, name(slices.Index(c.servers, s)))
	}
	sync := ""
	if len(names) > 0 {
		sync = "ANY 1 (" + strings.Join(names, ", ") + ")"
	}
	if err := c.primary.set("synchronous_standby_names", sync); err != nil {
		return err
	}
	return wait("the standbys do not stream", func() (bool, error) {
		n, err := query[int](c.primary.adminDSN(), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'")
		return n == len(names), err
	})
}

// set changes a setting of a server that runs, and waits until it is in force.
func (s *Server) set(name, value string) error {
	s.settings[name] = value
	if err := s.configure(); err != nil {
		return err
	}
	if err := execute(s.adminDSN(), "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	return wait(name+" does not change", func() (bool, error) {
		now, err := query[string](s.adminDSN(), "SELECT current_setting($1)", name)
		return now == value, err
	})
}

// wait asks again until the answer is yes.
func wait(otherwise string, done func() (bool, error)) error {
	for limit := time.Now().Add(startLimit); ; time.Sleep(5 * time.Millisecond) {
		if yes, err := done(); yes || err != nil {
			return err
		} else if time.Now().After(limit) {
			return errors.New(otherwise)
		}
	}
}

// Primary returns the server that is the primary now.
func (c *Cluster) Primary() *Server { return c.primary }

// Standbys returns the servers that follow the primary now.
func (c *Cluster) Standbys() []*Server { return slices.Clone(c.standbys) }

// DSN returns the URL of a database by which a client finds the primary, whichever server
// that is.
func (c *Cluster) DSN(database string) string {
	var hosts []string
	for _, s := range c.servers {
		hosts = append(hosts, s.hostPort())
	}
	return dsn(owner, c.primary.host.password, database, "&target_session_attrs=read-write", hosts...)
}

// NewDatabase makes an empty database and returns its URL, as DSN does.
func (c *Cluster) NewDatabase() string {
	c.t.Helper()
	name, create, _ := newDatabase()
	if err := execute(c.DSN("postgres"), create); err != nil {
		c.t.Fatalf("pgtest: %v", err)
	}
	return c.DSN(name)
}

// KillPrimary ends all processes of the primary with SIGKILL. It never comes back.
func (c *Cluster) KillPrimary() {
	c.t.Helper()
	c.primary.Kill()
}

// Promote makes the standby that has the most of the log the primary, and lets the others
// follow it. The old primary must be dead, or unable to reach the standbys.
//
// All that was acknowledged is on one standby at least, so it is on that one. Nobody may
// receive any more before they are compared: first each standby forgets the old primary.
func (c *Cluster) Promote() {
	c.t.Helper()
	if err := c.promote(); err != nil {
		c.t.Fatalf("pgtest: promote: %v", err)
	}
}

func (c *Cluster) promote() error {
	if len(c.standbys) == 0 {
		return errors.New("there is no standby")
	}
	best, most := 0, int64(-1)
	for i, s := range c.standbys {
		has, err := s.fence()
		if err != nil {
			return err
		}
		if has > most {
			best, most = i, has
		}
	}
	c.primary, c.standbys = c.standbys[best], slices.Delete(slices.Clone(c.standbys), best, best+1)
	if done, err := query[bool](c.primary.adminDSN(), "SELECT pg_promote(true, 60)"); err != nil || !done {
		return fmt.Errorf("promoted: %v, %w", done, err)
	}
	for _, s := range c.standbys {
		if err := s.set("primary_conninfo", c.primary.conninfo(name(slices.Index(c.servers, s)))); err != nil {
			return err
		}
	}
	return c.quorum()
}

// fence makes a standby receive no more, and returns how much of the log it has, in bytes.
func (s *Server) fence() (int64, error) {
	if err := s.set("primary_conninfo", ""); err != nil {
		return 0, err
	}
	if err := wait("a standby goes on receiving", func() (bool, error) {
		n, err := query[int](s.adminDSN(), "SELECT count(*) FROM pg_stat_wal_receiver")
		return n == 0, err
	}); err != nil {
		return 0, err
	}
	return query[int64](s.adminDSN(), "SELECT (GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn)::bigint")
}

// WaitReplicated waits until each standby shows all that the primary has committed.
func (c *Cluster) WaitReplicated() {
	c.t.Helper()
	lsn, err := query[string](c.primary.adminDSN(), "SELECT pg_current_wal_flush_lsn()::text")
	for _, s := range c.standbys {
		if err != nil {
			break
		}
		err = wait("a standby falls behind", func() (bool, error) {
			return query[bool](s.adminDSN(), "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn)
		})
	}
	if err != nil {
		c.t.Fatalf("pgtest: %v", err)
	}
}
