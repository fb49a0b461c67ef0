package collector

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/collector/wallet"
	"ecoin/core"
)

func TestOperation(t *testing.T) {
	v := newWorld(t, 3, 0)
	body := []byte("t,v\n1,2\n")
	res, err := v.c.Do(ctx, "summary", body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Status != core.ReplyOK || string(res.Body) != "result of t,v\n1,2\n" || res.Took <= 0 {
		t.Errorf("result %+v", res)
	}
	res, err = v.c.Do(ctx, "trend", []byte("refuse this"))
	if err != nil || res.Status != core.ReplyRefused {
		t.Errorf("a refused input: %+v, %v", res, err)
	}
	v.wantCounts(wallet.Counts{Coins: 1})
	seen := v.sightings()
	if len(seen) != 2 || seen[0].name != "summary" || seen[0].analysis != "summary" || !bytes.Equal(seen[0].body, body) {
		t.Fatalf("the analyst saw %d operations, first %q %q", len(seen), seen[0].name, seen[0].body)
	}
	if seen[0].sec.Coin == seen[1].sec.Coin || seen[0].sec.IV == seen[1].sec.IV {
		t.Error("two operations share coin or IV")
	}
	if bytes.Contains(seen[0].request, body) {
		t.Error("the request shows the readings")
	}
	if string(body) != "t,v\n1,2\n" {
		t.Error("the input was changed")
	}
}

// What cannot be an operation is refused before a coin is touched.
func TestOperationRefusedBeforeACoinIsUsed(t *testing.T) {
	v := newWorld(t, 1, 0, func(o *Options) { o.MaxRequest = 1000 })
	most := v.c.MaxBody()
	name := strings.Repeat("n", core.MaxNameLen)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	tests := []struct {
		name     string
		ctx      context.Context
		analysis string
		body     []byte
		is       error
		text     string
	}{
		{"no name", ctx, "", nil, nil, `analysis ""`},
		{"bad name", ctx, "../x", nil, nil, `analysis "../x"`},
		{"too large", ctx, name, make([]byte, most+16), ErrTooLarge, "at most 1000: send fewer rows"},
		{"too large for any director", ctx, name, make([]byte, core.MaxPlaintext), ErrTooLarge, "send fewer rows"},
		{"canceled", canceled, "summary", nil, context.Canceled, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := v.c.Do(tt.ctx, tt.analysis, tt.body)
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %v with %q", err, tt.is, tt.text)
			}
			v.wantCounts(wallet.Counts{Coins: 1})
		})
	}
	// And what just fits goes through, as a request of at most the limit.
	if _, err := v.c.Do(ctx, name, make([]byte, most)); err != nil {
		t.Fatal(err)
	}
	n := len(v.sightings()[0].request)
	if n > 1000 || n+16 <= 1000 {
		t.Errorf("the longest request has %d bytes, want one block less than beyond 1000", n)
	}
}

func TestMaxBodyFitsEveryName(t *testing.T) {
	for _, suite := range []core.Suite{core.SuiteX25519, core.SuiteXWing, core.SuiteRSA3072} {
		least := requestLen(suite, 1+core.MaxNameLen+1)
		for limit := least; limit < least+100; limit++ {
			c := &Collector{o: Options{Suite: suite, MaxRequest: limit}}
			n := 1 + core.MaxNameLen + c.MaxBody()
			if requestLen(suite, n) > limit || requestLen(suite, n+1) <= limit {
				t.Errorf("%v, limit %d: MaxBody %d makes %d bytes, one more %d", suite, limit, c.MaxBody(), requestLen(suite, n), requestLen(suite, n+1))
			}
		}
	}
	c := &Collector{o: Options{Suite: core.SuiteX25519, MaxRequest: 1 << 30}}
	if got := c.MaxBody() + 1 + core.MaxNameLen; got != core.MaxPlaintext {
		t.Errorf("without a director's limit a plaintext of %d bytes, want %d", got, core.MaxPlaintext)
	}
}

func TestOperationInOtherSuites(t *testing.T) {
	for _, suite := range []core.Suite{core.SuiteXWing, core.SuiteRSA3072} {
		t.Run("suite="+suite.String(), func(t *testing.T) {
			key, err := core.GenerateKey(suite)
			if err != nil {
				t.Fatal(err)
			}
			v := newWorld(t, 1, 0, func(o *Options) { o.Suite = suite })
			v.bank.set(func() { v.bank.key = key; v.bank.publish = append(v.bank.publish, key.Public()) })
			if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if got := core.Suite(v.sightings()[0].request[1]); got != suite {
				t.Errorf("suite %v", got)
			}
		})
	}
}

