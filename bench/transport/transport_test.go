package transport

import (
	"context"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"

	"ecoin/internal/identity"
	"ecoin/loadgen/fleet"
)

// served is a server of a kind, and a pool of clients of it.
func served(t testing.TB, kind string) *fleet.Pool {
	t.Helper()
	dir := t.TempDir()
	id, err := identity.Create(dir, "bank", []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := Serve(ctx, kind, l, id); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	roots := x509.NewCertPool()
	roots.AddCert(id.Certificate.Leaf)
	return fleet.NewPool(fleet.PoolOptions{Address: l.Addr().String(), Name: "127.0.0.1", Roots: roots, Seed: fleet.NewSeed(), Role: "analyst"})
}

func TestServe(t *testing.T) {
	for _, kind := range []string{FastHTTP, NetHTTP} {
		p := served(t, kind)
		for _, n := range []int{1, 100, 1000} {
			if headers, took, err := Load(t.Context(), p, 2, n, time.Millisecond, func() error { return nil }); err != nil || headers < 2*int64(n) || took <= 0 {
				t.Errorf("%s: %d headers, %v, %v", kind, headers, took, err)
			}
		}
		for name, size := range map[string]int{"none": 0, "a part": HeaderLen + 1, "too many": 1001 * HeaderLen} {
			c, err := p.Get(t.Context(), 0, time.Now().Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			if r, err := c.Post("/v1/redeem", "", make([]byte, size), time.Now().Add(time.Minute)); err == nil && r.Status < 400 {
				t.Errorf("%s, %s: status %d", kind, name, r.Status)
			}
			_ = c.Close()
		}
	}
	if err := Serve(t.Context(), "gopher", nil, &identity.Identity{}); err == nil {
		t.Error("a server that is none")
	}
}

// BenchmarkPost posts on one connection. An operation is a header; client and server are one
// process.
func BenchmarkPost(b *testing.B) {
	for _, kind := range []string{FastHTTP, NetHTTP} {
		for name, n := range map[string]int{"headers=1": 1, "headers=100": 100} {
			b.Run("server="+map[string]string{FastHTTP: "fasthttp", NetHTTP: "nethttp"}[kind]+"/"+name, func(b *testing.B) {
				p := served(b, kind)
				c, err := p.Get(context.Background(), 0, time.Now().Add(time.Minute))
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				body := make([]byte, n*HeaderLen)
				b.ResetTimer()
				for i := 0; i < b.N; i += n {
					if r, err := c.Post("/v1/redeem", "", body, time.Now().Add(time.Minute)); err != nil || r.Status != 200 {
						b.Fatal(r.Status, err)
					}
				}
			})
		}
	}
}
