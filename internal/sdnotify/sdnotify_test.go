package sdnotify

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestSend(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Send(Ready); err != nil {
		t.Errorf("without a manager: %v", err)
	}
	dir, err := os.MkdirTemp("", "notify") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	t.Setenv("NOTIFY_SOCKET", path)
	if err := Send(Ready); err == nil {
		t.Error("a manager that is not there: no error")
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := Send(Ready, "STATUS=serving"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(b); err != nil || string(b[:n]) != "READY=1\nSTATUS=serving\n" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

func TestWatchdogEvery(t *testing.T) {
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"", "", 0}, {"3000000", "", 1500 * time.Millisecond}, {"3000000", strconv.Itoa(os.Getpid()), 1500 * time.Millisecond},
		{"3000000", "1", 0}, {"x", "", 0}, {"0", "", 0}, {"-5", "", 0},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		if got := WatchdogEvery(); got != tt.want {
			t.Errorf("%q for %q: %v, want %v", tt.usec, tt.pid, got, tt.want)
		}
	}
}