// To directors a collector is nobody they met before.
func TestEphemeralIdentity(t *testing.T) {
	v := newWorld(t, 5, 0)
	other := newWorld(t, 1, 0)
	now := time.Now()
	var clock sync.Mutex
	v.c.director.now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	do := func(v *world) [32]byte {
		t.Helper()
		if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
			t.Fatal(err)
		}
		seen := v.sightings()
		return seen[len(seen)-1].pin
	}
	first, again := do(v), do(v)
	now = now.Add(identityUse - time.Second)
	before := do(v)
	now = now.Add(time.Second)
	after := do(v)
	if first != again || first != before {
		t.Error("the certificate changed at once")
	}
	if first == after {
		t.Error("the certificate was not replaced")
	}
	if do(other) == first {
		t.Error("two collectors share a certificate")
	}
}

func TestUnknownDirectorGetsNothing(t *testing.T) {
	imposter := newWorld(t, 0, 0)
	v := newWorld(t, 1, 0, func(o *Options) { o.DirectorURL = imposter.server.URL })
	var f *Failure
	if _, err := v.c.Do(ctx, "summary", []byte("secret reading")); !errors.As(err, &f) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
	v.wantCounts(wallet.Counts{Bad: 1})
	if len(imposter.sightings()) != 0 {
		t.Error("the imposter got a request")
	}
}

func TestOptionsChecked(t *testing.T) {
	v := newWorld(t, 0, 0)
	good := Options{Wallet: v.w, Bank: v.bank, DirectorURL: v.server.URL, DirectorRoots: v.roots}
	tests := map[string]func(*Options){
		"wallet and bank":        func(o *Options) { o.Bank = nil },
		"want https://HOST":      func(o *Options) { o.DirectorURL = "http://127.0.0.1" },
		"want https://HOST[":     func(o *Options) { o.DirectorURL = "https://u:p@127.0.0.1" },
		"want https://HOST[:P":   func(o *Options) { o.DirectorURL = "https://127.0.0.1/?x=1" },
		"director's certificate": func(o *Options) { o.DirectorRoots = nil },
		"no suite":               func(o *Options) { o.Suite = 0x77 },
		"choose 0 to 10000":      func(o *Options) { o.Refill = 10001 },
		"the first must be less": func(o *Options) { o.Refill, o.Low = 5, 5 },
		"must not be negative":   func(o *Options) { o.Timeout = -1 },
		"the smallest need":      func(o *Options) { o.MaxRequest = 100 },
	}
	for text, change := range tests {
		o := good
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
	c, err := New(Options{Wallet: v.w, Bank: v.bank})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do(ctx, "summary", nil); err == nil || !strings.Contains(err.Error(), "no director") {
		t.Errorf("without a director: %v", err)
	}
}

func BenchmarkOperation(b *testing.B) {
	v := newWorld(b, 0, 1<<30, func(o *Options) { o.Refill, o.Low = 1000, 0 })
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) { // no books to keep
		req, err := core.ParseRequest(request)
		if err != nil {
			b.Error(err)
			return
		}
		var sec core.Secrets
		var s core.Scratch
		ring, err := core.NewKeyring(v.bank.key)
		if err == nil {
			err = ring.OpenHeader(&s, req.AppendRecord(nil), &sec)
		}
		reply, err2 := req.AppendReply(nil, &s, &sec, core.AppendResult(nil, core.ReplyOK, []byte("fine")))
		if err := errors.Join(err, err2); err != nil {
			b.Error(err)
		}
		w.Write(reply)
	})
	body := make([]byte, 4<<10)
	if _, err := v.c.Withdraw(ctx, 100); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.c.Do(ctx, "summary", body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	bank := newBank(b, 0)
	body := make([]byte, 4<<10)
	var s core.Scratch
	sec := core.Secrets{Coin: core.Coin{1}, IV: core.IV{2}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seal(&s, bank.key.Public(), &sec, "summary", body); err != nil {
			b.Fatal(err)
		}
	}
}
