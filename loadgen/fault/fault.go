// Package fault breaks a server, and the network before it, by a schedule while a load
// runs: it kills or pauses the server's process, and a [Proxy] between the load and the
// server delays, drops, holds or slows what they say. Start with [Parse], [Run] and, for
// what became of the load, [Recovery].
package fault

import (
	"fmt"
	"slices"
	"time"
)

// kind is a way to break something.
type kind string

const (
	kill     kind = "kill"
	pause    kind = "pause"
	delay    kind = "delay"
	drop     kind = "drop"
	cut      kind = "cut"
	throttle kind = "throttle"
)

// Fault is one line of a schedule. [Parse] makes it.
type Fault struct {
	At time.Duration // since the start of the run

	kind   kind
	length time.Duration // until it is over, 0 for a drop and a kill that starts again at once
	late   time.Duration // of a delay: by how much every byte is
	rate   int64         // of a throttle: bytes a second
}

// String returns f as [Parse] reads it.
func (f Fault) String() string { return fmt.Sprintf("t=%v %s", f.At, f.what()) }

// what returns f without its time.
func (f Fault) what() string {
	s := string(f.kind)
	switch f.kind {
	case delay:
		s += " " + f.late.String()
	case throttle:
		s += " " + formatRate(f.rate)
	}
	if f.length > 0 {
		s += " for " + f.length.String()
	}
	return s
}

// target returns what f breaks. Only one fault at a time can break it.
func (f Fault) target() string {
	if f.kind == kill || f.kind == pause {
		return "server"
	}
	return string(f.kind)
}

// NeedsServer reports whether some fault kills or pauses the server.
func NeedsServer(faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool { return f.target() == "server" })
}

// NeedsProxy reports whether some fault needs a [Proxy].
func NeedsProxy(faults []Fault) bool {
	return slices.ContainsFunc(faults, func(f Fault) bool { return f.target() != "server" })
}
