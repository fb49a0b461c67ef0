package hmac256

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"testing"
	"unsafe"

	"ecoin/core/internal/race"
)

// eachPath runs f with saved states and without, whatever the processor is good at.
func eachPath(t *testing.T, f func(t *testing.T)) {
	defer func(before bool) { saveStates = before }(saveStates)
	for _, saveStates = range []bool{false, true} {
		name := "library"
		if saveStates {
			name = "states"
		}
		t.Run(name, f)
	}
}

func standard(key []byte, parts ...[]byte) (sum [Size]byte) {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// pattern returns n bytes that differ with the seed.
func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((i+1)*(37+2*seed) + i>>3 + seed>>7)
	}
	return b
}

// stride is the step through all lengths: 1, or n where -short asks for less.
func stride(n int) int {
	if testing.Short() {
		return n
	}
	return 1
}

// TestAgainstStandardLibrary takes every length of key, and of message from 0 to 300
// bytes in one, two and three parts, downwards with one scratch for all: nothing of a
// longer key or message may stay.
func TestAgainstStandardLibrary(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		var s Scratch
		var k Key
		msg := pattern(300, 1)
		for keyLen := blockSize; keyLen >= 0; keyLen -= stride(21) {
			key := pattern(keyLen, keyLen)
			k.Set(&s, key)
			h := hmac.New(sha256.New, key)
			for n := len(msg); n >= 0; n-- {
				h.Reset()
				h.Write(msg[:n])
				want := [Size]byte(h.Sum(nil))
				for _, parts := range [][][]byte{
					{msg[:n]}, {msg[:n/2], msg[n/2 : n]}, {msg[:n/5], nil, msg[n/5 : n/3], msg[n/3 : n]},
				} {
					var got [Size]byte
					if k.Sum(&s, &got, parts...); got != want {
						t.Fatalf("key of %d bytes, message of %d in %d parts: differs from crypto/hmac", keyLen, n, len(parts))
					}
				}
			}
		}
	})
}

// TestLongParts crosses the pieces in which long messages reach the standard library.
func TestLongParts(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		var s Scratch
		var k Key
		key, msg := pattern(32, 1), pattern(5000, 2)
		k.Set(&s, key)
		for _, n := range []int{960, 1023, 1024, 1025, 2048, 4096, 4999, 5000} {
			for _, cut := range []int{0, 1, 63, 64, 65, 959, 960} {
				var got [Size]byte
				if k.Sum(&s, &got, msg[:cut], msg[cut:n]); got != standard(key, msg[:n]) {
					t.Errorf("%d bytes cut at %d: differs from crypto/hmac", n, cut)
				}
			}
		}
		var got [Size]byte
		if k.Sum(&s, &got); got != standard(key) {
			t.Error("no parts: differs from crypto/hmac")
		}
	})
}

// TestAliases: dst may be a part, as in a chain of keys, or its middle.
func TestAliases(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		var s Scratch
		var k Key
		key := pattern(32, 1)
		k.Set(&s, key)
		for _, n := range []int{32, 100, 200, 400} {
			msg := pattern(n, n)
			want := standard(key, msg, msg)
			if k.Sum(&s, (*[Size]byte)(msg[(n-Size)/2:]), msg, msg); !bytes.Equal(msg[(n-Size)/2:][:Size], want[:]) {
				t.Errorf("%d bytes: wrong where dst overlaps a part", n)
			}
		}
	})
}

func TestTooLongKeyPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	new(Key).Set(new(Scratch), make([]byte, blockSize+1))
}

// TestKeyWipe: nothing of a key stays.
func TestKeyWipe(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		var s Scratch
		var k Key
		k.Set(&s, pattern(64, 1))
		if k == (Key{}) {
			t.Fatal("Set leaves the key empty")
		}
		if k.Wipe(); k != (Key{}) {
			t.Error("the key is not clear")
		}
	})
}

// TestScratchClear looks for anything in the scratch, and for keys and messages in
// the standard library's hash behind it.
func TestScratchClear(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		var s Scratch
		var k Key
		for _, n := range []int{0, 32, 63, 64, 120, 128, 129, 200, 1000, 2000} {
			key, msg := pattern(64, n), pattern(n, n+1)
			if k.Set(&s, key); s.buf != [len(s.buf)]byte{} {
				t.Error("the scratch is not clear after Set")
			}
			if k.Sum(&s, new([Size]byte), msg); s.buf != [len(s.buf)]byte{} {
				t.Errorf("%d bytes: the scratch is not clear after Sum", n)
			}
			if s.long == nil {
				continue
			}
			if s.long.piece != [len(s.long.piece)]byte{} {
				t.Errorf("%d bytes: the copy of the message is not clear", n)
			}
			// Behind the interface is a pointer to crypto/sha256's state.
			type face struct{ typ, data unsafe.Pointer }
			state := unsafe.Slice((*byte)((*face)(unsafe.Pointer(&s.long.hash)).data), 96)
			ipad, inner := pattern(64, n), sha256.New()
			xor(ipad, padInner)
			inner.Write(append(ipad, msg...))
			for what, secret := range map[string][]byte{
				"pad": ipad[:8], "message": msg[len(msg)&^63:], "hash": inner.Sum(nil)[:8],
			} {
				if len(secret) >= 8 && bytes.Contains(state, secret[:8]) {
					t.Errorf("%d bytes: the %s stays in the hash", n, what)
				}
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	eachPath(t, func(t *testing.T) {
		var heap Scratch
		key, msg := pattern(32, 1), pattern(2000, 2)
		for name, f := range map[string]func(){
			"set": func() {
				var k Key
				k.Set(&heap, key)
			},
			"short": func() {
				// All on the stack, the parts' slice too.
				var s Scratch
				var k Key
				var salt, dst [Size]byte
				k.Set(&s, key)
				k.Sum(&s, &dst, salt[:], salt[:])
				key[0] ^= dst[0]
			},
			"long": func() {
				var k Key
				var dst [Size]byte
				k.Set(&heap, key)
				k.Sum(&heap, &dst, msg[:100], msg[100:])
				key[0] ^= dst[0]
			},
		} {
			if n := testing.AllocsPerRun(20, f); n != 0 {
				t.Errorf("%s: %v allocations, want none", name, n)
			}
		}
	})
}

// FuzzSum compares both paths with crypto/hmac.
func FuzzSum(f *testing.F) {
	f.Add([]byte("Jefe"), []byte("what do ya want for nothing?"), uint(16))
	f.Add(make([]byte, 64), make([]byte, 200), uint(63))
	f.Add([]byte{}, []byte{}, uint(0))
	f.Fuzz(func(t *testing.T, key, msg []byte, cut uint) {
		if len(key) > blockSize {
			return
		}
		at := int(cut % uint(len(msg)+1))
		want := standard(key, msg)
		defer func(before bool) { saveStates = before }(saveStates)
		for _, saveStates = range []bool{false, true} {
			var s Scratch
			var k Key
			got := [Size]byte(slices.Repeat([]byte{0xa5}, Size))
			k.Set(&s, key)
			if k.Sum(&s, &got, msg[:at], msg[at:]); got != want {
				t.Errorf("saved states %v: %x, crypto/hmac says %x", saveStates, got, want)
			}
		}
	})
}
