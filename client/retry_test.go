package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/core"
	"ecoin/internal/problem"
	"ecoin/internal/wire"
)

// newRetrying returns a client of b that repeats its calls quickly.
func (b *fakeBank) newRetrying(t *testing.T, attempts int) *Client {
	t.Helper()
	c, err := New(Options{URL: b.URL, Identity: b.client, Roots: pool(b.id), Timeout: 300 * time.Millisecond,
		Retry: Retry{Attempts: attempts, MinPause: time.Microsecond, MaxPause: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// What a bank does to one try.
const (
	fine    = 200
	lost    = -1 // it acts, and the answer is lost
	half    = -2 // the answer breaks off
	late    = -3 // no answer in time
	garbage = -4 // an answer that is none
	foolish = -5 // an answer of the right form that makes no sense
)

// TestRetries plays what a bank does try after try, and looks at what the caller is told.
func TestRetries(t *testing.T) {
	const definite, unknown = "definite", "unknown"
	for name, tt := range map[string]struct {
		attempts int
		script   []int
		want     string // "" for success
		tries    int
	}{
		"at once":                      {3, []int{fine}, "", 1},
		"never repeated":               {0, []int{503, fine}, definite, 1},
		"one try":                      {1, []int{lost, fine}, unknown, 1},
		"busy, then fine":              {3, []int{503, 429, fine}, "", 3},
		"busy all the time":            {3, []int{503, 503, 503, fine}, definite, 3},
		"lost, then fine":              {3, []int{lost, fine}, "", 2},
		"half, late, garbage, 500":     {5, []int{half, late, garbage, 500, fine}, "", 5},
		"lost, then busy":              {2, []int{lost, 503}, unknown, 2},
		"lost, then too fast":          {2, []int{lost, 429}, unknown, 2},
		"lost, then slow":              {2, []int{lost, 408}, unknown, 2},
		"lost, then the disk is full":  {5, []int{lost, 507}, unknown, 2},
		"lost, then no credit":         {5, []int{lost, 402}, unknown, 2},
		"lost, then wrong role":        {5, []int{lost, 403}, unknown, 2},
		"wrong role":                   {5, []int{403}, definite, 1},
		"lost, then another n":         {5, []int{lost, 409}, definite, 2},
		"500, then busy for ever":      {4, []int{500, 503, 503, 503}, unknown, 4},
		"busy, then lost":              {2, []int{503, lost}, unknown, 2},
		"no credit":                    {5, []int{402}, definite, 1},
		"the disk is full":             {5, []int{507}, definite, 1},
		"malformed request":            {5, []int{400}, definite, 1},
		"lost all the time":            {4, []int{lost, lost, lost, lost}, unknown, 4},
		"until it is settled":          {-1, []int{lost, 503, lost, 500, garbage, 429, 503, half, fine}, "", 9},
		"until it is settled, another": {-1, []int{lost, 503, lost, 409}, definite, 4},
		"busy, then no credit":         {-1, []int{503, 429, 402}, definite, 3},
		"until there is no credit":     {-1, []int{lost, 503, lost, 402}, unknown, 4},
		"without end, full disk":       {-1, []int{507, fine}, definite, 1},
		"without end, lost, then full": {-1, []int{lost, 507, fine}, unknown, 2},
		"without end, nonsense":        {-1, []int{foolish, fine}, unknown, 1},
	} {
		var tries atomic.Int64
		records := records(2)
		var bodies atomic.Int64 // right ones
		b := newBank(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
			if bytes.Equal(body, bytes.Join(records, nil)) {
				bodies.Add(1)
			}
			switch act := tt.script[min(int(tries.Add(1)), len(tt.script))-1]; act {
			case fine:
				send(w, wire.TypeBinary, []byte{byte(core.StatusOK), byte(core.StatusNotLive)})
			case lost:
				panic(http.ErrAbortHandler)
			case half:
				w.Header().Set("Content-Type", wire.TypeBinary)
				w.Header().Set("Content-Length", "2")
				w.Write([]byte{0})
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			case late:
				select {
				case <-r.Context().Done():
				case <-time.After(2 * time.Second):
				}
			case garbage:
				send(w, wire.TypeBinary, []byte{0})
			case foolish:
				send(w, wire.TypeBinary, []byte{0, 0xff})
			default:
				p := problem.New(act, "no")
				p.RetryAfter = time.Hour // of which no more than MaxPause is waited for
				problem.Write(w, p)
			}
		})
		c := b.newRetrying(t, tt.attempts)
		got, err := c.Return(ctx, records)
		kind := definite
		switch {
		case err == nil:
			kind = ""
		case !Definite(err):
			kind = unknown
		}
		if kind != tt.want || int(tries.Load()) != tt.tries || bodies.Load() != tries.Load() {
			t.Errorf("%s: %q after %d tries (%v), want %q after %d; %d bodies were whole", name, kind, tries.Load(), err, tt.want, tt.tries, bodies.Load())
		}
		var p *problem.Problem
		if kind == unknown && errors.As(err, &p) {
			t.Errorf("%s: an unknown outcome has the problem %v", name, p)
		}
		if err == nil && (len(got) != 2 || got[0] != core.StatusOK || got[1] != core.StatusNotLive) {
			t.Errorf("%s: %v", name, got)
		}
		b.Close()
	}
}

// TestRetriedRedeem: the bank redeems and its answer is lost; the second try brings the
// secrets, with the status that tells that it was the second.
func TestRetriedRedeem(t *testing.T) {
	want := []core.Secrets{secretsOf(1), secretsOf(2)}
	var tries atomic.Int64
	b := newBank(t, func(w http.ResponseWriter, _ *http.Request, body []byte) {
		if !bytes.Equal(body, bytes.Join(records(2), nil)) {
			t.Errorf("%d bytes of a body that is not the call's", len(body))
		}
		if tries.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		answer := wire.AppendRedeemRecord(nil, core.StatusRedeemedBefore, &want[0])
		send(w, wire.TypeBinary, wire.AppendRedeemRecord(answer, core.StatusRedeemedBefore, &want[1]))
	})
	got, err := b.newRetrying(t, 3).Redeem(ctx, records(2))
	if err != nil || len(got) != 2 || tries.Load() != 2 {
		t.Fatalf("%d answers after %d tries, %v", len(got), tries.Load(), err)
	}
	for i, r := range got {
		if r.Status != core.StatusRedeemedBefore || r.Secrets != want[i] {
			t.Errorf("record %d: status %v, its own secrets: %t", i, r.Status, r.Secrets == want[i])
		}
	}
}

// TestRetriedWithdrawal: every try carries the key of the call, for under another one the
// bank would pay out once more.
func TestRetriedWithdrawal(t *testing.T) {
	key := [16]byte{1, 2, 3}
	var mu sync.Mutex
	var paths, keys []string
	b := newBank(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.URL.RequestURI())
		keys = append(keys, r.Header.Values("Idempotency-Key")...)
		switch len(paths) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			problem.Write(w, problem.New(http.StatusServiceUnavailable, "no"))
		case 3:
			send(w, wire.TypeBinary, []byte{0})
		default:
			send(w, wire.TypeBinary, wire.AppendCoins(nil, coinsOf(2)))
		}
	})
	got, err := b.newRetrying(t, 5).Withdraw(ctx, key, 2)
	if err != nil || !slices.Equal(got, coinsOf(2)) {
		t.Fatalf("%d coins, %v", len(got), err)
	}
	if len(keys) != 4 || slices.ContainsFunc(keys, func(k string) bool { return k != hex.EncodeToString(key[:]) }) {
		t.Errorf("keys %q of 4 tries, want %x each time", keys, key)
	}
	if len(paths) != 4 || len(slices.Compact(paths)) != 1 {
		t.Errorf("the tries were of %q", paths)
	}
}

