// Package sdnotify tells systemd what a service does, by the protocol of sd_notify(3).
package sdnotify

import (
	"net"
	"os"
	"strconv"
	"time"
)

// States of a service.
const (
	Ready     = "READY=1"
	Stopping  = "STOPPING=1"
	Reloading = "RELOADING=1"
	Watchdog  = "WATCHDOG=1"
)

// Send tells the service manager each state, with one datagram to NOTIFY_SOCKET. Without
// that variable it does nothing.
func Send(states ...string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	// A first '@' stands for the zero byte of an abstract name, in Go's net as well.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	var b []byte
	for _, s := range states {
		b = append(append(b, s...), '\n')
	}
	_, err = c.Write(b)
	return err
}

// WatchdogEvery returns how often the service manager wants to hear Watchdog, half of what
// it waits (WatchdogSec= in the unit), or 0 if it does not.
func WatchdogEvery() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	return time.Duration(us) * time.Microsecond / 2
}
