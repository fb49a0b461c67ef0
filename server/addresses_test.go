package server

import (
	"crypto/tls"
	"net"
	"os"
	"testing"
	"time"

	"ecoin/internal/wire"
)

// TestConnectionLimitOfAnAddress: whoever takes all connections that an address may
// have keeps nobody else out.
func TestConnectionLimitOfAnAddress(t *testing.T) {
	h := start(t, func(o *Options) { o.MaxConnsPerAddress = 4 })
	collector := h.collector()
	other := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if c, err := other.Dial("tcp", h.s.addr().String()); err != nil {
		if os.Getenv("ECOIN_NO_SKIP") != "" {
			t.Fatalf("this system has one loopback address, and ECOIN_NO_SKIP is set: %v", err)
		}
		t.Skipf("this system has one loopback address: %v", err)
	} else {
		c.Close()
	}
	crowd := h.plain(20, "")
	eventually(t, "the crowd is refused", func() bool {
		return h.metric(`ecoin_connections_over_limit_total{limit="address"}`) == 16
	})
	ask := func() {
		t.Helper()
		c, err := tls.DialWithDialer(other, "tcp", h.s.addr().String(), collector.rawConfig())
		if err != nil {
			t.Fatalf("from another address: %v", err)
		}
		r := &rawConn{Conn: c, t: t, r: newReader(c)}
		r.send("GET /v1/keys HTTP/1.1\nHost: b\n\n")
		r.mustRead("from another address", 200)
		r.Close()
	}
	for range 10 {
		ask()
	}
	for _, c := range crowd {
		c.Close()
	}
	eventually(t, "places free", func() bool { return h.s.admission.open.Load() == 0 })
	collector.do("GET", wire.PathKeys, nil).want(t, "in the free place", 200)
}
