package director

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ecoin/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newIdentity(tb testing.TB, name string) *identity.Identity {
	tb.Helper()
	cert, key, err := identity.New(name, []string{"127.0.0.1"}, time.Hour)
	if err != nil {
		tb.Fatal(err)
	}
	id, err := identity.Parse(cert, key)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func testRegistry(tb testing.TB) *registry {
	o := Options{Identity: newIdentity(tb, "director"), MaxAnalysts: 4, MaxPerKey: 2, MaxCapacity: 3, Logger: slog.New(slog.DiscardHandler)}
	if err := o.setDefaults(); err != nil {
		tb.Fatal(err)
	}
	return newRegistry(&o)
}

func offering(capacity int, names ...string) registration {
	return registration{URL: "https://127.0.0.1:1", Analyses: names, Capacity: capacity}
}

func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRegistry(t)
		ctx, cancel := context.WithCancel(t.Context())
		go r.run(ctx)
		alice, bob := pin{1}, pin{2}
		register := func(by pin, want error) {
			t.Helper()
			if err := r.register("a", by, offering(1, "summary")); !errors.Is(err, want) {
				t.Fatalf("register: got %v, want %v", err, want)
			}
		}
		offered := func(want string) {
			t.Helper()
			if got := fmt.Sprint(r.list()); got != want {
				t.Fatalf("list: got %s, want %s", got, want)
			}
		}
		offered("[]")
		register(alice, nil)
		offered("[{summary 1 0}]")
		time.Sleep(14 * time.Second)
		register(bob, errTaken)
		register(alice, nil) // lives until 29 s
		time.Sleep(14 * time.Second)
		offered("[{summary 1 0}]")
		register(bob, errTaken)
		time.Sleep(time.Second) // 29 s: the sweep may or may not have run; the lease is over either way
		offered("[]")
		if _, _, err := r.acquire("summary", nil); !errors.Is(err, errUnknown) {
			t.Fatalf("acquire after the lease: %v", err)
		}
		register(bob, nil)
		register(alice, errTaken)
		if err := r.unregister("a", alice); !errors.Is(err, errTaken) {
			t.Fatalf("unregister by another key: %v", err)
		}
		if err := r.unregister("a", bob); err != nil {
			t.Fatal(err)
		}
		if err := r.unregister("a", bob); !errors.Is(err, errNoLease) {
			t.Fatalf("unregister twice: %v", err)
		}
		offered("[]")
		register(alice, nil)
		time.Sleep(leaseTime + sweepTime)
		synctest.Wait()
		r.mu.Lock()
		if len(r.leases)+len(r.offers)+len(r.outstanding) != 0 {
			t.Errorf("left behind: %v %v %v", r.leases, r.offers, r.outstanding)
		}
		r.mu.Unlock()
		cancel()
	})
}

func TestLeaseLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRegistry(t) // 4 in all, 2 per key
		register := func(id string, by pin) error { return r.register(id, by, offering(1, "x")) }
		for i, tc := range []struct {
			id   string
			by   pin
			want error
		}{
			{"a", pin{1}, nil}, {"b", pin{1}, nil}, {"c", pin{1}, errLimit}, {"a", pin{1}, nil},
			{"c", pin{2}, nil}, {"d", pin{3}, nil}, {"e", pin{4}, errLimit}, {"d", pin{3}, nil},
		} {
			if err := register(tc.id, tc.by); !errors.Is(err, tc.want) {
				t.Fatalf("%d: register %s: got %v, want %v", i, tc.id, err, tc.want)
			}
		}
		time.Sleep(leaseTime) // nobody sweeps here: room is made when it is asked for
		if err := register("e", pin{4}); err != nil {
			t.Errorf("after all leases ran out: %v", err)
		}
		if len(r.leases) != 1 {
			t.Errorf("%d leases", len(r.leases))
		}
	})
}

// TestChangesAreToldWithinBounds: a key that registers and unregisters all the time does
// not fill the log, and after a while changes are told again.
func TestChangesAreToldWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRegistry(t) // of 4 analysts
		var log bytes.Buffer
		r.changes.log = slog.New(slog.NewTextHandler(&log, nil)) // Info and above
		changes := func(n int) (told int) {
			log.Reset()
			for range n {
				if err := errors.Join(r.register("a", pin{1}, offering(1, "x")), r.unregister("a", pin{1})); err != nil {
					t.Fatal(err)
				}
			}
			return strings.Count(log.String(), "\n")
		}
		if got := changes(4); got != 8 {
			t.Errorf("%d lines of 8 changes", got)
		}
		if got := changes(1000); got != 0 {
			t.Errorf("%d lines of 2000 changes at once after these", got)
		}
		time.Sleep(3 * lineTime)
		if got := changes(1000); got != 3 {
			t.Errorf("%d lines after three times as long as one takes", got)
		}
	})
}

