package pgtest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// host is what all servers of this process share: the programs, the user that runs them,
// the folder that holds everything, the keeper.
type host struct {
	bin      string // folder of initdb, postgres and pg_basebackup
	uid, gid int    // of the user that the servers run as
	password string // of both roles
	keeper   *keeper

	once        sync.Once // guards the template
	templateDir string
	templateErr error
}

// theHost is made at the first call.
var theHost = sync.OnceValues(func() (*host, error) {
	bin, err := programs("/usr/lib/postgresql")
	if err != nil {
		return nil, err
	}
	h := &host{bin: bin, uid: os.Getuid(), gid: os.Getgid()}
	if h.uid == 0 { // as which PostgreSQL refuses to run
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return nil, err
			}
		}
		if h.uid, err = strconv.Atoi(u.Uid); err != nil {
			return nil, err
		}
		if h.gid, err = strconv.Atoi(u.Gid); err != nil {
			return nil, err
		}
	}
	var secret [16]byte
	rand.Read(secret[:])
	h.password = hex.EncodeToString(secret[:])
	h.keeper, err = startKeeper(h)
	return h, err
})

var errNotInstalled = errors.New("PostgreSQL is not installed: Debian's package postgresql has it")

// programs returns the folder of the newest PostgreSQL under a folder that has one for each
// version, or else of the one in PATH.
func programs(under string) (string, error) {
	folders, _ := filepath.Glob(filepath.Join(under, "*", "bin"))
	best, version := "", -1.0
	for _, dir := range folders {
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
		if _, e := os.Stat(filepath.Join(dir, "initdb")); err == nil && e == nil && v > version {
			best, version = dir, v
		}
	}
	if best != "" {
		return best, nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNotInstalled
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// installed returns the host. Without PostgreSQL the test is skipped, or fails where
// ECOIN_NO_SKIP is set.
func installed(t testing.TB) *host {
	t.Helper()
	h, err := theHost()
	if errors.Is(err, errNotInstalled) && os.Getenv("ECOIN_NO_SKIP") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return h
}

// folder makes a folder that the servers' user may write to.
func (h *host) folder(prefix string) (string, error) {
	dir, err := os.MkdirTemp(h.keeper.dir, prefix)
	if err != nil {
		return "", err
	}
	return dir, os.Chown(dir, h.uid, h.gid)
}

// write writes a file that only the servers' user may read.
func (h *host) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chown(path, h.uid, h.gid)
}

// program is the path of one of PostgreSQL's programs.
func (h *host) program(name string) string { return filepath.Join(h.bin, name) }

// run runs a program to its end as the servers' user.
func (h *host) run(program string, args ...string) error {
	return h.runWith("", program, args...)
}

func (h *host) runWith(stdin, program string, args ...string) error {
	cmd := h.keeper.command(h.keeper.dir, append([]string{program}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return nil
}

// template makes a server's data folder, once: a copy of it takes a tenth of the time.
func (h *host) template() (string, error) {
	h.once.Do(func() {
		h.templateDir, h.templateErr = h.initdb()
	})
	return h.templateDir, h.templateErr
}

func (h *host) initdb() (string, error) {
	dir, err := h.folder("template-")
	if err != nil {
		return "", err
	}
	data, secret := filepath.Join(dir, "data"), filepath.Join(dir, "password")
	if err := h.write(secret, h.password); err != nil {
		return "", err
	}
	if err := h.run(h.program("initdb"), "-D", data, "-U", admin, "--pwfile", secret, "-A", "scram-sha-256",
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"); err != nil {
		return "", err
	}
	role := fmt.Sprintf("CREATE ROLE %s LOGIN CREATEDB PASSWORD '%s';\n", owner, h.password)
	return data, h.runWith(role, h.program("postgres"), "--single", "-D", data, "-c", "fsync=off", "postgres")
}
