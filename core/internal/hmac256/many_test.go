package hmac256

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"ecoin/core/internal/race"
	"ecoin/core/internal/sha2"
)

// eachManyPath runs f one by one, in lanes, and in lanes with a change to one by one
// towards the end, whatever the processor is good at.
func eachManyPath(t *testing.T, f func(t *testing.T)) {
	defer func(w bool, n int, s bool) { wide, fewLanes, saveStates = w, n, s }(wide, fewLanes, saveStates)
	for _, path := range []struct {
		name             string
		wide, saveStates bool
		fewLanes         int
	}{
		{"library", false, false, 0},
		{"states", false, true, 0},
		{"lanes", true, false, 0},
		{"lanes and library", true, false, 1},
		{"lanes and states", true, true, 6},
	} {
		wide, fewLanes, saveStates = path.wide, path.fewLanes, path.saveStates
		t.Run(path.name, f)
	}
}

// problems returns keys and messages of the lengths.
func problems(lengths ...int) (keys [][32]byte, msgs [][]byte) {
	for i, n := range lengths {
		keys = append(keys, [32]byte(pattern(32, 2*i)))
		msgs = append(msgs, pattern(n, 2*i+1))
	}
	return keys, msgs
}

// checkMany compares with crypto/hmac and looks whether s is clear.
func checkMany(t *testing.T, s *ManyScratch, keys [][32]byte, msgs [][]byte) {
	t.Helper()
	got := make([][Size]byte, len(msgs))
	SumMany(s, got, keys, msgs)
	for i := range got {
		if want := standard(keys[i][:], msgs[i]); got[i] != want {
			t.Errorf("message %d of %d, %d bytes: differs from crypto/hmac", i, len(msgs), len(msgs[i]))
		}
	}
	mustBeClear(t, s)
}

// mustBeClear looks at every byte of s but the pointer to the standard library's hash,
// which TestScratchClear looks into.
func mustBeClear(t *testing.T, s *ManyScratch) {
	t.Helper()
	defer func(l *long) { s.single.long = l }(s.single.long)
	s.single.long = nil
	all := unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s))
	for i, b := range all {
		if b != 0 {
			t.Fatalf("the scratch is not clear: %#x at byte %d of %d", b, i, len(all))
		}
	}
}

// TestManyEqual takes sixteen messages of each length from 0 to 300.
func TestManyEqual(t *testing.T) {
	eachManyPath(t, func(t *testing.T) {
		var s ManyScratch
		for n := 0; n <= 300; n += stride(13) {
			lengths := make([]int, 16)
			for i := range lengths {
				lengths[i] = n
			}
			keys, msgs := problems(lengths...)
			checkMany(t, &s, keys, msgs)
		}
	})
}

// TestManyCounts takes 0 to 40 messages of mixed lengths.
func TestManyCounts(t *testing.T) {
	const seed = 1
	eachManyPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, seed))
		var s ManyScratch
		for count := 0; count <= 40; count += stride(3) {
			for range max(1, 5/stride(5)) {
				lengths := make([]int, count)
				for i := range lengths {
					if lengths[i] = r.IntN(300); r.IntN(8) == 0 {
						lengths[i] = r.IntN(3000)
					}
				}
				keys, msgs := problems(lengths...)
				checkMany(t, &s, keys, msgs)
			}
		}
	})
}

// TestManyUneven puts one long message among short ones, at every place.
func TestManyUneven(t *testing.T) {
	eachManyPath(t, func(t *testing.T) {
		var s ManyScratch
		for place := range 20 {
			lengths := make([]int, 20)
			lengths[place] = 64 * 70
			keys, msgs := problems(lengths...)
			checkMany(t, &s, keys, msgs)
		}
	})
}

// TestManyAlone: a message or a key changes its own result alone.
func TestManyAlone(t *testing.T) {
	eachManyPath(t, func(t *testing.T) {
		var s ManyScratch
		keys, msgs := problems(0, 10, 64, 64, 100, 119, 120, 128, 200, 256, 256, 256, 300, 1000, 55, 56, 1, 2)
		want, got := make([][Size]byte, len(msgs)), make([][Size]byte, len(msgs))
		SumMany(&s, want, keys, msgs)
		check := func(changed int, what string) {
			SumMany(&s, got, keys, msgs)
			for i := range got {
				if (got[i] == want[i]) != (i != changed) {
					t.Errorf("%s %d changed: result %d is wrong", what, changed, i)
				}
			}
		}
		for i := range msgs {
			keys[i][i] ^= 1
			check(i, "key")
			keys[i][i] ^= 1
			if msg := msgs[i]; len(msg) > 0 {
				msg[len(msg)-1] ^= 0x80
				check(i, "end of message")
				msg[len(msg)-1] ^= 0x80
				msgs[i] = msg[:len(msg)-1]
				check(i, "length of message")
				msgs[i] = msg
			}
		}
	})
}

