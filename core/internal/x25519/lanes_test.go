package x25519

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// assembly returns the implementations of this processor that are not the twin. Where
// -short asks for less, on an emulated processor, those of AVX-512 do: AVX2 is tested
// without an emulator everywhere.
func assembly(t testing.TB) (impls []implementation) {
	old := lanesImpl
	defer func() { lanesImpl = old }()
	for _, impl := range []implementation{implFMA, implIFMA, implAVX2} {
		if impl == implAVX2 && testing.Short() && len(impls) > 0 {
			continue
		}
		if setImpl(impl) {
			impls = append(impls, impl)
		}
	}
	if len(impls) == 0 {
		t.Log("no assembly here: the twin is compared with itself")
		impls = append(impls, implTwin)
	}
	return impls
}

// withImpl runs f with one implementation.
func withImpl(impl implementation, f func()) {
	old := lanesImpl
	defer func() { lanesImpl = old }()
	lanesImpl = impl
	f()
}

// lanesOf fills eight lanes with numbers from data, over and over. Every packed limb is
// possible, also numbers from p on and limbs of 48 bits at the top.
func lanesOf(data []byte, skip int) (f fe8) {
	for i := range f {
		for j := range f[i] {
			var v uint64
			for k := range 8 {
				v = v<<8 | uint64(data[(skip+13*i+29*j+k)%len(data)])
			}
			if f[i][j] = v & limbMask; i == limbCount-1 {
				f[i][j] = v & (1<<48 - 1)
			}
		}
	}
	return f
}

// mustEqual compares the numbers of the first lanes, fully reduced, and holds all to
// their bounds.
func mustEqual(t *testing.T, what string, got, want *fe8, lanes int) {
	t.Helper()
	for j := range lanes {
		var a, b [32]byte
		lane(&a, got, j)
		lane(&b, want, j)
		if a != b {
			t.Errorf("%s, lane %d: %x, the twin has %x", what, j, a, b)
		}
	}
	for i, limb := range got {
		for j, v := range limb {
			if limit := uint64(1) << 52; v >= limit || i == limbCount-1 && v >= 1<<48 {
				t.Errorf("%s, lane %d: limb %d is %#x", what, j, i, v)
			}
		}
	}
}

// TestLane compares the packing of numbers with math/big, at the edges: every limb full,
// and numbers around multiples of p.
func TestLane(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	full := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	var numbers []*big.Int
	for _, base := range []*big.Int{new(big.Int), p, new(big.Int).Lsh(p, 1), full, new(big.Int).Lsh(big.NewInt(1), 255)} {
		for d := int64(-40); d <= 40; d++ {
			if n := new(big.Int).Add(base, big.NewInt(d)); n.Sign() >= 0 && n.Cmp(full) <= 0 {
				numbers = append(numbers, n)
			}
		}
	}
	for _, n := range numbers {
		var f fe8
		for i := range f {
			limb := new(big.Int).Rsh(n, 52*uint(i))
			f[i][3] = limb.And(limb, big.NewInt(limbMask)).Uint64()
		}
		var got, want [32]byte
		lane(&got, &f, 3)
		new(big.Int).Mod(n, p).FillBytes(want[:])
		slices.Reverse(want[:])
		if got != want {
			t.Errorf("%x: %x, want %x", n, got, want)
		}
		// And back, without the top bit.
		var spelled [32]byte
		n.FillBytes(spelled[:])
		slices.Reverse(spelled[:])
		var g fe8
		setLane(&g, 5, &spelled)
		lane(&got, &g, 5)
		low := new(big.Int).SetBit(n, 255, 0)
		low.Mod(low, p).FillBytes(want[:])
		slices.Reverse(want[:])
		if got != want {
			t.Errorf("%x through setLane: %x, want %x", n, got, want)
		}
	}
}

func laneSeeds(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{0xff})
	f.Add(bytes.Repeat([]byte{0xff, 0x7f}, 100))
	f.Add(append(bytes.Repeat([]byte{0xff}, 31), 0xed))
	f.Add([]byte("some bytes without any pattern: 0123456789"))
}

