package analyst

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/problem"
)

// scripted is a Bank that answers by functions.
type scripted struct {
	redeem func(ctx context.Context, records [][]byte) ([]client.Redeemed, error)
	give   func(ctx context.Context, records [][]byte) ([]core.Status, error)
}

func (s scripted) Redeem(ctx context.Context, records [][]byte) ([]client.Redeemed, error) {
	return s.redeem(ctx, records)
}

func (s scripted) Return(ctx context.Context, records [][]byte) ([]core.Status, error) {
	return s.give(ctx, records)
}

// echo answers each record with secrets made of it.
func echo(records [][]byte) []client.Redeemed {
	out := make([]client.Redeemed, len(records))
	for i, r := range records {
		copy(out[i].Secrets.Coin[:], r)
	}
	return out
}

// Records that arrive while a call is under way travel in the next one, together;
// nobody waits for company.
func TestCollecting(t *testing.T) {
	for _, tc := range []struct {
		asks, calls int
		want        []int // sizes of the calls; nil: at most 4
	}{
		{1, 1, []int{1}},
		{64, 1, []int{1, 63}},
		{64, 2, nil}, // both workers come back at once and share the rest, or not
		{2500, 1, []int{1, 1000, 1000, 499}},
	} {
		t.Run(fmt.Sprintf("asks=%d/calls=%d", tc.asks, tc.calls), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var sizes []int
				most, now := 0, 0
				bank := scripted{redeem: func(_ context.Context, records [][]byte) ([]client.Redeemed, error) {
					mu.Lock()
					sizes = append(sizes, len(records))
					now++
					most = max(most, now)
					mu.Unlock()
					time.Sleep(time.Second)
					mu.Lock()
					now--
					mu.Unlock()
					return echo(records), nil
				}}
				r := &redeemer{banks: oneBank{bank}, timeout: time.Minute, calls: tc.calls, asks: make(chan *ask)}
				ctx, cancel := context.WithCancel(t.Context())
				var run, wg sync.WaitGroup
				run.Go(func() { r.run(ctx) })
				synctest.Wait()
				for i := range tc.asks {
					wg.Go(func() {
						record := []byte(fmt.Sprint("record ", i))
						v, asked := r.redeem(t.Context(), record)
						if got := string(v.secrets.Coin[:len(record)]); !asked || v.err != nil || got != string(record) {
							t.Errorf("record %d: got %q, %v", i, got, v.err)
						}
					})
					if i < tc.calls {
						synctest.Wait() // the first one of each worker sets out alone
					}
				}
				wg.Wait()
				cancel()
				run.Wait()
				sum := 0
				for _, n := range sizes {
					sum += n
				}
				if tc.want == nil && len(sizes) > 4 || tc.want != nil && !slices.Equal(sizes, tc.want) || sum != tc.asks || most > tc.calls {
					t.Errorf("calls of %v, want %v; %d at a time", sizes, tc.want, most)
				}
			})
		})
	}
}

// 64 operations at once, through the whole pipeline.
func TestOperationsCollected(t *testing.T) {
	bank := newFakeBank(t)
	synctest.Test(t, func(t *testing.T) {
		bank.fault = func(context.Context, string, int) (bool, error) {
			time.Sleep(time.Second)
			return true, nil
		}
		a, stop := inside(t, testOptions(t, bank))
		var wg sync.WaitGroup
		for i := range 64 {
			body := fmt.Sprint("reading ", i)
			o := bank.newOp(t, "other", body)
			wg.Go(func() {
				reply, err := a.operate(t.Context(), "other", o.msg)
				if err != nil {
					t.Error(err)
					return
				}
				o.mustOpen(t, reply, body)
			})
		}
		wg.Wait()
		stop()
		// The first call has whatever was there, the others what gathered meanwhile.
		if redeems, _ := bank.calls(); len(redeems) > 3 {
			t.Errorf("64 operations took calls of %v", redeems)
		}
		if got := bank.credit(); got != 64 {
			t.Errorf("credit %d", got)
		}
	})
}

