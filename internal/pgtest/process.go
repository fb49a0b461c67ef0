package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs.
type process struct {
	supervisor *exec.Cmd
	pid        int      // of the postmaster
	ended      *os.File // is at its end when the supervisor is gone
}

// errPort says that somebody was faster and took the port.
var errPort = errors.New("the port is in use")

// start starts a new server, on another port if that one is taken by now.
func (s *Server) start() error {
	for range 5 {
		err := s.startAgain()
		if !errors.Is(err, errPort) {
			return err
		}
		if err := s.findPort(); err != nil {
			return err
		}
	}
	return errPort
}

// startAgain starts the server on its port and waits until it accepts connections.
func (s *Server) startAgain() error {
	if err := s.configure(); err != nil {
		return err
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	ended, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	cmd := s.host.keeper.command(s.dir, s.host.program("postgres"), "-D", s.data())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	if err := s.place.do(cmd.Start); err != nil {
		return errors.Join(err, ended.Close())
	}
	w.Close()
	s.process = &process{supervisor: cmd, ended: ended}
	for limit := time.Now().Add(startLimit); time.Now().Before(limit); {
		if s.process.endsWithin(5 * time.Millisecond) {
			s.process = nil
			if tail := s.tail(); strings.Contains(tail, "Address already in use") {
				return errors.Join(errPort, os.Remove(s.log()))
			}
			return fmt.Errorf("a server ended as it started; its log:\n%s", s.tail())
		}
		if pid := s.ready(); pid != 0 {
			s.process.pid = pid
			return nil
		}
	}
	return fmt.Errorf("a server does not accept connections; its log:\n%s", s.tail())
}

// ready returns the postmaster, 0 until it accepts connections: then the eighth line of
// postmaster.pid says so. A file that a killed server left names no child of the supervisor.
func (s *Server) ready() int {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" {
		return 0
	}
	pid, err := strconv.Atoi(lines[0])
	if err != nil || parent(pid) != s.process.supervisor.Process.Pid {
		return 0
	}
	return pid
}

// endsWithin waits for the end of the server and all its processes.
func (p *process) endsWithin(d time.Duration) bool {
	if err := p.ended.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false
	}
	if _, err := p.ended.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	_ = p.supervisor.Wait() // its code is that of the signal
	p.ended.Close()
	return true
}

// running returns the process, and fails the test if there is none.
func (s *Server) running() *process {
	if s.t == nil {
		panic("pgtest: the shared server is not to be stopped")
	}
	s.t.Helper()
	if s.process == nil {
		s.t.Fatal("pgtest: the server does not run")
	}
	return s.process
}

// Kill ends all processes of the server with SIGKILL, as a machine's crash would, except
// that what it wrote stays in the page cache.
func (s *Server) Kill() {
	p := s.running()
	s.t.Helper()
	s.Freeze() // so that none goes on when another is gone
	for _, pid := range children(p.pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	s.end(syscall.SIGKILL)
}

// Stop shuts the server down in order, and its connections with it.
func (s *Server) Stop() {
	s.running()
	s.t.Helper()
	s.Thaw()
	s.end(syscall.SIGINT)
}

// end sends the postmaster a signal that ends it, and waits.
func (s *Server) end(sig syscall.Signal) {
	s.t.Helper()
	p := s.process
	if err := syscall.Kill(p.pid, sig); err != nil {
		s.t.Errorf("pgtest: %v: %v", sig, err)
	}
	if !p.endsWithin(startLimit) {
		s.t.Fatalf("pgtest: the server does not end after %v; its log:\n%s", sig, s.tail())
	}
	s.process = nil
}

// Restart starts a server that was killed or stopped, under the same address.
func (s *Server) Restart() {
	if s.t == nil {
		panic("pgtest: the shared server is not to be stopped")
	}
	s.t.Helper()
	if s.process != nil {
		s.t.Fatal("pgtest: the server runs")
	}
	if err := s.startAgain(); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Freeze stops all processes of the server where they are. Connections stay open, and
// the system still accepts new ones for it, but nothing is answered.
func (s *Server) Freeze() {
	p := s.running()
	s.t.Helper()
	err := stop(p.pid) // so that it starts no other child meanwhile
	for _, pid := range children(p.pid) {
		err = errors.Join(err, stop(pid))
	}
	if err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// stop stops a process and waits until it has stopped, which may take the system a moment.
func stop(pid int) error {
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	return wait(fmt.Sprintf("process %d does not stop", pid), func() (bool, error) {
		return strings.Contains("TZ", state(pid)), nil // "" is in it too
	})
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { thaw(s.running().pid) }

func thaw(postmaster int) {
	for _, pid := range children(postmaster) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	_ = syscall.Kill(postmaster, syscall.SIGCONT)
}

// destroy ends the server at once, if it runs, and removes its folder.
func (s *Server) destroy() error {
	if p := s.process; p != nil {
		s.process = nil
		for _, postmaster := range children(p.supervisor.Process.Pid) { // which is one, even if it never was ready
			thaw(postmaster)
			_ = syscall.Kill(postmaster, syscall.SIGQUIT)
		}
		if !p.endsWithin(startLimit) {
			return fmt.Errorf("a server does not end; its log:\n%s", s.tail())
		}
	}
	return os.RemoveAll(s.dir)
}

// children returns the processes that have this parent.
func children(of int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && parent(pid) == of {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parent returns a process's parent, 0 for a process that is not there.
func parent(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// state returns what a process does: "T" for a stopped one, "Z" for one that only has to be
// waited for, "" for one that is not there.
func state(pid int) string {
	if fields := stat(pid); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// stat returns the fields of a process's /proc/PID/stat from its state on; none for a
// process that is not there.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // after the name, in which anything may be
}