// FuzzMultiply8 compares one product in each lane.
func FuzzMultiply8(f *testing.F) {
	laneSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		w := new(workSpace)
		x, y := lanesOf(data, 0), lanesOf(data, 7)
		var want fe8
		multiply8Generic(&want, &x, &y)
		for _, impl := range assembly(t) {
			withImpl(impl, func() {
				var got fe8
				multiply8(&got, &x, &y, w)
				mustEqual(t, "product", &got, &want, laneCount)
				got = x
				multiply8(&got, &got, &y, w)
				mustEqual(t, "product in place of x", &got, &want, laneCount)
				got = y
				multiply8(&got, &x, &got, w)
				mustEqual(t, "product in place of y", &got, &want, laneCount)
			})
		}
	})
}

// FuzzLadder8 compares ladders whose swaps differ in every lane.
func FuzzLadder8(f *testing.F) {
	laneSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		var want ladderPoint
		want[0] = lanesOf(data, 0)
		for j := range want[0][4] {
			want[0][4][j] &= 1<<47 - 1 // as setLane leaves it
		}
		var swaps [scalarBits]uint8
		for i := range swaps {
			swaps[i] = data[i%len(data)] ^ byte(i*i)
		}
		start := want
		ladder8Generic(&want, &swaps)
		for _, impl := range assembly(t) {
			withImpl(impl, func() {
				for _, lanes := range []int{laneCount, 1 + len(data)%laneCount} {
					got := start
					ladder8(&got, new(workSpace), &swaps, lanes)
					mustEqual(t, "x", &got[1], &want[1], lanes)
					mustEqual(t, "z", &got[2], &want[2], lanes)
					if got[0] != start[0] {
						t.Error("the ladder changed its input")
					}
				}
			})
		}
	})
}

// FuzzComb8 compares combs of two tables whose entries are any numbers: the formulas do
// not need points.
func FuzzComb8(f *testing.F) {
	laneSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		var seed [32]byte
		copy(seed[:], data)
		rng := rand.NewChaCha8(seed)
		p, q := new(combTable), new(combTable)
		for _, table := range []*combTable{p, q} {
			for d := range table {
				for c := range table[d] {
					for l := range table[d][c] {
						for n := range table[d][c][l] {
							v := rng.Uint64() & limbMask
							if data[(d+c+l+n)%len(data)] == 0xff {
								v = limbMask
							}
							if l == limbCount-1 {
								v &= 1<<47 - 1
							}
							table[d][c][l][n] = v
						}
					}
				}
			}
		}
		var digits [combDigits][laneCount]uint8
		for i := range digits {
			for j := range digits[i] {
				digits[i][j] = data[(i*laneCount+j)%len(data)] & 31
			}
		}
		var want combResult
		comb8Generic(&want, p, q, &digits)
		for _, impl := range assembly(t) {
			withImpl(impl, func() {
				var got combResult
				comb8(&got, new(workSpace), p, q, &digits)
				for i := range got {
					mustEqual(t, "result", &got[i], &want[i], laneCount)
				}
			})
		}
	})
}

// FuzzMany compares the whole with crypto/ecdh through Multiply, which the other fuzz
// target holds to it.
func FuzzMany(f *testing.F) {
	laneSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		at := func(i int) (b [32]byte) {
			for k := range b {
				b[k] = data[(i*31+k)%len(data)] + byte(i)
			}
			return b
		}
		k := at(0)
		m := NewMultiplier(&k)
		us := make([][32]byte, 2+len(data)%15)
		for i := range us {
			us[i] = at(i + 1)
		}
		got, ok := make([][32]byte, len(us)), make([]bool, len(us))
		s := new(Scratch)
		for _, impl := range assembly(t) {
			withImpl(impl, func() { m.MultiplyMany(s, got, ok, us) })
			for i := range us {
				var want [32]byte
				if fine := Multiply(&want, &k, &us[i]); ok[i] != fine || got[i] != want {
					t.Errorf("point %d: %x (%v), want %x (%v)", i, got[i], ok[i], want, fine)
				}
			}
		}
	})
}
