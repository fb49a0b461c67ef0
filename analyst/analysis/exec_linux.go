package analysis

import (
	"math"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func groupsSupported() error { return nil }

// hideFiles keeps commands from inheriting files that whoever started this process
// left open in it. Go itself opens every file close-on-exec, so nothing that wants
// to be inherited is lost. Kernels before 5.11 cannot do it in one call; they keep
// what they were given.
func hideFiles() { _ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// ownGroup makes cmd the leader of a new process group.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// awaitExit returns when the child pid has ended, and leaves it a zombie.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// killGroup kills every process of the group that pid leads. A group that is gone
// is what is wanted.
func killGroup(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }
