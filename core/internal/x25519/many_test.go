package x25519

import (
	"bytes"
	"crypto/ecdh"
	"math/rand/v2"
	"testing"

	"ecoin/core/internal/race"
	"ecoin/core/internal/vectors"
)

// implementations runs f with each way to multiply many points that this machine has:
// one by one, the twins, the assembly.
func implementations(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	oldLanes, oldImpl, oldBase := useLanes, lanesImpl, baseTable
	defer func() { useLanes, lanesImpl, baseTable = oldLanes, oldImpl, oldBase }()
	for _, impl := range []struct {
		name  string
		lanes bool
		impl  implementation
	}{{"one", false, implTwin}, {"twin", true, implTwin}, {"avx2", true, implAVX2}, {"fma", true, implFMA}, {"ifma", true, implIFMA}} {
		if testing.Short() && len(assembly(t)) > 1 && impl.impl != implIFMA {
			continue // an emulated processor: the others are faster where they are not emulated
		}
		if !setImpl(impl.impl) {
			t.Logf("not for this processor: impl=%s", impl.name)
			continue
		}
		useLanes = impl.lanes
		base := NewTable(&basePoint)
		baseTable = func() *Table { return base }
		t.Run("impl="+impl.name, f)
	}
}

// stride is the step through all cases: 1, or n where -short asks for less.
func stride(n int) int {
	if testing.Short() {
		return n
	}
	return 1
}

func randomBytes(rng *rand.ChaCha8) (b [32]byte) {
	_, _ = rng.Read(b[:])
	return b
}

// TestManyWycheproof puts each of Wycheproof's private keys before many points: the
// vector's, in a lane that moves, among random ones.
func TestManyWycheproof(t *testing.T) {
	var v xdhVectors
	vectors.Wycheproof(t, "x25519_test.json", &v)
	implementations(t, func(t *testing.T) {
		rng := rand.NewChaCha8([32]byte{1})
		var s Scratch
		n := 0
		for _, g := range v.TestGroups {
			for i, c := range g.Tests {
				if i%stride(8) != 0 {
					n++
					continue
				}
				m := NewMultiplier(unhex(t, c.Private))
				at := n % laneCount
				us := make([][32]byte, 2+n%(laneCount-1))
				for i := range us {
					us[i] = randomBytes(rng)
				}
				at %= len(us)
				us[at] = *unhex(t, c.Public)
				got, ok := make([][32]byte, len(us)), make([]bool, len(us))
				m.MultiplyMany(&s, got, ok, us)
				for i := range us {
					var want [32]byte
					if fine := m.Multiply(&want, &us[i]); ok[i] != fine || got[i] != want {
						t.Fatalf("case %d, lane %d of %d: %x (%v), want %x", c.TcID, i, len(us), got[i], ok[i], want)
					}
				}
				mustBe(t, c.Comment, &got[at], c.Shared)
				n++
			}
		}
		if n != 518 {
			t.Errorf("%d vectors, want 518", n)
		}
	})
}

// TestManyCounts takes every number of points, some of low order.
func TestManyCounts(t *testing.T) {
	implementations(t, func(t *testing.T) {
		rng := rand.NewChaCha8([32]byte{2})
		k := randomBytes(rng)
		m := NewMultiplier(&k)
		var s Scratch
		for n := 0; n <= Batch; n += stride(13) {
			us := make([][32]byte, n)
			for i := range us {
				if us[i] = randomBytes(rng); rng.Uint64()%4 == 0 {
					us[i] = lowOrderPoints[rng.Uint64()%uint64(len(lowOrderPoints))]
				}
			}
			got, ok := make([][32]byte, n), make([]bool, n)
			m.MultiplyMany(&s, got, ok, us)
			for i := range us {
				var want [32]byte
				if fine := Multiply(&want, &k, &us[i]); ok[i] != fine || got[i] != want {
					t.Fatalf("%d points, point %d: %x (%v), want %x (%v)", n, i, got[i], ok[i], want, fine)
				}
			}
			// In place.
			m.MultiplyMany(&s, us, ok, us)
			for i := range us {
				if us[i] != got[i] {
					t.Fatalf("%d points, point %d: the product in place differs", n, i)
				}
			}
			if s != (Scratch{}) {
				t.Fatalf("%d points: the scratch is not clear", n)
			}
		}
	})
}

