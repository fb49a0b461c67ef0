package analyst

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/analyst/analysis"
	"ecoin/core"
	"ecoin/internal/problem"
)

func TestOperation(t *testing.T) {
	bank := newFakeBank(t)
	synctest.Test(t, func(t *testing.T) {
		a, stop := inside(t, testOptions(t, bank))
		o := bank.newOp(t, "upper", "readings")
		given := bytes.Clone(o.msg)
		reply, err := a.operate(t.Context(), "upper", o.msg)
		if err != nil {
			t.Fatal(err)
		}
		o.mustOpen(t, reply, "READINGS")
		o.mustBe(t, redeemed)
		if !bytes.Equal(o.msg, given) {
			t.Error("the message was changed")
		}

		// An input error is an answer, and is paid for.
		o = bank.newOp(t, "refuses", "x")
		if reply, err = a.operate(t.Context(), "refuses", o.msg); err != nil {
			t.Fatal(err)
		}
		if st, body, err := o.open(reply); st != core.ReplyRefused || body != "line 3: no" || err != nil {
			t.Errorf("got %d %q %v", st, body, err)
		}
		o.mustBe(t, redeemed)
		if n := stop(); n != 0 {
			t.Errorf("owes %d", n)
		}
	})
}

// What is wrong after the coin was redeemed gives it back; what is wrong before,
// leaves it alone.
func TestNotServed(t *testing.T) {
	flip := func(i int) func(*op, *op) []byte {
		return func(o, _ *op) []byte {
			b := bytes.Clone(o.msg)
			if i < 0 {
				i += len(b)
			}
			b[i] ^= 1
			return b
		}
	}
	headerLen := core.SuiteX25519.HeaderLen()
	for _, tc := range []struct {
		name  string
		route string
		forge func(o, other *op) []byte // nil: as it is
		want  state
		err   error // nil: any
	}{
		{"the analysis fails", "fails", nil, returned, nil},
		{"the analysis panics", "panics", nil, returned, nil},
		{"the analysis takes too long", "sleeps", nil, returned, context.DeadlineExceeded},
		{"the analysis is done too late", "late", nil, returned, context.DeadlineExceeded},
		{"the result is too long", "long", nil, returned, errTooLong},
		{"another route", "other", func(o, _ *op) []byte { return o.seal(t, "upper", "x") }, returned, errName},
		{"no name inside", "upper", func(o, _ *op) []byte {
			var s core.Scratch
			record, err := o.bank.key.AppendHeader(nil, &s, &o.sec)
			if err != nil {
				t.Fatal(err)
			}
			msg, err := core.AppendRequest(nil, &s, record, &o.sec, []byte{200, 'a'})
			if err != nil {
				t.Fatal(err)
			}
			return msg
		}, returned, core.ErrFormat},
		{"ciphertext flipped", "upper", flip(core.PrefixLen + headerLen), returned, core.ErrOpen},
		{"tag flipped", "upper", flip(-1), returned, core.ErrOpen},
		{"payload of another operation", "upper", func(o, other *op) []byte {
			return append(bytes.Clone(o.msg[:core.PrefixLen+headerLen]), other.msg[core.PrefixLen+headerLen:]...)
		}, returned, core.ErrOpen},
		{"header flipped", "upper", flip(core.PrefixLen), live, nil},
		{"key id flipped", "upper", flip(5), live, nil},
		{"truncated", "upper", func(o, _ *op) []byte { return o.msg[:len(o.msg)-16] }, live, core.ErrFormat},
		{"analysis not offered", "horoscope", nil, live, errUnknown},
		{"forged header, coin never issued", "upper", func(o, _ *op) []byte {
			forged := &op{bank: o.bank, sec: core.Secrets{Coin: core.Coin{1}}}
			return forged.seal(t, "upper", "x")
		}, live, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bank := newFakeBank(t)
			synctest.Test(t, func(t *testing.T) {
				a, stop := inside(t, testOptions(t, bank))
				o, other := bank.newOp(t, tc.route, "body"), bank.newOp(t, tc.route, "body")
				msg := o.msg
				if tc.forge != nil {
					msg = tc.forge(o, other)
				}
				reply, err := a.operate(t.Context(), tc.route, msg)
				if err == nil || reply != nil || tc.err != nil && !errors.Is(err, tc.err) {
					t.Errorf("got %d bytes, %v; want %v", len(reply), err, tc.err)
				}
				if strings.Contains(fmt.Sprint(err), "body") {
					t.Errorf("the error quotes the input: %v", err)
				}
				if n := stop(); n != 0 {
					t.Errorf("owes %d", n)
				}
				o.mustBe(t, tc.want)
				other.mustBe(t, live)
				if len(a.held.running) != 0 {
					t.Error("a record is still held")
				}
			})
		})
	}
}