// TestRetryEndsWithContext: a call that is repeated for ever ends with its context, and
// tells what was known then.
func TestRetryEndsWithContext(t *testing.T) {
	for status, wantDefinite := range map[int]bool{503: true, 500: false} {
		b := newBank(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { problem.Write(w, problem.New(status, "no")) })
		c := b.newRetrying(t, -1)
		var err error
		for limit := 50 * time.Millisecond; b.requests.Load() < 2 && limit < 10*time.Second; limit *= 2 {
			b.requests.Store(0) // busy processors took longer than that for one
			short, cancel := context.WithTimeout(ctx, limit)
			_, err = c.Account(short)
			cancel()
		}
		if err == nil || b.requests.Load() < 2 {
			t.Errorf("%d: %v after %d requests", status, err, b.requests.Load())
		}
		if errors.Is(err, context.DeadlineExceeded) { // it ended within a try, whose outcome is unknown
			wantDefinite = false
		}
		if Definite(err) != wantDefinite {
			t.Errorf("%d: definite %t: %v", status, Definite(err), err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	b := newBank(t, func(http.ResponseWriter, *http.Request, []byte) {})
	if _, err := b.newRetrying(t, -1).Account(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// TestRetryOfStrangers: a key that is not trusted is not tried again and again.
func TestRetryOfStrangers(t *testing.T) {
	b := newBank(t, func(http.ResponseWriter, *http.Request, []byte) { t.Error("served") })
	b.client = newIdentity(t)
	stranger := newIdentity(t)
	c, err := New(Options{URL: b.URL, Identity: stranger, Roots: pool(b.id), Timeout: 5 * time.Second, Retry: Retry{Attempts: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := c.Account(limited); err == nil || Definite(err) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stranger: %v", err)
	}
	if n := b.conns.Load(); n > 2 {
		t.Errorf("%d connections", n)
	}
}

func TestPause(t *testing.T) {
	r, err := Retry{}.withDefaults()
	if err != nil || r.MinPause != 50*time.Millisecond || r.MaxPause != 2*time.Second {
		t.Fatalf("defaults %+v, %v", r, err)
	}
	for tries, most := range map[int]time.Duration{1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 6: 1600 * time.Millisecond, 7: 2 * time.Second, 1000: 2 * time.Second} {
		var longest time.Duration
		for range 1000 {
			p := r.pause(tries, errors.New("x"))
			if p < 0 || p >= most {
				t.Fatalf("a pause of %v after %d tries", p, tries)
			}
			longest = max(longest, p)
		}
		if longest < most/2 {
			t.Errorf("after %d tries no pause is longer than %v", tries, longest)
		}
	}
	long := Retry{MinPause: time.Minute, MaxPause: time.Hour}
	for tries := range 100 {
		if p := long.pause(tries+1, errors.New("x")); p < 0 || p >= time.Hour {
			t.Errorf("long pauses: %v after %d tries", p, tries+1)
		}
	}
	for after, least := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: 2 * time.Second} {
		p := problem.New(503, "")
		p.RetryAfter = after
		if got := r.pause(1, refused("x", p)); got < least || got > least+50*time.Millisecond {
			t.Errorf("Retry-After %v: a pause of %v", after, got)
		}
	}
	for _, bad := range []Retry{{MinPause: -1}, {MinPause: 2, MaxPause: 1}} {
		if _, err := bad.withDefaults(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
