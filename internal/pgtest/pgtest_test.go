package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func must(t *testing.T, dsn, statement string) {
	t.Helper()
	if err := execute(dsn, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// rows returns how many rows the table has, as a client sees it that is told the DSN.
func rows(t *testing.T, dsn string) int {
	t.Helper()
	n, err := query[int](dsn, "SELECT count(*) FROM paid")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// database is the name in a DSN.
func database(dsn string) string {
	before, _, _ := strings.Cut(dsn, "?")
	return before[strings.LastIndex(before, "/")+1:]
}

func TestSharedServer(t *testing.T) {
	var first string
	t.Run("use", func(t *testing.T) {
		first = Shared(t).NewDatabase(t)
		second := Shared(t).NewDatabase(t)
		must(t, first, "CREATE TABLE paid (id int)")
		must(t, second, "CREATE TABLE paid (id int)")
		must(t, first, "INSERT INTO paid VALUES (1)")
		if n, m := rows(t, first), rows(t, second); n != 1 || m != 0 {
			t.Errorf("%d rows in the one database and %d in the other", n, m)
		}
		if super, err := query[string](first, "SHOW is_superuser"); super != "off" || err != nil {
			t.Errorf("superuser: %q, %v", super, err)
		}
		wrong, err := pgx.ParseConfig(first)
		if err != nil {
			t.Fatal(err)
		}
		wrong.Password = "guess"
		if c, err := pgx.ConnectConfig(t.Context(), wrong); err == nil {
			_ = c.Close(t.Context())
			t.Error("it does not ask for the password")
		}
	})
	if err := execute(first, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a database after its test: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the shared server can be killed")
		}
	}()
	Shared(t).Kill()
}

func TestKillStopAndFreeze(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Settings: map[string]string{"application_name": "it's set"}})
	dsn := s.NewDatabase(t)
	for name, want := range map[string]string{"fsync": "on", "application_name": "it's set", "server_encoding": "UTF8", "lc_collate": "C"} {
		if got, err := query[string](dsn, "SHOW "+name); got != want || err != nil {
			t.Errorf("%s is %q, want %q: %v", name, got, want, err)
		}
	}
	must(t, dsn, "CREATE TABLE paid (id int)")
	must(t, dsn, "INSERT INTO paid VALUES (1), (2)")
	open, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	before := append(children(s.process.pid), s.process.pid)
	if len(before) < 5 {
		t.Fatalf("a server of %d processes", len(before))
	}
	s.Kill()
	for _, pid := range before {
		if parent(pid) != 0 {
			t.Errorf("process %d outlives the kill", pid)
		}
	}
	if _, err := open.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a connection to a killed server works")
	}
	s.Restart()
	if n := rows(t, dsn); n != 2 {
		t.Errorf("%d rows after the kill, want 2", n)
	}
	s.Stop()
	if control, err := s.controlState(); control != "shut down" || err != nil {
		t.Errorf("after Stop the database is %q: %v", control, err)
	}
	s.Restart()

	if open, err = pgx.Connect(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	for _, pid := range append(children(s.process.pid), s.process.pid) {
		if got := state(pid); got != "T" {
			t.Errorf("process %d of a frozen server is in state %q", pid, got)
		}
	}
	answered := make(chan error, 1)
	go func() {
		_, err := open.Exec(context.Background(), "INSERT INTO paid VALUES (3)")
		answered <- err
	}()
	brief, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if c, err := pgx.Connect(brief, dsn); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a new connection to a frozen server: %v, %v", c, err)
	}
	select {
	case err := <-answered:
		t.Fatalf("a frozen server answers: %v", err)
	default:
	}
	s.Thaw()
	if err := <-answered; err != nil {
		t.Errorf("after the thaw: %v", err)
	}
	if n := rows(t, dsn); n != 3 {
		t.Errorf("%d rows after the thaw, want 3", n)
	}
	if err := open.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// controlState is what a stopped server's own record says.
func (s *Server) controlState() (string, error) {
	out, err := exec.Command(s.host.program("pg_controldata"), s.data()).CombinedOutput()
	_, after, _ := strings.Cut(string(out), "Database cluster state:")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(line), err
}

