package client

import (
	"fmt"
	"net/http"
	"testing"

	"ecoin/internal/wire"
)

// BenchmarkRedeem measures the client and net/http's server together, over mutual
// TLS on loopback, with a bank that does no work.
func BenchmarkRedeem(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", n), func(b *testing.B) {
			answer := make([]byte, n*wire.RedeemRecordLen)
			bank := newBank(b, func(w http.ResponseWriter, r *http.Request, body []byte) { send(w, wire.TypeBinary, answer) })
			c := bank.newClient(b, 0)
			recs := records(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Redeem(ctx, recs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
		})
	}
}
