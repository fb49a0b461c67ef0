package core

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/subtle"
	"fmt"
	"slices"
	"testing"

	"ecoin/core/internal/cbc"
	"ecoin/core/internal/x25519"
)

// The names of these benchmarks stay: results of two versions are compared by name.
// impl=ecoin is this package, impl=stdlib the obvious use of the standard library. The
// two follow each other, so that a run repeated as a whole compares them under the same
// conditions.

// BenchmarkHeaderSeal measures records sealed one at a time and in batches; an
// operation of the benchmark is the whole batch, ns/header one of it. impl=pool is what
// a header costs when its ephemeral key is ready; BenchmarkPoolFill is the rest.
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
					dst, _ = seal(dst, &s, secs) // makes tables and memory for batches
					b.ReportAllocs()
					b.ResetTimer()
					for b.Loop() {
						var err error
						if dst, err = seal(dst[:0], &s, secs); err != nil {
							b.Fatal(err)
						}
					}
					reportPer(b, "header", n)
				})
			}
			run("ecoin", public.AppendHeaders)
			run("stdlib", newStd(b, key).appendHeaders)
		}
		if public.Suite() != SuiteX25519 {
			continue
		}
		b.Run("suite=x25519/impl=pool/batch=1", func(b *testing.B) {
			var s Scratch
			pool, err := NewHeaderPool(public, 4096)
			if err != nil {
				b.Fatal(err)
			}
			dst, sec := make([]byte, 0, public.Suite().RecordLen()), testSecrets(1)
			b.ReportAllocs()
			for b.Loop() {
				if pool.Len() == 0 {
					b.StopTimer()
					if err := pool.Fill(&s); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				if dst, err = pool.AppendHeader(dst[:0], &s, sec); err != nil {
					b.Fatal(err)
				}
			}
			reportPer(b, "header", 1)
		})
	}
}

// BenchmarkPoolFill measures what impl=pool does beforehand.
func BenchmarkPoolFill(b *testing.B) {
	var s Scratch
	pool, err := NewHeaderPool(testX25519().Public(), 64)
	if err != nil {
		b.Fatal(err)
	}
	_ = pool.Fill(&s)
	b.ReportAllocs()
	for b.Loop() {
		pool.Wipe()
		if err := pool.Fill(&s); err != nil {
			b.Fatal(err)
		}
	}
	reportPer(b, "header", 64)
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
					open(&s, records, out, ok) // makes memory for batches
					b.ReportAllocs()
					b.ResetTimer()
					for b.Loop() {
						open(&s, records, out, ok)
					}
					for i := range ok {
						if !ok[i] || out[i] != *testSecrets(byte(i)) {
							b.Fatalf("record %d does not open", i)
						}
					}
					reportPer(b, "header", n)
				})
			}
			run("ecoin", ring.OpenHeaders)
			run("stdlib", newStd(b, key).openHeaders)
		}
	}
}

// reportPer reports the time for one of the n things that an operation is.
func reportPer(b *testing.B, what string, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/"+what)
}

var payloadSizes = []int{64, 256, 1024, 4096, 16384}

// BenchmarkPayloadSeal measures requests: CBC and MAC under a fresh key each. An
// operation is the batch, ns/msg one of it; MB/s counts plaintext.
func BenchmarkPayloadSeal(b *testing.B) {
	benchPayload(b, func(b *testing.B, c *payloadBench) {
		c.run(b, "ecoin", func() {
			if len(c.dst) == 1 {
				c.dst[0], c.err = AppendRequest(c.dst[0], &c.s, c.records[0], &c.secs[0], c.plaintexts[0])
			} else {
				c.err = AppendRequests(c.dst, &c.s, c.records, c.secs, c.plaintexts)
			}
		})
		c.run(b, "stdlib", func() {
			for i := range c.dst {
				c.dst[i] = stdAppendRequest(b, c.dst[i], c.records[i], &c.secs[i], c.plaintexts[i])
			}
		})
	})
}

// BenchmarkPayloadOpen is BenchmarkPayloadSeal for the analyst's side.
func BenchmarkPayloadOpen(b *testing.B) {
	benchPayload(b, func(b *testing.B, c *payloadBench) {
		c.opens = true
		c.run(b, "ecoin", func() {
			if len(c.dst) == 1 {
				c.dst[0], c.err = c.reqs[0].Open(c.dst[0], &c.s, &c.secs[0])
				c.ok[0] = c.err == nil
			} else {
				OpenRequests(c.dst, &c.s, c.reqs, c.secs, c.ok)
			}
		})
		c.run(b, "stdlib", func() {
			for i := range c.dst {
				c.dst[i], c.ok[i] = stdOpenRequest(b, c.dst[i], &c.reqs[i], &c.secs[i])
			}
		})
	})
}

type payloadBench struct {
	s                   Scratch
	size                int
	reqs                []Request
	secs                []Secrets
	records, plaintexts [][]byte
	dst                 [][]byte
	ok                  []bool
	opens               bool // then all of ok must be true
	err                 error
}

