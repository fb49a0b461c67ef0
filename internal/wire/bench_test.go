package wire

import (
	"bytes"
	"testing"
	"time"

	"ecoin/core"
)

// perItem reports the time of one item of a batch.
func perItem(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/item")
}

func BenchmarkAppendRecords(b *testing.B) {
	body := bytes.Repeat(record(core.SuiteX25519, 1), MaxBatch)
	dst := make([][]byte, 0, MaxBatch)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = AppendRecords(dst[:0], body)
	}
	perItem(b, MaxBatch)
}

func BenchmarkRedeemRecords(b *testing.B) {
	sec := secrets(1)
	var body []byte
	for range MaxBatch {
		body = AppendRedeemRecord(body, core.StatusOK, sec)
	}
	b.Run("op=append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			body = body[:0]
			for range MaxBatch {
				body = AppendRedeemRecord(body, core.StatusOK, sec)
			}
		}
		perItem(b, MaxBatch)
	})
	b.Run("op=parse", func(b *testing.B) {
		var out core.Secrets
		b.ReportAllocs()
		for b.Loop() {
			for rest := body; len(rest) > 0; rest = rest[RedeemRecordLen:] {
				if _, err := ParseRedeemRecord(rest[:RedeemRecordLen], &out); err != nil {
					b.Fatal(err)
				}
			}
		}
		perItem(b, MaxBatch)
	})
}

func BenchmarkRefundRecords(b *testing.B) {
	at := time.Now()
	var body []byte
	for range MaxBatch {
		body = AppendRefundRecord(body, core.StatusRedeemed, at, [16]byte{1})
	}
	b.Run("op=append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			body = body[:0]
			for range MaxBatch {
				body = AppendRefundRecord(body, core.StatusRedeemed, at, [16]byte{1})
			}
		}
		perItem(b, MaxBatch)
	})
	b.Run("op=parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for rest := body; len(rest) > 0; rest = rest[RefundRecordLen:] {
				if _, _, _, err := ParseRefundRecord(rest[:RefundRecordLen]); err != nil {
					b.Fatal(err)
				}
			}
		}
		perItem(b, MaxBatch)
	})
}

func BenchmarkCoins(b *testing.B) {
	body := make([]byte, MaxCoinsBody)
	coins := make([]core.Coin, 0, MaxBatch)
	b.SetBytes(MaxCoinsBody)
	b.ReportAllocs()
	for b.Loop() {
		coins, _ = ParseRefundRequest(coins[:0], body)
	}
	perItem(b, MaxBatch)
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	sec := secrets(1)
	body := bytes.Repeat(record(core.SuiteX25519, 1), 10)
	records := make([][]byte, 0, 10)
	dst := make([]byte, 0, 1024)
	coins := make([]core.Coin, 0, 10)
	coinBody := make([]byte, 10*CoinLen)
	for name, f := range map[string]func(){
		"AppendRecords":       func() { records, _ = AppendRecords(records[:0], body) },
		"AppendRedeemRecord":  func() { dst = AppendRedeemRecord(dst[:0], core.StatusOK, sec) },
		"redeem refusal":      func() { dst = AppendRedeemRecord(dst[:0], core.StatusNotLive, nil) },
		"AppendRefundRecord":  func() { dst = AppendRefundRecord(dst[:0], core.StatusRedeemed, time.Time{}, [16]byte{}) },
		"refund refusal":      func() { dst = AppendRefundRecord(dst[:0], core.StatusNotLive, time.Time{}, [16]byte{}) },
		"AppendCoins":         func() { dst = AppendCoins(dst[:0], coins) },
		"ParseRefundRequest":  func() { coins, _ = ParseRefundRequest(coins[:0], coinBody) },
		"ParseRefundRecord":   func() { _, _, _, _ = ParseRefundRecord(coinBody[:RefundRecordLen]) },
		"ParseIdempotencyKey": func() { _, _ = ParseIdempotencyKey("00112233445566778899aabbccddeeff") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