// A record that the bank refuses the whole call for does not take others with it.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		bank := scripted{redeem: func(_ context.Context, records [][]byte) ([]client.Redeemed, error) {
			calls++
			time.Sleep(time.Millisecond)
			for _, r := range records {
				if string(r) == "poison" {
					return nil, fmt.Errorf("client: redeem: %w", problem.New(400, "a record is malformed"))
				}
			}
			return echo(records), nil
		}}
		r := &redeemer{banks: oneBank{bank}, timeout: time.Minute, calls: 1, asks: make(chan *ask)}
		ctx, cancel := context.WithCancel(t.Context())
		var run, wg sync.WaitGroup
		run.Go(func() { r.run(ctx) })
		for i := range 100 {
			record := []byte("good")
			if i == 37 {
				record = []byte("poison")
			}
			wg.Go(func() {
				v, _ := r.redeem(t.Context(), record)
				if (v.err != nil) != (i == 37) || i == 37 && !refused(v.err) {
					t.Errorf("record %d: %v", i, v.err)
				}
			})
		}
		wg.Wait()
		cancel()
		run.Wait()
		if calls > 20 { // 1 + 1 + 2*log2(99)
			t.Errorf("%d calls", calls)
		}
	})
}

// Errors that may pass are told to all, and not split; so is an answer of the wrong
// length.
func TestCallErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		out []client.Redeemed
		err error
	}{
		"lost": {nil, errLost}, "busy": {nil, busyError()}, "short": {make([]client.Redeemed, 3), nil}, "long": {make([]client.Redeemed, 5), nil},
	} {
		calls := 0
		r := &redeemer{timeout: time.Minute, banks: oneBank{scripted{redeem: func(context.Context, [][]byte) ([]client.Redeemed, error) {
			calls++
			return tc.out, tc.err
		}}}}
		batch := make([]*ask, 4)
		for i := range batch {
			batch[i] = &ask{record: []byte{byte(i)}, answer: make(chan verdict, 1)}
		}
		r.call(t.Context(), batch)
		for i, a := range batch {
			if v := <-a.answer; v.err == nil || refused(v.err) {
				t.Errorf("%s, record %d: %v", name, i, v.err)
			}
		}
		if calls != 1 {
			t.Errorf("%s: %d calls", name, calls)
		}
	}
}

// severalBanks answers for each record by its first byte: o is redeemed, l is lost, and r
// refused together with all of its bank that it comes with, if one of them is bad.
type severalBanks struct{ calls int }

func (b *severalBanks) Redeem(_ context.Context, records [][]byte) ([]client.Redeemed, []error) {
	b.calls++
	out, errs := make([]client.Redeemed, len(records)), make([]error, len(records))
	bad := slices.ContainsFunc(records, func(r []byte) bool { return string(r) == "r bad" })
	for i, r := range records {
		out[i].Secrets.IV[0] = r[len(r)-1]
		switch {
		case r[0] == 'l':
			errs[i] = errLost
		case r[0] == 'r' && bad:
			errs[i] = problem.New(http.StatusBadRequest, "no")
		}
	}
	return out, errs
}

func (b *severalBanks) Return(context.Context, [][]byte) ([]core.Status, []error) { panic("not here") }

// TestSeveralBanks: what one bank does with its records is nothing to those of another,
// which are asked for once; and a bad record is the only one that is refused.
func TestSeveralBanks(t *testing.T) {
	var banks severalBanks
	records := [][]byte{[]byte("o1"), []byte("r1"), []byte("l1"), []byte("r2"), []byte("r bad"), []byte("o2"), []byte("r3")}
	told := make([]int, len(records))
	redeemAll(t.Context(), &banks, time.Minute, records, func(i int, v verdict) {
		told[i]++
		name := string(records[i])
		good := v.err == nil && v.secrets.IV[0] == name[len(name)-1]
		switch {
		case name == "r bad" && refused(v.err), name[0] == 'l' && errors.Is(v.err, errLost):
		case name != "r bad" && name[0] != 'l' && good:
		default:
			t.Errorf("%s: %v, its own secrets: %t", name, v.err, good)
		}
	})
	for i, n := range told {
		if n != 1 {
			t.Errorf("%s was told of %d times", records[i], n)
		}
	}
	if banks.calls != 1+2+2 { // all; r1 r2, r bad r3; r bad, r3
		t.Errorf("%d calls", banks.calls)
	}
}