func TestRenewReplaces(t *testing.T) {
	r := testRegistry(t)
	by := pin{1}
	must := func(reg registration) {
		t.Helper()
		if err := r.register("a", by, reg); err != nil {
			t.Fatal(err)
		}
	}
	must(offering(1, "x", "y"))
	first := r.leases["a"].target
	must(offering(100, "y", "z"))
	if got := fmt.Sprint(r.list()); got != "[{y 1 0} {z 1 0}]" {
		t.Errorf("list: %s", got)
	}
	l := r.leases["a"]
	if l.target != first {
		t.Error("renewing made new connections necessary")
	}
	if l.capacity != 3 {
		t.Errorf("capacity %d, the director's limit is 3", l.capacity)
	}
	moved := offering(1, "y")
	moved.URL = "https://127.0.0.1:2"
	must(moved)
	if l.target == first || l.target.base != moved.URL {
		t.Error("the analyst's new URL is not used")
	}
}

func TestChoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testRegistry(t)
		for id, capacity := range map[string]int{"a": 1, "b": 2, "c": 3} {
			if err := r.register(id, pin{id[0]}, offering(capacity, "x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.register("d", pin{4}, offering(3, "other")); err != nil {
			t.Fatal(err)
		}
		var held []*lease
		counts := map[string]int{}
		for i, want := range []map[string]int{ // after 3, 5 and 6 operations
			2: {"a": 1, "b": 1, "c": 1}, 4: {"a": 1, "b": 2, "c": 2}, 5: {"a": 1, "b": 2, "c": 3},
		} {
			l, _, err := r.acquire("x", nil)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, l)
			counts[l.id]++
			if want != nil && fmt.Sprint(counts) != fmt.Sprint(want) {
				t.Fatalf("after %d: %v, want %v", i+1, counts, want)
			}
		}
		if _, _, err := r.acquire("x", nil); !errors.Is(err, errFull) {
			t.Errorf("all full: %v", err)
		}
		if _, _, err := r.acquire("y", nil); !errors.Is(err, errUnknown) {
			t.Errorf("never offered: %v", err)
		}
		if got := fmt.Sprint(r.list()); got != "[{other 1 0} {x 3 6}]" {
			t.Errorf("list: %s", got)
		}
		for _, l := range held {
			r.release(l, l.target, "x", true)
		}
		if len(r.outstanding) != 0 {
			t.Errorf("outstanding %v", r.outstanding)
		}

		// One that cannot be reached is the last choice for a while, but a choice.
		a := r.leases["a"]
		a.outstanding++
		r.outstanding["x"]++
		r.release(a, a.target, "x", false)
		for range 20 {
			l, _, err := r.acquire("x", nil)
			if err != nil || l == a {
				t.Fatalf("chose %v, %v", l.id, err)
			}
			r.release(l, l.target, "x", true)
		}
		if l, _, err := r.acquire("x", []*lease{r.leases["b"], r.leases["c"]}); err != nil || l != a {
			t.Fatalf("the last choice: %v, %v", l, err)
		}
		r.release(a, a.target, "x", true)
		time.Sleep(avoidTime)
		if _, _, err := r.acquire("x", []*lease{r.leases["a"], r.leases["b"], r.leases["c"]}); !errors.Is(err, errFull) {
			t.Errorf("all tried: %v", err)
		}
		seen := map[string]bool{}
		for range 200 { // ties are broken at random: each is missed with probability (2/3)^200
			l, _, err := r.acquire("x", nil)
			if err != nil {
				t.Fatal(err)
			}
			seen[l.id] = true
			r.release(l, l.target, "x", true)
		}
		if len(seen) != 3 {
			t.Errorf("chose only %v", seen)
		}
	})
}

func BenchmarkAcquire(b *testing.B) {
	o := Options{Identity: newIdentity(b, "director"), Logger: slog.New(slog.DiscardHandler)}
	if err := o.setDefaults(); err != nil {
		b.Fatal(err)
	}
	r := newRegistry(&o)
	for i := range o.MaxAnalysts {
		if err := r.register(fmt.Sprint("a", i), pin{byte(i)}, offering(8, "x")); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("analysts=256", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l, t, err := r.acquire("x", nil)
			if err != nil {
				b.Fatal(err)
			}
			r.release(l, t, "x", true)
		}
	})
}