func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 2)
	dsn := c.NewDatabase()
	must(t, dsn, "CREATE TABLE paid (id int)")
	must(t, dsn, "INSERT INTO paid VALUES (1)")
	c.WaitReplicated()
	for _, s := range c.standbys {
		if n := rows(t, s.DSN(database(dsn))); n != 1 {
			t.Errorf("%d rows on a standby", n)
		}
		if err := execute(s.DSN(database(dsn)), "INSERT INTO paid VALUES (1)"); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("a write to a standby: %v", err)
		}
	}
	// What one standby has is not lost when the other one, which lags, could be promoted.
	behind, ahead := c.standbys[0], c.standbys[1]
	behind.Stop()
	must(t, dsn, "INSERT INTO paid VALUES (2)")
	c.KillPrimary()
	behind.Restart()
	c.Promote()
	if c.Primary() != ahead {
		t.Error("the standby that lags was promoted")
	}
	if n := rows(t, dsn); n != 2 {
		t.Errorf("%d rows after the fail-over, want 2", n)
	}

	// Nothing is acknowledged without a standby.
	behind.Freeze()
	open, err := pgx.Connect(t.Context(), ahead.DSN(database(dsn)))
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := open.Exec(brief, "INSERT INTO paid VALUES (3)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a commit that no standby has: %v", err)
	}
	behind.Thaw()
	must(t, dsn, "DELETE FROM paid WHERE id = 3") // it may be there, as nobody was told
	must(t, dsn, "INSERT INTO paid VALUES (3)")

	c.KillPrimary()
	c.Promote()
	if n := rows(t, dsn); n != 3 {
		t.Errorf("%d rows after the second fail-over, want 3", n)
	}
	must(t, dsn, "INSERT INTO paid VALUES (4)") // alone, it waits for nobody
}

// TestNothingOutlivesItsProcess kills a process that has a server, which is frozen: the
// hardest case, since a frozen process takes no signal but one.
func TestNothingOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	installed(t)
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestVictim$")
	cmd.Env = append(os.Environ(), "ECOIN_PGTEST_VICTIM=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var root string
	var pids []int
	for lines := bufio.NewScanner(out); root == "" && lines.Scan(); {
		if after, ok := strings.CutPrefix(lines.Text(), "victim "); ok {
			fields := strings.Fields(after)
			root = fields[0]
			for _, f := range fields[1:] {
				pid, err := strconv.Atoi(f)
				if err != nil {
					t.Fatal(err)
				}
				pids = append(pids, pid)
			}
		}
	}
	if len(pids) < 10 || !strings.HasPrefix(filepath.Base(root), "ecoin-postgres-") {
		_ = cmd.Process.Kill()
		t.Fatalf("processes %v in %q", pids, root)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := wait("a process or the folder is still there", func() (bool, error) {
		for _, pid := range pids {
			if parent(pid) != 0 {
				return false, nil
			}
		}
		_, err := os.Stat(root)
		return errors.Is(err, os.ErrNotExist), nil
	}); err != nil {
		t.Error(err)
	}
}

// TestVictim is the process that TestNothingOutlivesItsProcess kills.
func TestVictim(t *testing.T) {
	if os.Getenv("ECOIN_PGTEST_VICTIM") == "" {
		return
	}
	Shared(t)
	s := Start(t, Options{NoSync: true})
	s.Freeze()
	text := "victim " + s.host.keeper.dir
	for _, p := range []*process{s.process, shared.server.process} {
		for _, pid := range append(children(p.pid), p.pid, p.supervisor.Process.Pid) {
			text += fmt.Sprint(" ", pid)
		}
	}
	fmt.Println(text)
	select {} // until it is killed
}

func TestPrograms(t *testing.T) {
	none := t.TempDir()
	t.Setenv("PATH", none)
	if dir, err := programs(none); !errors.Is(err, errNotInstalled) {
		t.Errorf("where there is none: %q, %v", dir, err)
	}
	under := t.TempDir()
	for _, file := range []string{"9.6/bin/initdb", "15/bin/initdb", "16/bin/psql"} { // of 16 there is only the client
		path := filepath.Join(under, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := programs(under); dir != filepath.Join(under, "15/bin") || err != nil {
		t.Errorf("the newest is in %q, %v", dir, err)
	}
	t.Setenv("PATH", filepath.Join(under, "9.6/bin"))
	if dir, err := programs(none); dir != filepath.Join(under, "9.6/bin") || err != nil {
		t.Errorf("the one in PATH is in %q, %v", dir, err)
	}
}
