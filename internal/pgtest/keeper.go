package pgtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever ends the process of the tests, a kill among it, its servers end and its folder
// goes. Each program of PostgreSQL is the child of a supervisor: this very binary, started
// once more, which an environment variable tells to be one before any test or main function
// of it runs. A supervisor holds the reading end of a pipe that only the tests' process can
// write to, and nobody does: when it is at its end, that process is gone. Then the
// supervisor ends its program, and all that this one left. The first supervisor, the
// keeper, has no program: it waits for the others, and removes the folder.

const supervise = "ECOIN_PGTEST_SUPERVISE"

func init() {
	if os.Getenv(supervise) != "" {
		os.Exit(supervisor(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]))
	}
}

// keeper is the folder of this process and what sees to its end.
type keeper struct {
	dir      string
	uid, gid int
	lifeline *os.File // the reading end
	writer   *os.File // kept open until this process ends
}

func startKeeper(h *host) (*keeper, error) {
	dir, err := os.MkdirTemp("", "ecoin-postgres-")
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, h.uid, h.gid); err != nil {
		return nil, err
	}
	k := &keeper{dir: dir, uid: h.uid, gid: h.gid}
	if k.lifeline, k.writer, err = os.Pipe(); err != nil {
		return nil, err
	}
	return k, k.command(dir).Start()
}

// command returns args as a program with a supervisor, to be run in a folder. Without args
// it is the keeper.
func (k *keeper) command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", append([]string{k.dir, dir, fmt.Sprint(k.uid), fmt.Sprint(k.gid)}, args...)...)
	cmd.Env = append(os.Environ(), supervise+"=1", "GORACE=atexit_sleep_ms=0") // the detector would wait a second at each end
	cmd.ExtraFiles = []*os.File{k.lifeline}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what a terminal sends is not for it
	return cmd
}

const lifelineFD, endedFD = 3, 4

// supervisor runs args in dir until they end or the lifeline does, and returns args' code.
func supervisor(root, dir, uid, gid string, args []string) int {
	unix.CloseOnExec(lifelineFD)
	unix.CloseOnExec(endedFD) // where there is one: see process
	lock, err := os.Open(root)
	if err != nil {
		return complain(err)
	}
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline"))
		close(gone)
	}()
	if len(args) == 0 {
		<-gone
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // until no other supervisor is left
			return complain(err)
		}
		if err := os.RemoveAll(root); err != nil {
			return complain(err)
		}
		return 0
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
		return complain(err)
	}
	// Orphans of the program become this process's children.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return complain(err)
	}
	cmd, err := program(dir, uid, gid, args)
	if err != nil {
		return complain(err)
	}
	runtime.LockOSThread() // Pdeathsig follows the thread, and this one stays
	if err := cmd.Start(); err != nil {
		return complain(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-gone:
		// At once, but as PostgreSQL's own way out: it takes its shared memory along.
		thaw(cmd.Process.Pid)
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case err = <-ended:
		case <-time.After(3 * time.Second):
			_ = cmd.Process.Kill()
			err = <-ended
		}
	}
	killChildren()
	removeSharedMemory(filepath.Join(dir, "data"))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return complain(err)
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 1 // a signal
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "pgtest supervisor:", err)
	return 1
}

// program returns args as a child that runs as another user, and dies with its supervisor.
func program(dir, uid, gid string, args []string) (*exec.Cmd, error) {
	u, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return nil, err
	}
	g, err := strconv.ParseUint(gid, 10, 32)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "TZ=UTC"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(u), Gid: uint32(g)}
	}
	return cmd, nil
}

// killChildren ends all children of this process, and the orphans that become some.
func killChildren() {
	for {
		for _, pid := range children(os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
			return
		}
	}
}

// removeSharedMemory removes the segment that a killed server left: the seventh line of
// its postmaster.pid has the key and the number.
func removeSharedMemory(data string) {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return // it ended in order
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 7 {
		return
	}
	if fields := strings.Fields(lines[6]); len(fields) == 2 {
		if id, err := strconv.Atoi(fields[1]); err == nil {
			_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		}
	}
}
