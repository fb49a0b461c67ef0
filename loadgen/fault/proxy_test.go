package fault

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// duplex is an end of a connection in memory whose directions end one by one, as those of
// TCP do.
type duplex struct {
	net.Conn // to read from
	out      net.Conn
}

func newDuplex() (a, b conn) {
	r1, w1 := net.Pipe()
	r2, w2 := net.Pipe()
	return duplex{r1, w2}, duplex{r2, w1}
}

func (d duplex) Write(b []byte) (int, error) { return d.out.Write(b) }
func (d duplex) CloseWrite() error           { return d.out.Close() }
func (d duplex) Close() error                { return errors.Join(d.Conn.Close(), d.out.Close()) }

// inMemory returns a client and a server that a proxy connects.
func inMemory(p *Proxy) (client, server conn) {
	client, c := newDuplex()
	server, s := newDuplex()
	l := p.open(c)
	l.connect(s)
	go func() {
		defer l.close()
		l.forward()
	}()
	return client, server
}

// arrival is what one read gave, and when.
type arrival struct {
	at   time.Duration
	text string
}

// arrivals reads until the end.
func arrivals(c net.Conn) <-chan []arrival {
	begin, all := time.Now(), make(chan []arrival, 1)
	go func() {
		var list []arrival
		b := make([]byte, 64<<10)
		for {
			n, err := c.Read(b)
			if n > 0 {
				list = append(list, arrival{time.Since(begin), string(b[:n])})
			}
			if err != nil {
				all <- append(list, arrival{time.Since(begin), err.Error()})
				return
			}
		}
	}()
	return all
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
}

const ms = time.Millisecond

func TestProxyForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy()
		client, server := inMemory(p)
		up, down := arrivals(server), arrivals(client)
		send(t, client, "ask")
		send(t, server, "answer")
		client.CloseWrite()
		time.Sleep(time.Second)
		send(t, server, "and more")
		server.CloseWrite()
		if got := <-up; !slices.Equal(got, []arrival{{0, "ask"}, {0, "EOF"}}) {
			t.Errorf("up: %v", got)
		}
		if got := <-down; !slices.Equal(got, []arrival{{0, "answer"}, {time.Second, "and more"}, {time.Second, "EOF"}}) {
			t.Errorf("down: %v", got)
		}
		synctest.Wait()
		if len(p.links) != 0 {
			t.Error("the link is still there")
		}
	})
}

func TestProxyDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy()
		client, server := inMemory(p)
		up, down := arrivals(server), arrivals(client)
		send(t, client, "before")
		send(t, server, "BEFORE")
		p.change(func(n *network) { n.delay = 200 * ms })
		for _, one := range []string{"a", "b", "c", "d"} { // 0, 80, 160, 240 ms
			send(t, client, one)
			send(t, server, one+one)
			time.Sleep(80 * ms)
		}
		p.change(func(n *network) { n.delay = 0 }) // 320 ms
		send(t, client, "not before d")
		client.CloseWrite()
		time.Sleep(200 * ms)
		send(t, server, "after")
		server.CloseWrite()
		if got := <-up; !slices.Equal(got, []arrival{{0, "before"}, {200 * ms, "a"}, {280 * ms, "b"}, {360 * ms, "c"}, {440 * ms, "d"}, {440 * ms, "not before d"}, {440 * ms, "EOF"}}) {
			t.Errorf("up: %v", got)
		}
		if got := <-down; !slices.Equal(got, []arrival{{0, "BEFORE"}, {200 * ms, "aa"}, {280 * ms, "bb"}, {360 * ms, "cc"}, {440 * ms, "dd"}, {520 * ms, "after"}, {520 * ms, "EOF"}}) {
			t.Errorf("down: %v", got)
		}
	})
}

// TestProxyHoldsSoMuch has a sender that is faster than what may be on its way.
func TestProxyHoldsSoMuch(t *testing.T) {
	for _, c := range []struct {
		name string
		set  network
		most int // bytes taken from the sender at once
	}{
		{"delay", network{delay: time.Hour}, heldBytes},
		{"throttle", network{rate: 1}, heldSlow},
		{"both", network{rate: 10, delay: time.Hour}, heldSlow + 10*3600},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newProxy()
			client, server := inMemory(p)
			p.change(func(n *network) { n.delay, n.rate = c.set.delay, c.set.rate })
			taken := 0
			go func() {
				for {
					n, err := client.Write(make([]byte, 1000))
					if taken += n; err != nil {
						return
					}
				}
			}()
			arrived := make(chan int64)
			go func() {
				n, _ := io.Copy(io.Discard, server)
				arrived <- n
			}()
			synctest.Wait()
			if taken < c.most-2*readBytes || taken > c.most+2*readBytes {
				t.Errorf("%s: %d bytes taken, want about %d", c.name, taken, c.most)
			}
			p.drop()
			if n := <-arrived; n > fewestRead { // the first piece of a throttle
				t.Errorf("%s: %d bytes arrived", c.name, n)
			}
		})
	}
}

func TestProxyCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy()
		client, server := inMemory(p)
		up, down := arrivals(server), arrivals(client)
		p.change(func(n *network) { n.delay = 100 * ms })
		send(t, client, "on its way")
		time.Sleep(50 * ms)
		p.change(func(n *network) { n.delay, n.cut = 0, true })
		time.AfterFunc(3*time.Second, func() { p.change(func(n *network) { n.cut = false }) })
		go func() {
			send(t, client, "held")
			client.CloseWrite()
		}()
		send(t, server, "held, too")
		server.CloseWrite()
		const over = 3050 * ms
		if got := <-up; !slices.Equal(got, []arrival{{over, "on its way"}, {over, "held"}, {over, "EOF"}}) {
			t.Errorf("up: %v", got)
		}
		if got := <-down; !slices.Equal(got, []arrival{{over, "held, too"}, {over, "EOF"}}) {
			t.Errorf("down: %v", got)
		}
	})
}

// TestProxyThrottles counts what two connections together get through in a time, and that a
// way does not slow the other.
func TestProxyThrottles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, each = 100_000, 250_000
		p := newProxy()
		p.change(func(n *network) { n.rate = rate })
		var ups [2]<-chan []arrival
		var down <-chan []arrival
		for i := range ups {
			client, server := inMemory(p)
			ups[i] = arrivals(server)
			go func() {
				client.Write(make([]byte, each))
				client.CloseWrite()
			}()
			if i > 0 {
				server.CloseWrite()
				continue
			}
			down = arrivals(client)
			go func() {
				server.Write(make([]byte, each))
				server.CloseWrite()
			}()
		}
		all := slices.Concat(<-ups[0], <-ups[1])
		slices.SortFunc(all, func(a, b arrival) int { return int(a.at - b.at) })
		check := func(way string, all []arrival, total int) {
			bytes, ends := 0, 0
			for _, a := range all {
				if a.text == "EOF" {
					ends++
					continue
				}
				bytes += len(a.text)
				if may := a.at.Seconds()*rate + 2*rate/slowReads; float64(bytes) > may || float64(bytes) < may-6*rate/slowReads {
					t.Fatalf("%s: %d bytes after %v", way, bytes, a.at)
				}
			}
			if bytes != total {
				t.Errorf("%s: %d bytes", way, bytes)
			}
		}
		check("up", all, 2*each)
		check("down", <-down, each)
	})
}

// TestProxyThrottleEnds has bytes whose turn would be in a hundred seconds.
func TestProxyThrottleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy()
		client, server := inMemory(p)
		up, down := arrivals(server), arrivals(client)
		p.change(func(n *network) { n.rate = 10 })
		go func() {
			send(t, client, string(make([]byte, 2000)))
			client.CloseWrite()
		}()
		send(t, server, string(make([]byte, fewestRead)))
		time.Sleep(time.Second)
		p.change(func(n *network) { n.rate = 0 })
		p.change(func(n *network) { n.rate = 1e6 })
		send(t, server, "a new limit knows nothing of the old one")
		server.CloseWrite()
		for _, c := range []<-chan []arrival{up, down} {
			got := <-c
			if end := got[len(got)-1]; end.text != "EOF" || end.at < time.Second || end.at > time.Second+10*ms {
				t.Errorf("it ends with %q at %v", end.text, end.at)
			}
		}
	})
}

// TestProxyIsClosed has a connection that was accepted while the proxy was being closed.
func TestProxyIsClosed(t *testing.T) {
	p := newProxy()
	p.stop()
	p.drop()
	client, c := newDuplex()
	p.open(c)
	if _, err := client.Read(make([]byte, 1)); err != io.EOF || len(p.links) != 0 {
		t.Errorf("%v, %d links", err, len(p.links))
	}
}

func TestProxyDrops(t *testing.T) {
	for name, set := range map[string]func(*network){
		"in a fine network": func(*network) {}, "in a delay": func(n *network) { n.delay = time.Hour },
		"in a cut": func(n *network) { n.cut = true }, "in a throttle": func(n *network) { n.rate = 1 },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newProxy()
			client, server := inMemory(p)
			up, down := arrivals(server), arrivals(client)
			p.change(set)
			go client.Write(bytes.Repeat([]byte("a"), 10_000_000))
			synctest.Wait()
			p.drop()
			synctest.Wait()
			for _, c := range []<-chan []arrival{up, down} {
				select {
				case got := <-c:
					if end := got[len(got)-1]; end.text != "EOF" || end.at != 0 {
						t.Errorf("%s: it ends with %.30q at %v", name, end.text, end.at)
					}
				default:
					t.Errorf("%s: it does not end", name)
				}
			}
			if len(p.links) != 0 {
				t.Errorf("%s: the link is still there", name)
			}
		})
	}
}
