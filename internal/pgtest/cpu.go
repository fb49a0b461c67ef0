package pgtest

import (
	"strconv"
	"time"
)

// CPU returns the processor time that the server's processes have used, those that ended
// included, in steps of 10 ms.
func (s *Server) CPU() time.Duration {
	p := s.running()
	ticks := ticksOf(p.pid, true)
	for _, pid := range children(p.pid) {
		ticks += ticksOf(pid, false)
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ, on every Linux that Go runs on
}

// The fields of stat from which processor time is summed: of the process in user and
// kernel mode, and of its children that ended.
const (
	userTicks      = 11 // utime, counted from the state
	childrenKernel = 14 // cstime
)

func ticksOf(pid int, ended bool) (n int64) {
	fields := stat(pid)
	last := userTicks + 1
	if ended {
		last = childrenKernel
	}
	for i := userTicks; i <= last && i < len(fields); i++ {
		v, _ := strconv.ParseInt(fields[i], 10, 64)
		n += v
	}
	return n
}