// TestManyAliases: dst[i] may be keys[i], or lie in msgs[i].
func TestManyAliases(t *testing.T) {
	eachManyPath(t, func(t *testing.T) {
		var s ManyScratch
		keys, msgs := problems(90, 90, 90, 32, 64, 200, 90, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
		want := make([][Size]byte, len(msgs))
		SumMany(&s, want, keys, msgs)
		if SumMany(&s, keys, keys, msgs); !equal(keys, want) {
			t.Error("wrong where dst is keys")
		}

		all := bytes.Repeat([]byte{7}, 20*Size)
		dst := unsafe.Slice((*[Size]byte)(all), 20)
		msgs = msgs[:0]
		for i := range dst {
			msgs = append(msgs, dst[i][:i])
		}
		keys, _ = problems(make([]int, 20)...)
		want = make([][Size]byte, 20)
		SumMany(&s, want, keys, msgs)
		if SumMany(&s, dst, keys, msgs); !equal(dst, want) {
			t.Error("wrong where dst overlaps its message")
		}
	})
}

func equal(a, b [][Size]byte) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestManyPanics(t *testing.T) {
	for _, n := range [][3]int{{1, 2, 2}, {2, 1, 2}, {2, 2, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v: no panic", n)
				}
			}()
			SumMany(new(ManyScratch), make([][Size]byte, n[0]), make([][32]byte, n[1]), make([][]byte, n[2]))
		}()
	}
}

func TestManyAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	eachManyPath(t, func(t *testing.T) {
		var s ManyScratch
		for _, lengths := range [][]int{{}, {1}, {200, 3, 64}, make([]int, 16), {31: 1000, 39: 64}} {
			keys, msgs := problems(lengths...)
			dst := make([][Size]byte, len(msgs))
			if n := testing.AllocsPerRun(20, func() { SumMany(&s, dst, keys, msgs) }); n != 0 {
				t.Errorf("%d messages: %v allocations, want none", len(msgs), n)
			}
		}
	})
}

// FuzzSumMany cuts text into messages of the lengths and compares with crypto/hmac.
func FuzzSumMany(f *testing.F) {
	f.Add([]byte{0, 1, 55, 56, 63, 64, 65, 119, 120, 255}, pattern(1000, 1), byte(0))
	f.Add(bytes.Repeat([]byte{200}, 40), []byte{1}, byte(3))
	f.Add([]byte{}, []byte{}, byte(6))
	f.Fuzz(func(t *testing.T, lengths, text []byte, few byte) {
		if len(lengths) > 3*sha2.LaneCount {
			return
		}
		defer func(w bool, n int, s bool) { wide, fewLanes, saveStates = w, n, s }(wide, fewLanes, saveStates)
		wide, fewLanes, saveStates = true, int(few%17), few%2 == 0
		keys, msgs := problems(make([]int, len(lengths))...)
		for i, n := range lengths {
			msgs[i] = make([]byte, 3*int(n))
			for j := range msgs[i] {
				if len(text) > 0 {
					msgs[i][j] = text[(i*7+j)%len(text)]
				}
			}
		}
		checkMany(t, new(ManyScratch), keys, msgs)
	})
}

// BenchmarkHMAC has a fresh key for each message.
func BenchmarkHMAC(b *testing.B) {
	for _, size := range []int{32, 64, 256, 1024, 4096, 16384} {
		for _, batch := range []int{1, 16} {
			lengths := make([]int, batch)
			for i := range lengths {
				lengths[i] = size
			}
			keys, msgs := problems(lengths...)
			dst := make([][Size]byte, batch)
			var s ManyScratch
			for _, impl := range []struct {
				name string
				run  func()
			}{
				{"ecoin", func() { SumMany(&s, dst, keys, msgs) }},
				{"stdlib", func() {
					for i := range msgs {
						h := hmac.New(sha256.New, keys[i][:])
						h.Write(msgs[i])
						h.Sum(dst[i][:0])
					}
				}},
			} {
				b.Run(fmt.Sprintf("impl=%s/size=%d/batch=%d", impl.name, size, batch), func(b *testing.B) {
					b.SetBytes(int64(size * batch))
					b.ReportAllocs()
					for b.Loop() {
						impl.run()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/msg")
				})
			}
		}
	}
}
