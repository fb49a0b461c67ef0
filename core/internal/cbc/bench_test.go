package cbc

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"
)

var sizes = []int{64, 256, 1024, 4096, 16384}

// measured lists implementations under the names of the benchmarks: ecoin is what the
// package chooses on this machine.
func measured() []implementation {
	return append([]implementation{{"ecoin", useBest}}, implementations()...)
}

// BenchmarkCBCDecrypt decrypts a message under a fresh key.
func BenchmarkCBCDecrypt(b *testing.B) {
	benchmarkOne(b, (*Schedule).Decrypt, cipher.NewCBCDecrypter)
}

// BenchmarkCBCEncrypt encrypts a message under a fresh key.
func BenchmarkCBCEncrypt(b *testing.B) {
	benchmarkOne(b, (*Schedule).Encrypt, cipher.NewCBCEncrypter)
}

func benchmarkOne(
	b *testing.B,
	ours func(k *Schedule, dst, src []byte, iv *[BlockSize]byte),
	theirs func(cipher.Block, []byte) cipher.BlockMode,
) {
	for _, impl := range measured() {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("impl=%s/size=%d", impl.name, size), func(b *testing.B) {
				with(b, impl)
				var k Schedule
				var key [32]byte
				var iv [BlockSize]byte
				p := make([]byte, size)
				measure(b, 1, size, func() {
					key[0]++
					k.Expand(&key)
					ours(&k, p, p, &iv)
				})
			})
		}
	}
	for _, size := range sizes {
		b.Run(fmt.Sprintf("impl=stdlib/size=%d", size), func(b *testing.B) {
			var key [32]byte
			var iv [BlockSize]byte
			p := make([]byte, size)
			measure(b, 1, size, func() {
				key[0]++
				c, err := aes.NewCipher(key[:])
				if err != nil {
					b.Fatal(err)
				}
				theirs(c, iv[:]).CryptBlocks(p, p)
			})
		})
	}
}

// BenchmarkCBCEncryptMany encrypts messages of one size, each under a fresh key.
func BenchmarkCBCEncryptMany(b *testing.B) {
	const batch = 16
	for _, impl := range measured() {
		for _, size := range sizes {
			b.Run(fmt.Sprintf("impl=%s/size=%d/batch=%d", impl.name, size, batch), func(b *testing.B) {
				with(b, impl)
				s := new(ManyScratch)
				var keys [batch][32]byte
				var iv [BlockSize]byte
				var jobs [batch]Job
				for i := range jobs {
					p := make([]byte, size)
					jobs[i] = Job{&keys[i], &iv, p, p}
				}
				measure(b, batch, size, func() {
					for i := range keys {
						keys[i][0]++
					}
					EncryptMany(s, jobs[:])
				})
			})
		}
	}
	for _, size := range sizes {
		b.Run(fmt.Sprintf("impl=stdlib/size=%d/batch=%d", size, batch), func(b *testing.B) {
			var keys [batch][32]byte
			var iv [BlockSize]byte
			p := make([]byte, batch*size)
			measure(b, batch, size, func() {
				for i := range keys {
					keys[i][0]++
					c, err := aes.NewCipher(keys[i][:])
					if err != nil {
						b.Fatal(err)
					}
					message := p[i*size:][:size]
					cipher.NewCBCEncrypter(c, iv[:]).CryptBlocks(message, message)
				}
			})
		})
	}
}

// BenchmarkExpand makes the schedule of one key.
func BenchmarkExpand(b *testing.B) {
	for _, impl := range measured() {
		b.Run("impl="+impl.name, func(b *testing.B) {
			with(b, impl)
			var k Schedule
			var key [32]byte
			b.ReportAllocs()
			for b.Loop() {
				key[0]++
				k.Expand(&key)
			}
		})
	}
}

// measure times f, which works on messages of size bytes.
func measure(b *testing.B, messages, size int, f func()) {
	b.SetBytes(int64(messages * size))
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/msg")
}
