package pgledger

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ecoin/internal/pgtest"
)

func TestPreferReorders(t *testing.T) {
	c, err := pgx.ParseConfig("postgres://u@a:1,b:2,c:3,b:4/db?sslmode=prefer") // each host with TLS, then without
	if err != nil {
		t.Fatal(err)
	}
	order := func(last string) string {
		c := c.Copy()
		h := newHosts(c)
		h.last, h.addresses = last, map[string][]string{"a": {"192.0.2.1"}, "b": {"192.0.2.2", "2001:db8::2"}, "c": {"192.0.2.1"}}
		if err := h.prefer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		out := []string{c.Host + strconv.Itoa(int(c.Port)) + strconv.FormatBool(c.TLSConfig != nil)[:1]}
		for _, f := range c.Fallbacks {
			out = append(out, f.Host+strconv.Itoa(int(f.Port))+strconv.FormatBool(f.TLSConfig != nil)[:1])
		}
		return strings.Join(out, " ")
	}
	const asGiven = "a1t a1f b2t b2f c3t c3f b4t b4f"
	for last, want := range map[string]string{
		"":                asGiven,
		"192.0.2.1:1":     asGiven,
		"192.0.2.1:3":     "c3t c3f a1t a1f b2t b2f b4t b4f", // c has the address of a
		"192.0.2.2:4":     "b4t b4f a1t a1f b2t b2f c3t c3f",
		"[2001:db8::2]:2": "b2t b2f a1t a1f c3t c3f b4t b4f",
		"192.0.2.9:1":     asGiven,
	} {
		if got := order(last); got != want {
			t.Errorf("after %q worked: %s, want %s", last, got, want)
		}
	}
}

// TestSilentHostIsAskedOnce puts a host that never answers before the database.
func TestSilentHostIsAskedOnce(t *testing.T) {
	dsn := pgtest.Shared(t).NewDatabase(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []net.Conn
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			asked = append(asked, c)
			mu.Unlock()
		}
	}()
	defer func() {
		silent.Close()
		for _, c := range asked {
			c.Close()
		}
	}()
	dsn = strings.Replace(dsn, "@", "@"+strings.Replace(silent.Addr().String(), "127.0.0.1", "localhost", 1)+",", 1)
	dsn = strings.Replace(dsn, "connect_timeout=2", "connect_timeout=1", 1)
	p, err := newPool(t.Context(), dsn, 4, defaultTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 3 {
		var conns []*pgxpool.Conn
		for range 4 {
			c, err := p.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			c.Release()
		}
		p.Reset()
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 1 {
		t.Errorf("the silent host was asked %d times, want once", len(asked))
	}
}
