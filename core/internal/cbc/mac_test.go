package cbc

import (
	"slices"
	"testing"
)

// libraryMAC is the MAC that crypto/cipher makes.
func libraryMAC(t testing.TB, key *[32]byte, msg *MACMessage) [BlockSize]byte {
	return [BlockSize]byte(libraryEncrypt(t, key, new([BlockSize]byte), msg[:])[BlockSize:])
}

// TestMAC takes every number of messages around the lanes, each message its own.
func TestMAC(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		for n := range 2*maxLanes + 3 {
			key := [32]byte(random(byte(n), 32))
			m := NewMAC(&key)
			msgs, want := make([]MACMessage, n), make([][BlockSize]byte, n)
			for i := range msgs {
				msgs[i] = MACMessage(random(byte(n+i+100), 2*BlockSize))
				want[i] = libraryMAC(t, &key, &msgs[i])
				var got [BlockSize]byte
				before := msgs[i]
				if m.Sum(&got, &msgs[i]); got != want[i] || msgs[i] != before {
					t.Errorf("message %d: differs, or is another now", i)
				}
			}
			clear(key[:]) // it has its own
			got := slices.Repeat([][BlockSize]byte{{filler}}, n+1)
			if m.SumMany(got[:n], msgs); !slices.Equal(got[:n], want) || got[n] != [BlockSize]byte{filler} {
				t.Errorf("%d messages: differ, or wrote past the end", n)
			}
		}
	})
}

func TestMACPanics(t *testing.T) {
	m := NewMAC(new([32]byte))
	for _, n := range [][2]int{{16, 17}, {17, 16}, {0, 1}} {
		dst := make([][BlockSize]byte, n[0])
		if got := panicOf(func() { m.SumMany(dst, make([]MACMessage, n[1])) }); got != "cbc: dst and msgs differ in length" {
			t.Errorf("%v: panics with %q", n, got)
		}
	}
}

// FuzzMAC is for macAESNI and its like, and for the lanes.
func FuzzMAC(f *testing.F) {
	f.Add(random(1, 32), random(2, 32))
	f.Add(random(1, 32), random(3, 40*32))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var key [32]byte
		copy(key[:], a)
		msgs := make([]MACMessage, len(b)/len(MACMessage{}))
		want := make([][BlockSize]byte, len(msgs))
		for i := range msgs {
			msgs[i] = MACMessage(b[i*len(MACMessage{}):])
			want[i] = libraryMAC(t, &key, &msgs[i])
		}
		for _, impl := range implementations() {
			with(t, impl)
			m := NewMAC(&key)
			got, one := make([][BlockSize]byte, len(msgs)), make([][BlockSize]byte, len(msgs))
			for i := range msgs {
				m.Sum(&one[i], &msgs[i])
			}
			if m.SumMany(got, slices.Clone(msgs)); !slices.Equal(got, want) || !slices.Equal(one, want) {
				t.Errorf("%s: differs", impl.name)
			}
		}
	})
}

// BenchmarkMAC authenticates messages under one key, one by one and many together.
func BenchmarkMAC(b *testing.B) {
	const n = 64
	m := NewMAC(new([32]byte))
	for _, impl := range measured() {
		dst, msgs := make([][BlockSize]byte, n), make([]MACMessage, n)
		b.Run("impl="+impl.name+"/batch=1", func(b *testing.B) {
			with(b, impl)
			measure(b, 1, len(msgs[0]), func() { m.Sum(&dst[0], &msgs[0]) })
		})
		b.Run("impl="+impl.name+"/batch=64", func(b *testing.B) {
			with(b, impl)
			measure(b, n, len(msgs[0]), func() { m.SumMany(dst, msgs) })
		})
	}
}
