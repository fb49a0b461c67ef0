package store_test

import (
	"bufio"
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"ecoin/bench/benchtest"
	"ecoin/bench/daemon"
	"ecoin/bench/store"
	"ecoin/core"
	"ecoin/internal/coins"
)

// served is an engine behind a server, and what dials it.
func served(t testing.TB, name string, set *coins.Set) (_ store.Engine, dial func() store.Client, address string) {
	t.Helper()
	e, err := store.Open(name, filepath.Join(t.TempDir(), "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(set.Ascending()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := store.Serve(ctx, l, e); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, func() store.Client {
		c, err := store.Dial(context.Background(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}, l.Addr().String()
}

// check redeems coins one by one and many at once, again, for others, and such that never
// were; then from many goroutines; and holds the credits against it.
func check(t *testing.T, set *coins.Set, dial func() store.Client, credit func(uint16) (int64, error)) {
	t.Helper()
	c := dial()
	list := make([]core.Fingerprint, 101)
	for i := range list {
		list[i] = set.Random(int64(i))
	}
	redeem := func(name string, account uint16, coins []core.Fingerprint, want ...core.Status) {
		t.Helper()
		out := make([]core.Status, len(coins))
		if err := c.Redeem(t.Context(), account, coins, out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range out {
			if out[i] != want[min(i, len(want)-1)] {
				t.Fatalf("%s: coin %d is answered %v", name, i, out[i])
			}
		}
	}
	redeem("one", 1, list[:1], core.StatusOK)
	redeem("again", 1, list[:1], core.StatusRedeemedBefore)
	redeem("another", 2, list[:1], core.StatusRedeemed)
	redeem("many", 2, list, core.StatusRedeemed, core.StatusOK)
	redeem("many again", 2, list[1:], core.StatusRedeemedBefore)
	redeem("never live", 2, []core.Fingerprint{{1, 2, 3}}, core.StatusNotLive)
	redeem("mixed", 1, []core.Fingerprint{list[0], {1, 2, 3}, list[1], set.Random(101)}, core.StatusRedeemedBefore, core.StatusNotLive, core.StatusRedeemed, core.StatusOK)

	redeem("twice in a call", 1, []core.Fingerprint{set.Random(102), set.Random(102)}, core.StatusOK, core.StatusRedeemedBefore)

	// Two of these goroutines race for each coin.
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[core.Fingerprint]int{}
	for g := range 8 {
		client := dial()
		wg.Go(func() {
			out := make([]core.Status, 10)
			for k := range 10 {
				var mine []core.Fingerprint
				for i := range 10 {
					mine = append(mine, set.Random(int64(200+g/2*100+k*10+i)))
				}
				if err := client.Redeem(context.Background(), uint16(3+g%2), mine, out); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, s := range out {
					if s == core.StatusOK {
						won[mine[i]]++
					} else if s != core.StatusRedeemed {
						t.Errorf("the loser of a race is answered %v", s)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(won) != 400 {
		t.Errorf("%d of 400 coins were redeemed", len(won))
	}
	for _, n := range won {
		if n != 1 {
			t.Fatalf("a coin was redeemed %d times", n)
		}
	}
	var sums [5]int64
	for a := range sums {
		var err error
		if sums[a], err = credit(uint16(a)); err != nil {
			t.Fatal(err)
		}
	}
	if sums[0] != 0 || sums[1] != 3 || sums[2] != 100 || sums[3]+sums[4] != 400 {
		t.Errorf("credits %v", sums)
	}
}

func TestEngines(t *testing.T) {
	for _, name := range store.Engines {
		t.Run(name, func(t *testing.T) {
			set := coins.New(6400)
			e, dial, _ := served(t, name, set)
			if n, err := e.LiveBytes(); err != nil || n < 12*set.Len() || n > 200*set.Len() {
				t.Errorf("%d coins take %d bytes, %v", set.Len(), n, err)
			}
			check(t, set, dial, e.Credit)
		})
	}
	if _, err := store.Open("paper", t.TempDir()); err == nil {
		t.Error("an engine that is none")
	}
}

func TestRedis(t *testing.T) {
	_, err := daemon.FindRedis()
	benchtest.Need(t, err)
	s, err := daemon.Redis(t.Context(), filepath.Join(benchtest.Folder(t), "redis"), "no")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	dial := func() store.Client {
		c, err := store.DialRedis(context.Background(), s.Address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c, set := dial().(*store.RedisClient), coins.New(6400)
	if err := c.Load(set.Ascending()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Do("DBSIZE"); err != nil || n != "6400" {
		t.Errorf("%s keys, %v", n, err)
	}
	check(t, set, dial, c.Credit)
	if _, err := c.Do("NONSENSE"); err == nil {
		t.Error("an error is none")
	}
}

func TestPostgres(t *testing.T) {
	_, err := daemon.FindPostgres()
	benchtest.Need(t, err)
	s, err := daemon.Postgres(t.Context(), filepath.Join(benchtest.Folder(t), "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	slot := 0
	dial := func() store.Client {
		c, err := store.DialPostgres(context.Background(), s.Address, slot)
		if err != nil {
			t.Fatal(err)
		}
		slot++
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c, set := dial().(*store.PostgresClient), coins.New(6400)
	if err := c.Load(set.Ascending()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.LiveBytes(); err != nil || n < 40*set.Len() {
		t.Errorf("%d coins take %d bytes, %v", set.Len(), n, err)
	}
	check(t, set, dial, c.Credit)
}

// TestRefuses sends requests that the server must answer by hanging up.
func TestRefuses(t *testing.T) {
	_, dial, address := served(t, "bbolt", coins.New(64))
	good := dial()
	for name, request := range map[string][]byte{
		"no coins":        {0, 0, 0, 1},
		"too many coins":  {0xff, 0xff, 0, 1},
		"no such account": {0, 1, 0, store.Accounts},
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(c).ReadByte(); err == nil {
			t.Errorf("%s: answered", name)
		}
		_ = c.Close()
	}
	out := make([]core.Status, 1)
	if err := good.Redeem(t.Context(), 0, []core.Fingerprint{{}}, out); err != nil || out[0] != core.StatusNotLive {
		t.Errorf("others are answered %v, %v", out, err)
	}
}

// BenchmarkRedeem redeems 64 coins a call through each engine's server, one call after the
// other. An operation is a coin.
func BenchmarkRedeem(b *testing.B) {
	for _, name := range store.Engines {
		b.Run("engine="+name, func(b *testing.B) {
			set := coins.New(max(6400, int64(b.N)))
			_, dial, _ := served(b, name, set)
			c, list, out := dial(), make([]core.Fingerprint, 64), make([]core.Status, 64)
			b.ResetTimer()
			for i := 0; i < b.N; {
				n := min(64, b.N-i)
				for k := range n {
					list[k] = set.Random(int64(i + k))
				}
				if err := c.Redeem(context.Background(), 0, list[:n], out[:n]); err != nil || out[n-1] != core.StatusOK {
					b.Fatal(out[n-1], err)
				}
				i += n
			}
		})
	}
}
