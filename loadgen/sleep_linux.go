package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// exactSleep lets the calling thread's sleeps end within a microsecond instead of the
// usual fifty.
func exactSleep() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// sleep blocks the thread.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &t, nil) // woken early, the caller sleeps again
}
