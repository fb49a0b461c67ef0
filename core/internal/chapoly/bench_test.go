package chapoly

import (
	"fmt"
	"testing"

	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 As package hpke has it: chacha20poly1305 would allocate for each key.
	xpoly1305 "golang.org/x/crypto/poly1305"
)

func BenchmarkOpen(b *testing.B) {
	benchmark(b, func(in *batch, s *Scratch, n int) func() {
		o, k := newOutput(), in.keys()
		m := in.toOpen(o, n)
		return func() {
			if Open(s, k, m, n) != uint16(1<<n-1) {
				b.Fatal("does not open")
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	benchmark(b, func(in *batch, s *Scratch, n int) func() {
		o, k := newOutput(), in.keys()
		m := in.toSeal(o, n)
		return func() { Seal(s, k, m, n) }
	})
}

func benchmark(b *testing.B, prepare func(*batch, *Scratch, int) func()) {
	in := newBatch(b, random(200))
	for _, n := range []int{1, 8, Lanes} {
		b.Run(fmt.Sprintf("impl=ecoin/lanes=%d", n), func(b *testing.B) {
			run(b, n, prepare(in, new(Scratch), n))
		})
	}
	b.Run("impl=xcrypto/lanes=1", func(b *testing.B) {
		x := new(xcrypto)
		run(b, 1, func() { x.seal(in.key[0][:], in.nonce[0][:], in.aad[0][:], in.plain[0][:]) })
		if x.sealed != in.sealed[0] {
			b.Error("the baseline is wrong")
		}
	})
}

func run(b *testing.B, n int, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/msg")
}

// xcrypto does the same work for one message through x/crypto without allocations, as
// package hpke does it. Opening and sealing take the same steps.
type xcrypto struct {
	block   [64]byte
	polyKey [32]byte
	tag     [TagLen]byte
	lengths [16]byte
	sealed  [SealedLen]byte
}

func (x *xcrypto) seal(key, nonce, aad, plain []byte) {
	stream, err := chacha20.NewUnauthenticatedCipher(key, nonce)
	if err != nil {
		panic("chapoly: " + err.Error())
	}
	clear(x.block[:])
	stream.XORKeyStream(x.block[:], x.block[:])
	copy(x.polyKey[:], x.block[:])
	ciphertext := x.sealed[:PlaintextLen]
	stream.XORKeyStream(ciphertext, plain)
	*stream = chacha20.Cipher{}

	x.lengths[0], x.lengths[8] = AADLen, PlaintextLen
	var zeros [15]byte
	mac := xpoly1305.New(&x.polyKey)
	_, _ = mac.Write(aad)
	_, _ = mac.Write(zeros[:-len(aad)&15])
	_, _ = mac.Write(ciphertext)
	_, _ = mac.Write(x.lengths[:])
	mac.Sum(x.tag[:0])
	copy(x.sealed[PlaintextLen:], x.tag[:])
}
