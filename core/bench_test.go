package core

import (
	"fmt"
	"testing"
)

var payloadSizes = []struct {
	name string
	n    int
}{{"256B", 256}, {"4KiB", 4 << 10}, {"16KiB", 16 << 10}}

// BenchmarkHeaderSeal measures records sealed one at a time and in batches; an
// operation of the benchmark is the whole batch, ns/header one of it. The two
// implementations of a batch follow each other, so that a run repeated as a whole
// compares them under the same conditions.
func BenchmarkHeaderSeal(b *testing.B) {
	for _, key := range testKeys() {
		public := key.Public()
		for _, n := range []int{1, 8, 64} {
			secs := make([]Secrets, n)
			for i := range secs {
				secs[i] = *testSecrets(byte(i))
			}
			run := func(impl string, seal func(dst []byte, s *Scratch, secs []Secrets) ([]byte, error)) {
				b.Run(fmt.Sprintf("suite=%v/impl=%s/batch=%d", public.Suite(), impl, n), func(b *testing.B) {
					var s Scratch
					dst := make([]byte, 0, n*public.Suite().RecordLen())
					b.ReportAllocs()
					for b.Loop() {
						var err error
						if dst, err = seal(dst[:0], &s, secs); err != nil {
							b.Fatal(err)
						}
					}
					reportPerHeader(b, n)
				})
			}
			run("ecoin", public.AppendHeaders)
			run("stdlib", newStd(b, key).appendHeaders)
		}
	}
}

// BenchmarkHeaderOpen is BenchmarkHeaderSeal for the bank's side.
func BenchmarkHeaderOpen(b *testing.B) {
	for _, key := range testKeys() {
		ring, err := NewKeyring(key)
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range []int{1, 8, 64} {
			records := make([][]byte, n)
			for i := range records {
				records[i] = mustRecord(b, key.Public(), testSecrets(byte(i)))
			}
			out, ok := make([]Secrets, n), make([]bool, n)
			run := func(impl string, open func(s *Scratch, records [][]byte, out []Secrets, ok []bool)) {
				b.Run(fmt.Sprintf("suite=%v/impl=%s/batch=%d", key.Public().Suite(), impl, n), func(b *testing.B) {
					var s Scratch
					b.ReportAllocs()
					for b.Loop() {
						open(&s, records, out, ok)
					}
					for i := range ok {
						if !ok[i] || out[i] != *testSecrets(byte(i)) {
							b.Fatalf("record %d does not open", i)
						}
					}
					reportPerHeader(b, n)
				})
			}
			run("ecoin", ring.OpenHeaders)
			run("stdlib", newStd(b, key).openHeaders)
		}
	}
}

func reportPerHeader(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/header")
}

func BenchmarkPayloadSeal(b *testing.B) {
	sec := testSecrets(1)
	record := mustRecord(b, testX25519().Public(), sec)
	for _, size := range payloadSizes {
		plaintext := make([]byte, size.n)
		b.Run("impl=std/size="+size.name, func(b *testing.B) {
			var s Scratch
			var dst []byte
			b.SetBytes(int64(size.n))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = AppendRequest(dst[:0], &s, record, sec, plaintext); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPayloadOpen(b *testing.B) {
	sec := testSecrets(1)
	for _, size := range payloadSizes {
		msg := mustRequest(b, testX25519().Public(), sec, make([]byte, size.n))
		b.Run("impl=std/size="+size.name, func(b *testing.B) {
			var s Scratch
			var dst []byte
			b.SetBytes(int64(size.n))
			b.ReportAllocs()
			for b.Loop() {
				req, err := ParseRequest(msg)
				if err != nil {
					b.Fatal(err)
				}
				if dst, err = req.Open(dst[:0], &s, sec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFingerprint(b *testing.B) {
	m, c := testMint(1, 2), &testSecrets(1).Coin
	b.Run("impl=std", func(b *testing.B) {
		var f Fingerprint
		b.ReportAllocs()
		for b.Loop() {
			f = m.Fingerprint(c)
		}
		_ = f
	})
}

// BenchmarkMint measures one withdrawal of 1000 coins.
func BenchmarkMint(b *testing.B) {
	const n = 1000
	m, salt := testMint(1, 2), &Salt{3}
	b.Run("impl=std/make=coins", func(b *testing.B) {
		dst := make([]Coin, 0, n)
		b.ReportAllocs()
		for b.Loop() {
			dst = m.AppendCoins(dst[:0], salt, n)
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "coins/s")
	})
	b.Run("impl=std/make=fingerprints", func(b *testing.B) {
		dst := make([]Fingerprint, 0, n)
		b.ReportAllocs()
		for b.Loop() {
			dst = m.AppendFingerprints(dst[:0], salt, n)
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "coins/s")
	})
}
