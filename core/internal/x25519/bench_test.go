package x25519

import (
	"crypto/ecdh"
	"testing"
)

// BenchmarkX25519 measures one shared secret; the scalar is the same each time.
func BenchmarkX25519(b *testing.B) {
	k, u := [32]byte{1, 2, 3}, [32]byte{9, 8, 7}
	b.Run("impl=ecoin", func(b *testing.B) {
		var out [32]byte
		b.ReportAllocs()
		for b.Loop() {
			Multiply(&out, &k, &u)
		}
	})
	b.Run("impl=stdlib", func(b *testing.B) {
		priv, err := ecdh.X25519().NewPrivateKey(k[:])
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			pub, err := ecdh.X25519().NewPublicKey(u[:])
			if err != nil {
				b.Fatal(err)
			}
			if _, err := priv.ECDH(pub); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkX25519Base measures one public key.
func BenchmarkX25519Base(b *testing.B) {
	k := [32]byte{1, 2, 3}
	b.Run("impl=ecoin", func(b *testing.B) {
		var out [32]byte
		b.ReportAllocs()
		for b.Loop() {
			BaseMultiply(&out, &k)
		}
	})
	b.Run("impl=stdlib", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ecdh.X25519().NewPrivateKey(k[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