func benchPayload(b *testing.B, f func(b *testing.B, c *payloadBench)) {
	key := testX25519()
	for _, size := range payloadSizes {
		for _, n := range []int{1, 16} {
			cases := payloadCases(b, key.Public(), slices.Repeat([]int{size}, n))
			c := &payloadBench{size: size, dst: make([][]byte, n), ok: make([]bool, n)}
			c.reqs, c.secs, c.records, c.plaintexts = columns(b, cases)
			f(b, c)
		}
	}
}

func (c *payloadBench) run(b *testing.B, impl string, f func()) {
	b.Run(fmt.Sprintf("impl=%s/size=%d/batch=%d", impl, c.size, len(c.dst)), func(b *testing.B) {
		clear(c.ok)
		round := func() {
			for i := range c.dst {
				c.dst[i] = c.dst[i][:0]
			}
			if f(); c.err != nil {
				b.Fatal(c.err)
			}
		}
		round() // makes memory for batches and results
		b.SetBytes(int64(c.size * len(c.dst)))
		b.ReportAllocs()
		b.ResetTimer()
		for b.Loop() {
			round()
		}
		if i := slices.Index(c.ok, false); c.opens && i >= 0 {
			b.Fatalf("request %d does not open", i)
		}
		reportPer(b, "msg", len(c.dst))
	})
}

// BenchmarkCBCDecrypt measures AES-256-CBC alone, with a fresh key each time.
func BenchmarkCBCDecrypt(b *testing.B) {
	key, iv := &[32]byte{1, 2, 3}, &[16]byte{4, 5, 6}
	for _, size := range payloadSizes {
		src, dst := make([]byte, size), make([]byte, size)
		run := func(impl string, f func()) {
			b.Run(fmt.Sprintf("impl=%s/size=%d", impl, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
				reportPer(b, "msg", 1)
			})
		}
		var k cbc.Schedule
		run("ecoin", func() {
			k.Expand(key)
			k.Decrypt(dst, src, iv)
		})
		run("stdlib", func() {
			block, err := aes.NewCipher(key[:])
			if err != nil {
				b.Fatal(err)
			}
			cipher.NewCBCDecrypter(block, iv[:]).CryptBlocks(dst, src)
		})
	}
}

// BenchmarkX25519 measures shared secrets of one private key, alone and in batches.
func BenchmarkX25519(b *testing.B) {
	k := &[32]byte{1, 2, 3}
	m, s := x25519.NewMultiplier(k), new(x25519.Scratch)
	priv, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 8, 64} {
		us, dst, ok := make([][32]byte, n), make([][32]byte, n), make([]bool, n)
		for i := range us {
			us[i] = [32]byte{9, byte(i), 7}
		}
		b.Run(fmt.Sprintf("impl=ecoin/batch=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.MultiplyMany(s, dst, ok, us)
			}
			reportPer(b, "key", n)
		})
		b.Run(fmt.Sprintf("impl=stdlib/batch=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i := range us {
					pub, err := ecdh.X25519().NewPublicKey(us[i][:])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := priv.ECDH(pub); err != nil {
						b.Fatal(err)
					}
				}
			}
			reportPer(b, "key", n)
		})
	}
}

// BenchmarkFingerprint measures the ledger's name of one coin.
func BenchmarkFingerprint(b *testing.B) {
	m, c := testMint(1, 2), &testSecrets(1).Coin
	b.Run("impl=ecoin", func(b *testing.B) {
		var f Fingerprint
		b.ReportAllocs()
		for b.Loop() {
			f = m.Fingerprint(c)
		}
		_ = f
	})
	b.Run("impl=stdlib", func(b *testing.B) {
		block, err := aes.NewCipher(bytes.Repeat([]byte{2}, 32))
		if err != nil {
			b.Fatal(err)
		}
		var f Fingerprint
		b.ReportAllocs()
		for b.Loop() {
			block.Encrypt(f[:], c[:16])
			subtle.XORBytes(f[:], f[:], c[16:])
			block.Encrypt(f[:], f[:])
		}
	})
}

// BenchmarkWithdrawCoins measures a withdrawal of 1000 coins: what a collector gets,
// and what the ledger keeps of it.
func BenchmarkWithdrawCoins(b *testing.B) {
	const n = 1000
	m, salt := testMint(1, 2), &Salt{3}
	b.Run("make=coins", func(b *testing.B) {
		dst := make([]Coin, 0, n)
		b.ReportAllocs()
		for b.Loop() {
			dst = m.AppendCoins(dst[:0], salt, n)
		}
		reportPer(b, "coin", n)
	})
	b.Run("make=fingerprints", func(b *testing.B) {
		dst := make([]Fingerprint, 0, n)
		b.ReportAllocs()
		for b.Loop() {
			dst = m.AppendFingerprints(dst[:0], salt, n)
		}
		reportPer(b, "coin", n)
	})
}
