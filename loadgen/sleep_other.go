//go:build !linux

package loadgen

import "time"

func exactSleep() {}

func sleep(d time.Duration) { time.Sleep(d) }