// Who gives up before the record is on its way was not asked for; who gives up later
// does not know.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := 0
		release := make(chan struct{})
		r := &redeemer{timeout: time.Hour, calls: 1, asks: make(chan *ask), banks: oneBank{scripted{redeem: func(_ context.Context, records [][]byte) ([]client.Redeemed, error) {
			seen += len(records)
			<-release
			return echo(records), nil
		}}}}
		run, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.run(run) })
		ctx, giveUp := context.WithTimeout(t.Context(), time.Second)
		defer giveUp()
		type result struct {
			v     verdict
			asked bool
		}
		first, second := make(chan result, 1), make(chan result, 1)
		go func() { v, asked := r.redeem(ctx, []byte("1")); first <- result{v, asked} }()
		synctest.Wait()
		go func() { v, asked := r.redeem(ctx, []byte("2")); second <- result{v, asked} }()
		if got := <-first; !got.asked || !errors.Is(got.v.err, context.DeadlineExceeded) || client.Definite(got.v.err) {
			t.Errorf("under way: %+v", got)
		}
		if got := <-second; got.asked || !errors.Is(got.v.err, context.DeadlineExceeded) {
			t.Errorf("waiting: %+v", got)
		}
		close(release)
		cancel()
		wg.Wait()
		if seen != 1 {
			t.Errorf("the bank saw %d records", seen)
		}
	})
}

func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		d := func(i int) core.Digest { return core.Digest{byte(i), byte(i >> 8)} }
		if !h.take(d(1)) || h.take(d(1)) || !h.take(d(2)) {
			t.Fatal("taking is not exclusive")
		}
		h.release(d(1), false)
		h.release(d(2), true)
		if !h.take(d(1)) || h.take(d(2)) {
			t.Fatal("released, or redeemed")
		}
		h.release(d(1), false)
		time.Sleep(keepTime + time.Minute)
		if h.take(d(2)) {
			t.Error("forgotten within the window")
		}
		time.Sleep(keepTime)
		if !h.take(d(2)) {
			t.Error("remembered for ever")
		}

		h = newHeld()
		h.keepMost = 10
		for i := range 100 {
			if !h.take(d(i)) {
				t.Fatal(i)
			}
			h.release(d(i), true)
			if len(h.young) > 10 || len(h.old) > 10 {
				t.Fatalf("%d and %d are kept", len(h.young), len(h.old))
			}
		}
		for i := 90; i < 100; i++ {
			if h.take(d(i)) {
				t.Errorf("%d of 100 is forgotten", i)
			}
		}
	})
}

// benchBank answers after the time that a durable redeem takes.
func benchBank(delay time.Duration) scripted {
	return scripted{redeem: func(_ context.Context, records [][]byte) ([]client.Redeemed, error) {
		time.Sleep(delay)
		return echo(records), nil
	}}
}

func BenchmarkRedeemer(b *testing.B) {
	for _, parallel := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("operations=%d/bank=1ms", parallel), func(b *testing.B) {
			calls, inner := 0, benchBank(time.Millisecond)
			bank := scripted{redeem: func(ctx context.Context, records [][]byte) ([]client.Redeemed, error) {
				calls++ // one worker
				return inner.redeem(ctx, records)
			}}
			r := &redeemer{banks: oneBank{bank}, timeout: time.Minute, calls: 1, asks: make(chan *ask)}
			ctx, cancel := context.WithCancel(b.Context())
			var run, wg sync.WaitGroup
			run.Go(func() { r.run(ctx) })
			record := make([]byte, 108)
			b.ReportAllocs()
			work := make(chan struct{})
			for range parallel {
				wg.Go(func() {
					for range work {
						if v, _ := r.redeem(ctx, record); v.err != nil {
							b.Error(v.err)
						}
					}
				})
			}
			n := 0
			for b.Loop() {
				work <- struct{}{}
				n++
			}
			close(work)
			wg.Wait()
			cancel()
			run.Wait()
			b.ReportMetric(float64(n)/float64(calls), "records/call")
		})
	}
}

func BenchmarkOperation(b *testing.B) {
	bank := newFakeBank(b)
	o := testOptions(b, bank)
	o.Logger = slog.New(slog.DiscardHandler)
	a, stop := inside(b, o)
	defer stop()
	body := string(make([]byte, 4<<10))
	b.SetBytes(4 << 10)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		x := bank.newOp(b, "other", body)
		b.StartTimer()
		if _, err := a.operate(b.Context(), "other", x.msg); err != nil {
			b.Fatal(err)
		}
	}
}
