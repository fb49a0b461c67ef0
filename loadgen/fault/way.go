package fault

import (
	"errors"
	"io"
	"os"
	"time"
)

const (
	readBytes  = 16 << 10 // at once, where there is a fault
	slowReads  = 100      // a second, where the rate is limited: so much smaller are they
	fewestRead = 512
	heldBytes  = 4 << 20 // at most before reading stops
	heldSlow   = 64 << 10
)

// holds returns how many bytes a direction of a connection holds at most: what is on its
// way, and where the rate is limited little more, so that the sender feels it.
func (n *network) holds() int {
	if n.rate == 0 {
		return heldBytes
	}
	return int(min(heldBytes, heldSlow+float64(n.rate)*n.delay.Seconds()))
}

// way is one direction of a link. One goroutine owns it.
type way struct {
	link     *link
	dst, src conn
	pace     *pace

	held  []piece       // read, not written, in order
	slot  time.Time     // when the first of them may go at a limited rate; zero until it is due
	in    chan struct{} // what stands for the network (network.changed) in which slot was given
	bytes int           // of held
	ended bool          // src has nothing more
	buf   []byte        // to read into; nil until there is a fault
}

// piece is what one read gave.
type piece struct {
	b   []byte
	due time.Time // not to be written before
}

// copy copies until src ends or something fails. It reads until the first piece that it
// holds must go, and is woken when the network changes.
func (w *way) copy() error {
	for !w.ended || len(w.held) > 0 {
		n, goes := w.look()
		var err error
		switch {
		case n.cut:
			err = w.wait(n, nil)
		case len(w.held) == 0 && n.fine():
			w.buf = nil
			_, err = io.Copy(w.dst, w.src) // by splice(2) where the kernel has it
			w.ended = err == nil
		case len(w.held) > 0 && !goes.After(time.Now()):
			err = w.write()
		case w.ended || w.bytes >= n.holds():
			t := time.NewTimer(time.Until(goes))
			err = w.wait(n, t.C)
			t.Stop()
		default:
			err = w.read(n)
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return nil
}

// look returns how the network is and when the first piece that is held must go, zero when
// there is none. The next read ends then, and when the network changes after look.
func (w *way) look() (n network, goes time.Time) {
	p := w.link.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.in != p.net.changed {
		w.in, w.slot = p.net.changed, time.Time{}
	}
	if len(w.held) > 0 {
		goes = w.goesLocked(p.net.rate)
	}
	w.src.SetReadDeadline(goes) // fails only where the read will
	return p.net, goes
}

func (w *way) goesLocked(rate int64) time.Time {
	first := &w.held[0]
	if now := time.Now(); rate > 0 && w.slot.IsZero() && !first.due.After(now) {
		w.slot = w.pace.take(now, len(first.b), rate)
	}
	if !w.slot.IsZero() {
		return w.slot
	}
	return first.due
}

// wait waits until the network changes, or a time has come; it fails when the link is
// closed.
func (w *way) wait(n network, t <-chan time.Time) error {
	select {
	case <-n.changed:
	case <-t:
	case <-w.link.closed:
		return os.ErrClosed
	}
	return nil
}

func (w *way) write() error {
	first := w.held[0]
	w.held, w.slot = w.held[1:], time.Time{}
	w.bytes -= len(first.b)
	_, err := w.dst.Write(first.b)
	return err
}

func (w *way) read(n network) error {
	if w.buf == nil {
		w.buf = make([]byte, readBytes)
	}
	size := readBytes
	if n.rate > 0 {
		size = int(min(readBytes, max(fewestRead, n.rate/slowReads)))
	}
	got, err := w.src.Read(w.buf[:size])
	if got > 0 {
		w.held = append(w.held, piece{b: append([]byte(nil), w.buf[:got]...), due: time.Now().Add(n.delay)})
		w.bytes += got
	}
	if err == io.EOF {
		w.ended = true
		return nil
	}
	return err
}

// pace shares a rate among all that go one way. The zero value is ready. It is guarded by
// the proxy's mutex.
type pace struct {
	next time.Time // when the next bytes may go
}

// take returns when n bytes may go at so many bytes a second.
func (p *pace) take(now time.Time, n int, rate int64) time.Time {
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	return at
}