// A header is served once, however often it comes.
func TestReplay(t *testing.T) {
	bank := newFakeBank(t)
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t, bank)
		enter, leave := make(chan struct{}), make(chan struct{})
		o.Analyses["waits"] = func(_ context.Context, body []byte) ([]byte, error) {
			close(enter)
			<-leave
			return bytes.Clone(body), nil
		}
		a, stop := inside(t, o)
		first := bank.newOp(t, "waits", "1")
		done := make(chan []byte)
		go func() {
			reply, err := a.operate(t.Context(), "waits", first.msg)
			if err != nil {
				t.Error(err)
			}
			done <- reply
		}()
		<-enter
		// Same header, another payload under the same coin: the collector's doing.
		otherPayload := bytes.Clone(first.msg)
		replays := map[string][]byte{"same": first.msg, "flipped payload": otherPayload}
		otherPayload[len(otherPayload)-1] ^= 1
		replay := func(when string) {
			for name, msg := range replays {
				if _, err := a.operate(t.Context(), "waits", msg); !errors.Is(err, errDuplicate) {
					t.Errorf("%s, %s: %v", when, name, err)
				}
			}
		}
		replay("running")
		close(leave)
		first.mustOpen(t, <-done, "1")
		replay("served")
		if redeems, returns := bank.calls(); len(redeems) != 1 || len(returns) != 0 {
			t.Errorf("calls to the bank: %v, %v", redeems, returns)
		}

		// The same by an analyst that has no memory of it.
		b, stopB := inside(t, o)
		for name, msg := range replays {
			if _, err := b.operate(t.Context(), "waits", msg); !errors.Is(err, errReplayed) && !errors.Is(err, errDuplicate) {
				t.Errorf("after a restart, %s: %v", name, err)
			}
		}
		// The coin again, under a header of its own.
		again := first.seal(t, "waits", "2")
		if _, err := b.operate(t.Context(), "waits", again); err == nil {
			t.Error("a spent coin was served under a new header")
		}
		if stop()+stopB() != 0 {
			t.Error("coins are owed")
		}
		first.mustBe(t, redeemed) // and nothing was returned
	})
}

