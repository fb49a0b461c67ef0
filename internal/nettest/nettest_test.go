package nettest

import (
	"net"
	"testing"
	"time"
)

// listen accepts connections and answers each byte.
func listen(t *testing.T, addr string) net.Listener {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for b := make([]byte, 1); ; {
					if _, err := c.Read(b); err != nil {
						return
					}
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l
}

func answers(c net.Conn, within time.Duration) bool {
	_ = c.SetDeadline(time.Now().Add(within))
	b := []byte{1}
	if _, err := c.Write(b); err != nil {
		return false
	}
	_, err := c.Read(b)
	return err == nil
}

func TestCutAndHeal(t *testing.T) {
	before, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if !Alone(t) {
		after, err := net.Interfaces()
		if err != nil || len(after) != len(before) {
			t.Errorf("interfaces %v before and %v after: %v", before, after, err)
		}
		return
	}
	for _, i := range before {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			t.Errorf("a network of its own has the interface %v", i)
		}
	}
	h := NewHost(t)
	var there net.Listener
	if err := h.Do(func() error { there = listen(t, h.Address+":0"); return nil }); err != nil || there == nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", there.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !answers(c, 10*time.Second) {
		t.Error("the other host does not answer")
	}
	h.Cut()
	if answers(c, 300*time.Millisecond) {
		t.Error("a host that is cut off answers")
	}
	if c, err := net.DialTimeout("tcp", there.Addr().String(), 300*time.Millisecond); err == nil {
		c.Close()
		t.Error("a host that is cut off can be connected to")
	}
	if err := h.Do(func() error { // it goes on by itself
		c, err := net.Dial("tcp", there.Addr().String())
		if err == nil {
			c.Close()
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	h.Heal()
	if c, err = net.DialTimeout("tcp", there.Addr().String(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !answers(c, 10*time.Second) {
		t.Error("after the cut the other host does not answer")
	}
}

// TestLoopbackOfItsOwn: what listens on the host's 127.0.0.1 is not on this one's.
func TestLoopbackOfItsOwn(t *testing.T) {
	if !Alone(t) {
		return
	}
	h := NewHost(t)
	var there net.Listener
	if err := h.Do(func() error { there = listen(t, "127.0.0.1:0"); return nil }); err != nil || there == nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", there.Addr().String()); err == nil {
		c.Close()
		t.Error("the hosts share their loopback")
	}
}