// TestExchangeMany compares with crypto/ecdh, for keys of all shapes.
func TestExchangeMany(t *testing.T) {
	implementations(t, func(t *testing.T) {
		rng := rand.NewChaCha8([32]byte{3})
		var s Scratch
		for _, n := range []int{0, 1, 2, 7, 8, 9, 16, 23, Batch} {
			k := randomBytes(rng)
			var u [32]byte
			BaseMultiply(&u, &k)
			table := NewTable(&u)
			if table == nil {
				t.Fatal("a public key has no table")
			}
			private := make([][32]byte, n)
			for i := range private {
				switch private[i] = randomBytes(rng); i % 4 {
				case 1:
					clear(private[i][:])
				case 2:
					private[i] = [32]byte(bytes.Repeat([]byte{0xff}, 32))
				}
			}
			public, shared := make([][32]byte, n), make([][32]byte, n)
			table.ExchangeMany(&s, public, shared, private)
			for i := range private {
				priv, err := ecdh.X25519().NewPrivateKey(private[i][:])
				if err != nil {
					t.Fatal(err)
				}
				peer, err := ecdh.X25519().NewPublicKey(u[:])
				if err != nil {
					t.Fatal(err)
				}
				want, err := priv.ECDH(peer)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(public[i][:], priv.PublicKey().Bytes()) || !bytes.Equal(shared[i][:], want) {
					t.Fatalf("%d keys, key %d differs from crypto/ecdh", n, i)
				}
			}
			if s != (Scratch{}) {
				t.Fatalf("%d keys: the scratch is not clear", n)
			}
		}
	})
}

// TestNewTableRefuses: points of low order and of the twist have no table.
func TestNewTableRefuses(t *testing.T) {
	for _, u := range lowOrderPoints {
		if NewTable(&u) != nil {
			t.Errorf("u = %x has a table", u)
		}
	}
	for _, twist := range []byte{2, 3} { // u^3 + 486662 u^2 + u is no square
		if NewTable(&[32]byte{twist}) != nil {
			t.Errorf("u = %d is on the twist and has a table", twist)
		}
	}
}

// TestLanesIndependent changes one lane and looks at the seven others.
func TestLanesIndependent(t *testing.T) {
	implementations(t, func(t *testing.T) {
		rng := rand.NewChaCha8([32]byte{4})
		k := randomBytes(rng)
		m := NewMultiplier(&k)
		var s Scratch
		us := make([][32]byte, laneCount)
		for i := range us {
			us[i] = randomBytes(rng)
		}
		before, after := make([][32]byte, laneCount), make([][32]byte, laneCount)
		ok := make([]bool, laneCount)
		m.MultiplyMany(&s, before, ok, us)
		for i := range us {
			for _, u := range [][32]byte{{}, {31: 0x80}, nearPrime(2), randomBytes(rng)} {
				old := us[i]
				us[i] = u
				m.MultiplyMany(&s, after, ok, us)
				us[i] = old
				for j := range us {
					if j != i && after[j] != before[j] {
						t.Fatalf("lane %d changed with lane %d", j, i)
					}
				}
			}
		}
	})
}

func TestManyPanics(t *testing.T) {
	var s Scratch
	m := NewMultiplier(&[32]byte{1})
	table := baseTable()
	long := make([][32]byte, Batch+1)
	for name, f := range map[string]func(){
		"too many points": func() { m.MultiplyMany(&s, long, make([]bool, len(long)), long) },
		"lengths":         func() { m.MultiplyMany(&s, long[:2], make([]bool, 1), long[:2]) },
		"too many keys":   func() { table.ExchangeMany(&s, long, long, long) },
		"lengths of keys": func() { table.ExchangeMany(&s, long[:2], long[:1], long[:2]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestManyAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	implementations(t, func(t *testing.T) {
		s := new(Scratch)
		m := NewMultiplier(&[32]byte{1})
		table := baseTable()
		us := make([][32]byte, 16)
		for i := range us {
			us[i] = [32]byte{byte(i)}
		}
		dst, shared, ok := make([][32]byte, len(us)), make([][32]byte, len(us)), make([]bool, len(us))
		if n := testing.AllocsPerRun(5, func() { m.MultiplyMany(s, dst, ok, us) }); n != 0 {
			t.Errorf("MultiplyMany: %v allocations", n)
		}
		if n := testing.AllocsPerRun(5, func() { table.ExchangeMany(s, dst, shared, us) }); n != 0 {
			t.Errorf("ExchangeMany: %v allocations", n)
		}
	})
}