// The bank's answers go wrong in every way that leaves doubt, or none.
func TestDoubt(t *testing.T) {
	hang := func(act bool) func(context.Context, string, int) (bool, error) { // answers nothing in time
		return func(ctx context.Context, _ string, _ int) (bool, error) {
			<-ctx.Done()
			return act, ctx.Err()
		}
	}
	lose := func(act bool) func(context.Context, string, int) (bool, error) {
		return func(context.Context, string, int) (bool, error) { return act, errLost }
	}
	busy := func(context.Context, string, int) (bool, error) { return false, busyError() }
	forbid := func(context.Context, string, int) (bool, error) {
		return false, fmt.Errorf("client: redeem: %w", problem.New(403, "role"))
	}
	type faults = []func(context.Context, string, int) (bool, error)
	for _, tc := range []struct {
		name    string
		faults  faults // of the first calls; nil: none
		spent   bool   // the header was redeemed by this account before
		served  bool
		want    state
		redeems int // calls, 0: any number
	}{
		{"answer lost after redeeming", faults{lose(true)}, false, true, redeemed, 2},
		{"time-out after redeeming", faults{hang(true)}, false, true, redeemed, 2},
		{"lost before redeeming", faults{lose(false)}, false, true, redeemed, 2},
		{"twice lost, once redeemed", faults{lose(false), lose(true)}, false, true, redeemed, 3},
		{"busy", faults{busy, busy, busy}, false, true, redeemed, 4},
		{"busy is not doubt", faults{busy}, true, false, redeemed, 2},
		{"refused", faults{forbid}, false, false, live, 1},
		{"lost, then refused", faults{lose(true), forbid}, false, false, returned, 0},
		{"redeemed before, no doubt", nil, true, false, redeemed, 1},
		{"time-out until the deadline, redeemed", faults{hang(true), hang(true), hang(true), hang(true), hang(true), hang(true)}, false, false, returned, 0},
		{"time-out until the deadline, not redeemed", faults{hang(false), hang(false), hang(false), hang(false), hang(false), hang(false)}, false, false, returned, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bank := newFakeBank(t)
			synctest.Test(t, func(t *testing.T) {
				a, stop := inside(t, testOptions(t, bank))
				o := bank.newOp(t, "upper", "x")
				if tc.spent {
					bank.mu.Lock()
					record, _, err := core.CutRecord(append(bytes.Clone(o.msg[:core.BoundLen]), o.msg[core.PrefixLen:]...))
					if err != nil {
						t.Fatal(err)
					}
					bank.redeemLocked(record)
					bank.mu.Unlock()
				}
				var n int
				bank.fault = func(ctx context.Context, call string, size int) (bool, error) {
					bank.mu.Lock()
					i := n
					n++
					bank.mu.Unlock()
					if i < len(tc.faults) {
						return tc.faults[i](ctx, call, size)
					}
					return true, nil
				}
				reply, err := a.operate(t.Context(), "upper", o.msg)
				if tc.served {
					if err != nil {
						t.Fatal(err)
					}
					o.mustOpen(t, reply, "X")
				} else if err == nil {
					t.Error("it was served")
				} else if tc.want == returned {
					// Until the bank has taken the coin back nobody else gets at it.
					if _, err := a.operate(t.Context(), "upper", o.msg); !errors.Is(err, errDuplicate) {
						t.Errorf("in doubt: %v", err)
					}
				}
				time.Sleep(time.Minute)
				if n := stop(); n != 0 {
					t.Errorf("owes %d", n)
				}
				o.mustBe(t, tc.want)
				if redeems, _ := bank.calls(); tc.redeems != 0 && len(redeems) != tc.redeems {
					t.Errorf("redeem calls %v, want %d", redeems, tc.redeems)
				}
				if _, err := a.operate(t.Context(), "upper", o.msg); tc.want != live && !errors.Is(err, errDuplicate) {
					t.Errorf("replayed at the end: %v", err)
				}
			})
		})
	}
}

// The bank says "temporary" though it redeemed, then "redeemed before".
func TestTemporaryThenBefore(t *testing.T) {
	bank := newFakeBank(t)
	synctest.Test(t, func(t *testing.T) {
		a, stop := inside(t, testOptions(t, bank))
		o := bank.newOp(t, "upper", "x")
		first := true
		bank.twist = func(_ string, s core.Status) core.Status {
			if first {
				first = false
				return core.StatusTemporary
			}
			return s
		}
		reply, err := a.operate(t.Context(), "upper", o.msg)
		if err != nil {
			t.Fatal(err)
		}
		o.mustOpen(t, reply, "X")
		if stop() != 0 {
			t.Error("coins are owed")
		}
		o.mustBe(t, redeemed)
	})
}

// A director that hangs up ends the operation, and gets the coin returned, unless
// the reply was there already.
func TestHangUp(t *testing.T) {
	bank := newFakeBank(t)
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t, bank)
		hangUp := func() {}
		o.Analyses["hang"] = func(_ context.Context, body []byte) ([]byte, error) {
			hangUp()
			return bytes.Clone(body), nil
		}
		o.Analyses["hang-refused"] = func(context.Context, []byte) ([]byte, error) {
			hangUp()
			return nil, &analysis.InputError{Text: "no"}
		}
		a, stop := inside(t, o)
		x := bank.newOp(t, "hang", "x")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hangUp = cancel
		if _, err := a.operate(ctx, "hang", x.msg); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		refused := bank.newOp(t, "hang-refused", "x")
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		hangUp = cancel
		if _, err := a.operate(ctx, "hang-refused", refused.msg); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		// Before anybody asked the bank: nothing to return.
		y := bank.newOp(t, "upper", "y")
		if _, err := a.operate(ctx, "upper", y.msg); err == nil {
			t.Error("served to nobody")
		}
		if stop() != 0 {
			t.Error("coins are owed")
		}
		x.mustBe(t, returned)
		refused.mustBe(t, returned)
		if s := bank.state(y.sec.Coin); s == redeemed {
			t.Error("a coin was kept for nothing")
		}
	})
}

