package server

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/wire"
)

func newReader(c *tls.Conn) *bufio.Reader { return bufio.NewReaderSize(c, 64<<10) }

// BenchmarkRedeem redeems fresh coins through mutual TLS into a durable ledger, from
// 16 connections. Client and server share the machine, so the time is that of both.
func BenchmarkRedeem(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("headers=%d", n), func(b *testing.B) {
			h := start(b)
			collector, analyst := h.collector(), h.analyst()
			if _, err := h.store.Grant(b.Context(), collector.account.ID, 1<<40); err != nil {
				b.Fatal(err)
			}
			bodies := make(chan []byte, b.N)
			for made := 0; made < b.N; {
				take := min(b.N-made, 10000/n)
				r := collector.do("POST", wire.PathWithdraw+"?n="+strconv.Itoa(take*n), nil, wire.HeaderIdempotencyKey, h.nextKey())
				coins, err := wire.ParseWithdrawn(nil, r.want(b, "withdraw", 200).body, take*n)
				if err != nil {
					b.Fatal(err)
				}
				for ; len(coins) > 0; coins = coins[n:] {
					bodies <- h.records(coins[:n])
				}
				made += take
			}
			close(bodies)
			conns := make(chan *rawConn, 16)
			for range cap(conns) {
				c := analyst.dial()
				_ = c.SetDeadline(time.Time{})
				conns <- c
			}
			b.SetParallelism(8)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				c := <-conns
				defer func() { conns <- c }()
				for pb.Next() {
					body := <-bodies
					_, err := fmt.Fprintf(c, "POST /v1/redeem HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
					if err != nil {
						b.Error(err)
						return
					}
					res, err := http.ReadResponse(c.r, nil)
					if err != nil {
						b.Error(err)
						return
					}
					answer, err := io.ReadAll(res.Body)
					if err != nil || len(answer) != n*wire.RedeemRecordLen || answer[0] != byte(core.StatusOK) {
						b.Errorf("%d bytes, %v", len(answer), err)
						return
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "coins/s")
			h.close()
		})
	}
}

// BenchmarkHandshake opens a connection, full and resumed, and asks one thing.
func BenchmarkHandshake(b *testing.B) {
	h := start(b)
	collector := h.collector()
	for _, resumed := range []bool{false, true} {
		b.Run(fmt.Sprintf("resumed=%v", resumed), func(b *testing.B) {
			config := collector.rawConfig()
			config.ClientSessionCache = nil
			if resumed {
				config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			}
			for b.Loop() {
				c, err := tls.Dial("tcp", h.s.addr().String(), config)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.WriteString(c, "GET /v1/keys HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
				if _, err := io.ReadAll(c); err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	}
}
