package sim

import (
	"errors"
	"path"
	"strings"
)

// errInjected is what a failing disk returns.
var errInjected = errors.New("sim: injected disk error")

// class says what a file is for.
func class(name string) string {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".log"), strings.HasSuffix(base, ".redo"):
		return "log"
	case strings.HasSuffix(base, ".sst"):
		return "table"
	case strings.HasPrefix(base, "MANIFEST"):
		return "manifest"
	case strings.HasPrefix(base, "marker"):
		return "marker"
	}
	return "other"
}

// action is what a trap does to the operation it catches.
type action uint8

const (
	hold      action = iota // keeps it waiting until it is released
	cut                     // takes the disk's image at this moment; the process does not notice
	fail                    // lets it fail, and as many more of its kind as given
	breakDown               // lets it and every later write and sync fail
)

func (a action) String() string { return [...]string{"hold", "cut", "fail", "break"}[a] }

// trap waits for the n-th operation of a kind on a class of files, "" for any.
type trap struct {
	op, class string
	n         int
	action    action
	times     int  // fail: how many in a row, at least 1
	loss      loss // cut

	let    chan error    // hold: the operation goes on with nil, or fails
	sprung chan struct{} // closed when the operation was caught
	image  *disk         // cut
}

// arm makes t catch operations; nil ends it. A disk has one trap at a time.
func (d *disk) arm(t *trap) {
	if t != nil {
		t.let, t.sprung = make(chan error), make(chan struct{})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trap = t
}

// caught reports whether t has caught its operation.
func (t *trap) caught() bool {
	select {
	case <-t.sprung:
		return true
	default:
		return false
	}
}

// release lets a held operation go on, or fail, alone or with all writes and syncs
// after it.
func (d *disk) release(t *trap, a action) {
	var err error
	if a == fail || a == breakDown {
		err = errInjected
	}
	d.mu.Lock()
	d.broken = d.broken || a == breakDown
	d.mu.Unlock()
	t.let <- err
}

// kill makes a dead process stop at its next operation.
func (d *disk) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// spring runs before every operation.
func (d *disk) spring(op, name string) error {
	d.mu.Lock()
	if d.dead {
		d.mu.Unlock()
		select {}
	}
	defer d.mu.Unlock()
	if d.broken && (op == "write" || op == "sync") {
		return errInjected
	}
	t := d.trap
	if t == nil || op != t.op || t.class != "" && class(name) != t.class {
		return nil
	}
	if t.n--; t.n > 0 {
		return nil
	}
	if t.action != fail || t.n <= 1-t.times {
		d.trap = nil
	}
	if t.n == 0 {
		close(t.sprung)
	}
	switch t.action {
	case hold:
		d.mu.Unlock()
		err := <-t.let
		d.mu.Lock()
		return err
	case cut:
		t.image = d.imageLocked(t.loss)
		return nil
	case breakDown:
		d.broken = true
	}
	return errInjected
}
