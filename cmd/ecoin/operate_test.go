package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/client"
	"ecoin/internal/identity"
	"ecoin/internal/wire"
)

// relay is a director process and its certificate.
type relay struct{ url, cert string }

func newRelay(t *testing.T) relay {
	t.Helper()
	dir := t.TempDir()
	mustEcoin(t, "keys", "client", "relay", "--dir", dir)
	cert := filepath.Join(dir, "relay.crt")
	p := startProc(t, "director", "--cert", cert, "--key", filepath.Join(dir, "relay.key"), "--listen", "127.0.0.1:0")
	return relay{fmt.Sprint(p.says("listening")["url"]), cert}
}

// startAnalyst runs an analyst until the test ends, and returns when it is registered.
func startAnalyst(t *testing.T, r relay, cert, key string, args ...string) *proc {
	t.Helper()
	p := startProc(t, append([]string{"analyst", "--cert", cert, "--key", key, "--listen", "127.0.0.1:0",
		"--director", r.url, "--director-cert", r.cert}, args...)...)
	p.says("registered")
	return p
}

// camera is a collector with a wallet, whose operations go to a relay.
type camera struct {
	t    *testing.T
	args []string // of every command
	relay
}

func (b *testBank) newCamera(name string, credit int, r relay) *camera {
	b.t.Helper()
	cert, key := b.party(name, "collector", credit)
	return &camera{b.t, []string{"--cert", cert, "--key", key, "--bank", b.url(), "--bank-cert", b.cert(), "--wallet", filepath.Join(b.t.TempDir(), "wallet")}, r}
}

// operate does n operations and returns how many were served.
func (c *camera) operate(n int) (served int) {
	c.t.Helper()
	code, out, stderr := ecoin(c.t, append([]string{"collector", "run", "--json", "--director", c.url, "--director-cert", c.cert, "--rows", "3",
		"--csv", filepath.Join("..", "..", "testdata", "occupancy-datatest.csv"), "--operations", fmt.Sprint(n)}, c.args...)...)
	lines := 0
	for line := range strings.Lines(out) {
		var o operationLine
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			c.t.Fatalf("%v: %s", err, line)
		}
		lines++
		if o.OK {
			served++
		}
	}
	if lines != n || code != map[bool]int{true: 0, false: 3}[served == n] {
		c.t.Fatalf("%d lines of %d operations, exit code %d\n%s%s", lines, n, code, out, stderr)
	}
	return served
}

// refund returns how many coins the bank gave back.
func (c *camera) refund() int {
	c.t.Helper()
	var report refundReport
	if err := json.Unmarshal([]byte(mustEcoin(c.t, append([]string{"collector", "refund", "--json"}, c.args...)...)), &report); err != nil {
		c.t.Fatal(err)
	}
	return report.Refunded
}

// lossyBank stands between an analyst and its bank, with the keys of both, and swallows
// answers to redeems: the bank acts, and the connection ends.
type lossyBank struct {
	url       string
	swallow   atomic.Int64 // so many answers more
	swallowed atomic.Int64
}

func newLossyBank(t *testing.T, b *testBank, cert, key string) *lossyBank {
	t.Helper()
	own, err := identity.Load(b.cert(), filepath.Join(b.dir, "keys", "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := identity.ReadRoots(b.cert())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: identity.ClientConfig(id, roots)}
	l := new(lossyBank)
	s := &http.Server{
		TLSConfig: identity.ServerConfig(own, func([32]byte) error { return nil }),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			req, err := http.NewRequestWithContext(r.Context(), r.Method, b.url()+r.URL.RequestURI(), bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				panic(http.ErrAbortHandler)
			}
			req.Header = r.Header.Clone()
			resp, err := transport.RoundTrip(req)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err != nil || r.URL.Path == wire.PathRedeem && l.swallow.Add(-1) >= 0 {
				l.swallowed.Add(1)
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
			w.WriteHeader(resp.StatusCode)
			_, _ = w.Write(answer)
		}),
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.url = "https://" + ln.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ServeTLS(ln, "", "") }()
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
		<-done
	})
	return l
}

// TestLostRedeem loses what the bank says to a redeem. As long as the operation has time
// it is served all the same, once and for one credit; after that its coin is returned. In
// neither case is anybody credited for what nobody got.
func TestLostRedeem(t *testing.T) {
	t.Parallel() // processes start and end most of the time
	b := newBank(t)
	r := newRelay(t)
	cert, key := b.party("lab", "analyst", 0)
	lossy := newLossyBank(t, b, cert, key)
	startAnalyst(t, r, cert, key, "--bank", lossy.url, "--bank-cert", b.cert(), "--timeout", "8s")
	cam := b.newCamera("cam", 100, r)
	id, err := identity.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := identity.ReadRoots(b.cert())
	if err != nil {
		t.Fatal(err)
	}
	lab, err := client.New(client.Options{URL: b.url(), Identity: id, Roots: roots, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	account := func() wire.Account {
		return settle(t, func() (wire.Account, error) { return lab.Account(context.Background()) })
	}

	lossy.swallow.Store(1)
	if n := cam.operate(3); n != 3 || lossy.swallowed.Load() != 1 {
		t.Fatalf("%d of 3 operations were served, %d answers were lost", n, lossy.swallowed.Load())
	}
	if a := account(); a.Balance != 3 || a.Redeemed != 3 || a.Returned != 0 {
		t.Errorf("after 3 operations the analyst has %+v", a)
	}

	lossy.swallow.Store(1 << 40)
	if n := cam.operate(1); n != 0 {
		t.Fatal("served without knowing whether the coin was redeemed")
	}
	lossy.swallow.Store(0)
	for deadline := time.Now().Add(30 * time.Second); account().Returned == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the coin does not come back: %+v", account())
		}
	}
	if n := cam.refund(); n != 1 {
		t.Errorf("%d coins were refunded, want the one that was not served", n)
	}
	if n := cam.operate(2); n != 2 {
		t.Errorf("%d of 2 operations were served afterwards", n)
	}
	if a := account(); a.Balance != 5 || a.Redeemed != 6 || a.Returned != 1 {
		t.Errorf("in the end the analyst has %+v", a)
	}
	mustEcoin(t, "audit", "--dir", b.dir)
}