// Whatever the bank's calls come to, and however often each header is replayed:
// once all is settled the analyst has exactly the coins of what it served, and has
// served none twice.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(15) {
		bank := newFakeBank(t)
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			var mu sync.Mutex
			chance := func(p float64) bool {
				mu.Lock()
				defer mu.Unlock()
				return rng.Float64() < p
			}
			faulty := true
			bank.fault = func(ctx context.Context, call string, n int) (bool, error) {
				mu.Lock()
				f := faulty
				mu.Unlock()
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				switch {
				case !f || chance(0.4):
					return true, nil
				case chance(0.25):
					return false, busyError()
				case chance(0.3):
					<-ctx.Done()
					return chance(0.5), ctx.Err()
				default:
					return chance(0.5), errLost
				}
			}
			bank.twist = func(_ string, s core.Status) core.Status {
				if chance(0.1) {
					return core.StatusTemporary
				}
				return s
			}
			o := testOptions(t, bank)
			o.RedeemCalls = 2
			o.Analyses["mostly"] = func(_ context.Context, body []byte) ([]byte, error) {
				time.Sleep(10 * time.Millisecond)
				if chance(0.2) {
					return nil, errLost
				}
				return bytes.Clone(body), nil
			}
			a, stop := inside(t, o)
			ops := make([]*op, 40)
			served := make([]int, len(ops))
			var wg sync.WaitGroup
			for i := range ops {
				ops[i] = bank.newOp(t, "mostly", "x")
				for try := range 3 { // two of them replays
					wg.Go(func() {
						time.Sleep(time.Duration(try) * time.Duration(i) * time.Second)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if chance(0.1) {
							time.AfterFunc(15*time.Millisecond, cancel)
						}
						if reply, err := a.operate(ctx, "mostly", ops[i].msg); err == nil {
							ops[i].mustOpen(t, reply, "x")
							mu.Lock()
							served[i]++
							mu.Unlock()
						}
					})
				}
			}
			wg.Wait()
			mu.Lock()
			faulty = false
			mu.Unlock()
			time.Sleep(time.Minute)
			if n := stop(); n != 0 {
				t.Errorf("seed %d: owes %d", seed, n)
			}
			total := 0
			for i, o := range ops {
				total += served[i]
				s := bank.state(o.sec.Coin)
				if served[i] > 1 || (served[i] == 1) != (s == redeemed) {
					t.Errorf("seed %d: operation %d was served %d times, its coin is in state %d", seed, i, served[i], s)
				}
			}
			if total < 5 || total == len(ops) {
				t.Errorf("seed %d: %d of %d served: the faults are not what they should be", seed, total, len(ops))
			}
		})
	}
}

// FuzzOperate: no message makes an analyst panic, serve, or touch a coin that it was
// not given the key of.
func FuzzOperate(f *testing.F) {
	bank := newFakeBank(f)
	o := bank.newOp(f, "upper", "x")
	reply := bytes.Clone(o.msg)
	reply[2] = core.KindReply
	f.Add(reply)
	f.Add([]byte{})
	f.Add(o.msg[:len(o.msg)-1])
	flipped := bytes.Clone(o.msg)
	flipped[core.PrefixLen+3] ^= 4
	f.Add(flipped)
	opts := testOptions(f, bank)
	opts.Analyses = map[string]analysis.Func{"upper": testAnalyses()["upper"]}
	a, stop := inside(f, opts)
	f.Cleanup(func() { stop() })
	f.Fuzz(func(t *testing.T, msg []byte) {
		if bytes.Equal(msg, o.msg) {
			return
		}
		if reply, err := a.operate(t.Context(), "upper", msg); err == nil || reply != nil {
			t.Fatalf("%d bytes were served", len(msg))
		}
		if s := bank.state(o.sec.Coin); s == redeemed && !bytes.HasPrefix(msg, o.msg[:core.BoundLen]) {
			t.Fatal("a coin was redeemed by a message without its header")
		}
	})
}
