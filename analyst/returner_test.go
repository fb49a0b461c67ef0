package analyst

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/client"
	"ecoin/core"
	"ecoin/internal/problem"
)

// runReturner starts a returner; stop ends it within limit and returns what is owed.
func runReturner(bank Bank, log *slog.Logger) (r *returner, stop func(limit time.Duration) int) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r = newReturner(oneBank{bank}, 5*time.Second, newHeld(), log)
	ctx, cancel := context.WithCancel(context.Background())
	finish := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { r.run(ctx, finish) })
	return r, func(limit time.Duration) int {
		cut := time.AfterFunc(limit, cancel)
		close(finish)
		wg.Wait()
		cut.Stop()
		cancel()
		return r.owed()
	}
}

// owe adds n debts, as operations would.
func owe(t *testing.T, r *returner, first, n int, doubt bool) {
	t.Helper()
	for i := first; i < first+n; i++ {
		d := core.Digest{byte(i), byte(i >> 8), 1}
		if !r.held.take(d) {
			t.Fatalf("%d is held", i)
		}
		r.add([]byte(fmt.Sprint("record ", i)), d, doubt)
	}
}

func allOK(records [][]byte) []core.Status { return make([]core.Status, len(records)) }

// A backlog goes out in batches of at most 1000, oldest first, and is released.
func TestReturnBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got [][]byte
		r, stop := runReturner(scripted{give: func(_ context.Context, records [][]byte) ([]core.Status, error) {
			if len(records) > maxBatch {
				t.Errorf("a batch of %d", len(records))
			}
			got = append(got, records...)
			time.Sleep(time.Millisecond)
			return allOK(records), nil
		}}, nil)
		owe(t, r, 0, 2500, false)
		if n := stop(time.Second); n != 0 {
			t.Errorf("owes %d", n)
		}
		if len(got) != 2500 || string(got[0]) != "record 0" || string(got[2499]) != "record 2499" {
			t.Errorf("%d returned", len(got))
		}
		if len(r.held.running) != 0 || len(r.held.young) != 2500 {
			t.Errorf("%d held, %d remembered", len(r.held.running), len(r.held.young))
		}
	})
}

// Failures are tried again, ever less often, until they pass; a coin that is refused
// for good is not tried again.
func TestReturnRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		r, stop := runReturner(scripted{give: func(ctx context.Context, records [][]byte) ([]core.Status, error) {
			at = append(at, time.Since(begin))
			switch n := len(at); {
			case n == 1:
				<-ctx.Done()
				return nil, ctx.Err()
			case n < 5:
				return nil, errLost
			case n < 8:
				return nil, busyError()
			case n == 8:
				return make([]core.Status, len(records)+1), nil
			case n == 9: // one of each, in whatever order they come
				out := make([]core.Status, len(records))
				for i, r := range records {
					out[i] = map[string]core.Status{
						"record 0": core.StatusOK, "record 1": core.StatusNotLive,
						"record 2": core.StatusRedeemed, "record 3": core.StatusTemporary,
					}[string(r)]
				}
				return out, nil
			}
			if len(records) != 1 || string(records[0]) != "record 3" {
				t.Errorf("asked again for %q", records)
			}
			return allOK(records), nil
		}}, nil)
		owe(t, r, 0, 4, false)
		time.Sleep(10 * time.Minute)
		if r.owed() != 0 || len(at) != 10 {
			t.Errorf("owes %d after calls at %v", r.owed(), at)
		}
		for i := 2; i < len(at)-1; i++ {
			if gap := at[i] - at[i-1]; gap < minBackoff/2 || gap > maxBackoff {
				t.Errorf("calls at %v", at)
			}
		}
		if at[8] < 5*time.Second+8*minBackoff {
			t.Errorf("too eager: calls at %v", at)
		}
		stop(0)
	})
}

