package server

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
	"ecoin/ledger"
)

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDeclaredBodiesCostNothing: memory is for what arrives, not for what is declared.
func TestDeclaredBodiesCostNothing(t *testing.T) {
	h := start(t)
	analyst, collector := h.analyst(), h.collector()
	conns := make([]*rawConn, 100)
	for i := range conns {
		conns[i] = analyst.dial()
	}
	before := heapBytes()
	for _, c := range conns {
		c.send(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: %d\n\nx", wire.MaxRecordsBody))
	}
	for range 50 { // 3 GiB, refused without a byte of it
		d := collector.dial()
		d.send("POST /v1/refund HTTP/1.1\nHost: b\nContent-Length: 67108864\n\n")
		d.mustRead("64 MiB declared", 413)
	}
	if grown := heapBytes() - before; grown > 8<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// TestBodyMemory: an account whose large requests arrive slowly is refused further ones,
// others are not, and all memory comes back.
func TestBodyMemory(t *testing.T) {
	t.Parallel()
	h := start(t, func(o *Options) { o.BodyMemory = 2 << 20 })
	slow, other := h.analyst(), h.client("lab-2", ledger.RoleAnalyst, 0)
	var held []*rawConn
	refused := 0
	for range 40 {
		c := slow.dial()
		c.send(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: %d\n\n", wire.MaxRecordsBody))
		_, _ = c.Write(make([]byte, 100<<10))
		held = append(held, c)
	}
	eventually(t, "memory in use", func() bool { return h.s.bodies.memory.InUse() > 800<<10 })
	for _, c := range held {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if r, err := c.read(); err == nil {
			if r.status != 503 || r.header.Get("Retry-After") != "1" {
				t.Errorf("status %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
			}
			refused++
		}
	}
	if refused < 10 || refused > 38 {
		t.Errorf("%d of 40 slow requests of 1 MB were refused", refused)
	}
	if used := h.s.bodies.memory.InUse(); used > 1<<20 {
		t.Errorf("one account uses %d KiB of 2 MiB", used>>10)
	}
	coins := h.client("cam-2", ledger.RoleCollector, 1000).withdraw(1000)
	r := other.do("POST", wire.PathRedeem, h.records(coins)).want(t, "a large request of another", 200)
	if want := bytes.Repeat([]byte{byte(core.StatusOK)}, 1000); !bytes.Equal(statuses(r.body, wire.RedeemRecordLen), want) {
		t.Error("its coins were not redeemed")
	}
	for _, c := range held {
		c.Close()
	}
	eventually(t, "memory given back", func() bool { return h.s.bodies.memory.InUse() == 0 })
}

// TestBodiesInPieces sends bodies of every size around the steps in which memory grows,
// cut anywhere, two in a row on one connection.
func TestBodiesInPieces(t *testing.T) {
	h := start(t)
	analyst := h.analyst()
	coins := h.collector().withdraw(3000)
	conn := analyst.dial()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	for i, n := range []int{1, 75, 76, 1, 151, 152, 303, 304, 700, 1000, 2} {
		body := h.records(coins[:n])
		coins = coins[n:]
		conn.send(fmt.Sprintf("POST /v1/redeem HTTP/1.1\nHost: b\nContent-Length: %d\n\n", len(body)))
		for len(body) > 0 {
			take := min(len(body), []int{1 << 20, 4095, 8192, 16384}[i%4])
			if _, err := conn.Write(body[:take]); err != nil {
				t.Fatal(err)
			}
			body = body[take:]
		}
		r := conn.mustRead(fmt.Sprintf("%d records", n), 200)
		if !bytes.Equal(statuses(r.body, wire.RedeemRecordLen), make([]byte, n)) {
			t.Errorf("%d records: not all were redeemed", n)
		}
	}
	if h.s.bodies.memory.InUse() != 0 {
		t.Error("memory is not given back")
	}
}

// TestBodiesAreWiped looks at the memory of bodies after their requests.
func TestBodiesAreWiped(t *testing.T) {
	seen := map[int][]byte{}
	h := start(t, func(o *Options) { o.Bank = &refundSpy{o.Bank, seen} })
	collector := h.collector()
	for _, n := range []int{2, 600} {
		coins := collector.withdraw(n)
		collector.do("POST", wire.PathRefund, wire.AppendCoins(nil, coins)).want(t, "refund", 200)
	}
	eventually(t, "wiped", func() bool { return h.metric(`ecoin_http_requests_total{route="/v1/refund",code="200"}`) == 2 })
	for _, n := range []int{2, 600} {
		if len(seen[n]) != 32*n || !bytes.Equal(seen[n], make([]byte, 32*n)) {
			t.Errorf("the coins of a refund of %d are still in the request's memory", n)
		}
	}
}

// refundSpy keeps the bodies of refunds, by their number of coins.
type refundSpy struct {
	Bank
	seen map[int][]byte
}

func (b *refundSpy) Refund(ctx context.Context, acc ledger.Client, dst, body []byte) ([]byte, error) {
	b.seen[len(body)/32] = body
	return b.Bank.Refund(ctx, acc, dst, body)
}
