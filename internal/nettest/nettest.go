// Package nettest gives a test a network of its own, with another host that can be cut off:
// network namespaces of Linux, which root may make. Start with [Alone].
package nettest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const alone = "ECOIN_NETTEST_ALONE"

// Alone runs the calling test once more, in a process that has a network of its own with
// nothing but loopback. It returns true in that process, and false in the first one, after
// the other has ended, with what it said and as it ended:
//
//	if !nettest.Alone(t) {
//		return
//	}
//
// Where that cannot be, the test is skipped, or fails where ECOIN_NO_SKIP is set.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) == t.Name() {
		must(t, ip("link", "set", "lo", "up"))
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip(t, "ip is not installed: Debian's package iproute2 has it")
	}
	if os.Geteuid() != 0 {
		skip(t, "only root may make a network namespace")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), alone+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig follows the thread
	defer runtime.UnlockOSThread()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		skip(t, fmt.Sprintf("this system makes no network namespace: %v", err))
	}
	err := cmd.Wait()
	t.Logf("in a network of its own:\n%s", out.String())
	switch {
	case err != nil:
		t.Error(err)
	case strings.Contains(out.String(), "--- SKIP: "+t.Name()):
		t.SkipNow()
	case !strings.Contains(out.String(), "--- PASS: "+t.Name()):
		t.Error("it did not run")
	}
	return false
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("ECOIN_NO_SKIP") != "" {
		t.Fatalf("%s, and ECOIN_NO_SKIP is set", why)
	}
	t.Skip(why)
}

// ip configures the network of the calling thread.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("nettest: %v", err)
	}
}

// Host is another host, joined to this one by a cable. It is safe for concurrent use.
type Host struct {
	Address string // its own
	Near    string // address of this host, by which it is reached from there

	t         *testing.T
	namespace int // file descriptor
}

// The ends of the cable. Each host has its own loopback besides.
const (
	near, far       = "near", "far"
	nearIP, farIP   = "192.0.2.1", "192.0.2.2" // for documentation: RFC 5737
	nearNet, farNet = nearIP + "/30", farIP + "/30"
	farMAC          = "02:00:00:00:00:02"
)

// NewHost makes the other host, which lives until the test ends. There is one at a time.
func NewHost(t *testing.T) *Host {
	t.Helper()
	// A process that does nothing is the first one there. It ends when its input does,
	// and so with this process at the latest.
	holder := exec.Command("cat")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	input, err := holder.StdinPipe()
	must(t, err)
	must(t, holder.Start())
	h := &Host{Address: farIP, Near: nearIP, t: t}
	h.namespace, err = unix.Open(fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	must(t, ip("link", "add", near, "type", "veth", "peer", "name", far, "address", farMAC, "netns", fmt.Sprint(holder.Process.Pid)))
	t.Cleanup(func() {
		must(t, ip("link", "delete", near))
		input.Close()
		_ = holder.Wait()
		unix.Close(h.namespace)
	})
	must(t, ip("address", "add", nearNet, "dev", near))
	must(t, ip("link", "set", near, "up"))
	// A host that does not answer for its address would be reported as unreachable.
	must(t, ip("neighbour", "add", farIP, "lladdr", farMAC, "dev", near, "nud", "permanent"))
	must(t, h.Do(func() error {
		return errors.Join(ip("link", "set", "lo", "up"), ip("address", "add", farNet, "dev", far), ip("link", "set", far, "up"))
	}))
	return h
}

// Do calls f on a thread that is on the host: the sockets that f itself makes are there, and
// the processes that it starts, but nothing that it leaves to other goroutines.
func (h *Host) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("nettest: the function did not return") // but failed its test
		defer func() { done <- err }()
		runtime.LockOSThread() // and never unlock it: the thread is of no use here, and ends
		if err = unix.Setns(h.namespace, unix.CLONE_NEWNET); err == nil {
			err = f()
		}
	}()
	return <-done
}

// Cut pulls the cable: from then on nothing arrives, and nobody here is told.
func (h *Host) Cut() { h.t.Helper(); h.cable("down") }

// Heal puts the cable back.
func (h *Host) Heal() { h.t.Helper(); h.cable("up") }

func (h *Host) cable(state string) {
	h.t.Helper()
	must(h.t, h.Do(func() error { return ip("link", "set", far, state) }))
}