// In doubt the bank is asked about the coin first, until it says yes or no; only a
// coin that turns out to be redeemed by this analyst is returned.
func TestReturnDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, returned := 0, map[string]bool{}
		r, stop := runReturner(scripted{
			redeem: func(_ context.Context, records [][]byte) ([]client.Redeemed, error) {
				if asked++; asked == 1 {
					return nil, errLost
				}
				out := echo(records)
				for i := range out {
					var k int
					fmt.Sscanf(string(records[i]), "record %d", &k)
					if out[i].Status = core.Status(k); k == 5 && asked > 2 {
						out[i].Status = core.StatusOK
					}
				}
				return out, nil
			},
			give: func(_ context.Context, records [][]byte) ([]core.Status, error) {
				for _, rec := range records {
					returned[string(rec)] = true
				}
				return allOK(records), nil
			},
		}, nil)
		owe(t, r, 0, 6, true) // record k is answered with status k
		time.Sleep(time.Minute)
		if n := stop(0); n != 0 {
			t.Errorf("owes %d", n)
		}
		if want := map[string]bool{"record 0": true, "record 1": true, "record 5": true}; fmt.Sprint(returned) != fmt.Sprint(want) {
			t.Errorf("returned %v", returned)
		}
		for k, mayAgain := range []bool{false, false, true, true, true, false} {
			if got := r.held.take(core.Digest{byte(k), 0, 1}); got != mayAgain {
				t.Errorf("record %d may be taken again: %v", k, got)
			}
		}
	})
}

// A record in doubt that the bank refuses the whole call for keeps no other coin from
// being returned. It stays held: what became of it is not known.
func TestReturnPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := 0
		r, stop := runReturner(scripted{
			redeem: func(_ context.Context, records [][]byte) ([]client.Redeemed, error) {
				time.Sleep(time.Millisecond)
				for _, rec := range records {
					if string(rec) == "record 37" {
						return nil, fmt.Errorf("client: redeem: %w", problem.New(400, "a record is malformed"))
					}
				}
				return echo(records), nil
			},
			give: func(_ context.Context, records [][]byte) ([]core.Status, error) {
				returned += len(records)
				return allOK(records), nil
			},
		}, nil)
		owe(t, r, 0, 100, true)
		time.Sleep(time.Minute)
		if n := stop(0); n != 1 || returned != 99 || len(r.held.running) != 1 {
			t.Errorf("owes %d, returned %d, holds %d", n, returned, len(r.held.running))
		}
	})
}

// At the end it tries for the time it has, and says what is left.
func TestReturnEnds(t *testing.T) {
	for _, tc := range []struct {
		name string
		back time.Duration // when the bank is back
		want int
	}{{"bank comes back", 3 * time.Second, 0}, {"bank stays away", time.Hour, 7}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				r, stop := runReturner(scripted{give: func(_ context.Context, records [][]byte) ([]core.Status, error) {
					if time.Since(begin) < tc.back {
						return nil, errLost
					}
					return allOK(records), nil
				}}, nil)
				owe(t, r, 0, 7, false)
				time.Sleep(time.Second)
				stopAt := time.Now()
				if n := stop(5 * time.Second); n != tc.want {
					t.Errorf("owes %d, want %d", n, tc.want)
				}
				if d := time.Since(stopAt); d > 5*time.Second+100*time.Millisecond {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

// After an hour the bank has forgotten whose the coin was.
func TestReturnGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r, stop := runReturner(scripted{give: func(context.Context, [][]byte) ([]core.Status, error) {
			return nil, errLost
		}}, slog.New(slog.NewTextHandler(&log, nil)))
		owe(t, r, 0, 1, false)
		time.Sleep(returnFor - time.Minute)
		if r.owed() != 1 {
			t.Error("gave up early")
		}
		time.Sleep(2 * time.Minute)
		if stop(0) != 0 || !strings.Contains(log.String(), "could not be returned") {
			t.Errorf("still owes, or does not say so: %.300s", log.String())
		}
	})
}

// An analyst that owes too much takes nothing new.
func TestOverloadedByDebts(t *testing.T) {
	bank := newFakeBank(t)
	o := testOptions(t, bank)
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	a := assemble(o) // whose returner does not run
	owe(t, a.returner, 0, maxDebts, false)
	x := bank.newOp(t, "upper", "x")
	if _, err := a.serve(newPost(t, "upper", x.msg)); !errors.Is(err, errOverload) {
		t.Errorf("got %v", err)
	}
	x.mustBe(t, live)
}
