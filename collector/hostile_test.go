package collector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecoin/collector/wallet"
	"ecoin/core"
)

// deed answers one operation in a hostile way; good is the honest reply to it.
type deed func(w http.ResponseWriter, r *http.Request, request, good []byte)

func answer(change func(request, good []byte) []byte) deed {
	return func(w http.ResponseWriter, _ *http.Request, request, good []byte) { w.Write(change(request, good)) }
}

// cutOff ends the connection without another word.
func cutOff() { panic(http.ErrAbortHandler) }

// Whatever a director does, no plaintext is accepted, the coin is bad, and the error
// shows nothing.
func TestHostileDirector(t *testing.T) {
	tests := []struct {
		name string
		want string // in the error
		do   deed
	}{
		{"nothing", "not this operation's reply", answer(func(_, _ []byte) []byte { return nil })},
		{"noise", "not this operation's reply", answer(func(_, good []byte) []byte { return bytes.Repeat([]byte{7}, len(good)) })},
		{"reflected", "not this operation's reply", answer(func(request, _ []byte) []byte { return request })},
		{"reflected as a reply", "not this operation's reply", answer(func(request, _ []byte) []byte {
			reply := bytes.Clone(request)
			reply[2] = core.KindReply
			return reply
		})},
		{"reflected in a reply's layout", "not this operation's reply", answer(func(request, _ []byte) []byte {
			// The request's ciphertext and tag under a reply's prefix, with its IV unknown.
			n := core.PrefixLen + core.SuiteX25519.HeaderLen()
			reply := append(bytes.Clone(request[:core.PrefixLen]), make([]byte, 16)...)
			reply[2] = core.KindReply
			return append(reply, request[n:]...)
		})},
		{"one byte more", "not this operation's reply", answer(func(_, good []byte) []byte { return append(good, 0) })},
		{"twice", "not this operation's reply", answer(func(_, good []byte) []byte { return append(good, good...) })},
		{"a block less", "not this operation's reply", answer(func(_, good []byte) []byte {
			n := binary.BigEndian.Uint32(good[core.BoundLen:])
			binary.BigEndian.PutUint32(good[core.BoundLen:], n-16)
			return append(good[:len(good)-core.TagLen-16], good[len(good)-core.TagLen:]...)
		})},
		{"length field of 4 GiB", "not this operation's reply", answer(func(_, good []byte) []byte {
			binary.BigEndian.PutUint32(good[core.BoundLen:], 0xfffffff0)
			return good
		})},
		{"good reply, bad status", "answered 500", func(w http.ResponseWriter, _ *http.Request, _, good []byte) {
			w.WriteHeader(http.StatusInternalServerError)
			w.Write(good)
		}},
		{"good reply, 201", "answered 201", func(w http.ResponseWriter, _ *http.Request, _, good []byte) {
			w.WriteHeader(http.StatusCreated)
			w.Write(good)
		}},
		{"redirect", "answered 307", func(w http.ResponseWriter, r *http.Request, _, _ []byte) {
			http.Redirect(w, r, "/v1/operations/summary", http.StatusTemporaryRedirect)
		}},
		{"text to print", `answered 502 Bad Gateway (it says "�[31m`, func(w http.ResponseWriter, _ *http.Request, _, _ []byte) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, `{"detail":"\u001b[31m`+strings.Repeat("x", 5000)+`"}`)
		}},
		{"huge, announced", "announces a reply of 9999999999 bytes", func(w http.ResponseWriter, _ *http.Request, _, _ []byte) {
			w.Header().Set("Content-Length", "9999999999")
			w.Write(make([]byte, 1000))
		}},
		{"huge, in chunks", "more than 65536 bytes", func(w http.ResponseWriter, _ *http.Request, _, _ []byte) {
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}},
		{"huge problem", "answered 400", func(w http.ResponseWriter, _ *http.Request, _, _ []byte) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			w.Write(bytes.Repeat([]byte(" "), 1<<20))
		}},
		{"huge header", "no reply", func(w http.ResponseWriter, _ *http.Request, _, good []byte) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			w.Write(good)
		}},
		{"hangs", "no reply within 1s", func(_ http.ResponseWriter, r *http.Request, _, _ []byte) { <-r.Context().Done(); cutOff() }},
		{"hangs in the reply", "no reply within 1s", func(w http.ResponseWriter, r *http.Request, _, good []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			w.Write(good[:20])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
		{"drops", "no reply", func(http.ResponseWriter, *http.Request, []byte, []byte) { cutOff() }},
		{"drops in the reply", "no reply", func(w http.ResponseWriter, _ *http.Request, _, good []byte) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)))
			w.Write(good[:20])
			w.(http.Flusher).Flush()
			cutOff()
		}},
	}
	v := newWorld(t, 2*len(tests), 0, func(o *Options) { o.MaxReply = 64 << 10 })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v.t = t
			var requests atomic.Int32
			v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
				good, err := v.analyse(r, request)
				if err != nil {
					t.Error(err)
				}
				requests.Add(1)
				tt.do(w, r, request, good)
			})
			if strings.HasPrefix(tt.name, "hangs") {
				v.c.director.timeout = time.Second
			}
			v.mustFail(tt.want)
			v.c.director.timeout = 10 * time.Second
			if n := requests.Load(); n != 1 {
				t.Errorf("the request arrived %d times", n)
			}
			v.director(v.honest)
			v.mustWork()
		})
	}
	if text := v.log.String(); v.leaks(text, []byte("readings, secret ones")) != "" {
		t.Errorf("the log shows a secret: %s", text)
	}
}

// mustFail runs an operation that must fail with text, and looks at what is left.
func (v *world) mustFail(text string) {
	v.t.Helper()
	before := v.w.Counts()
	body := []byte("readings, secret ones")
	res, err := v.c.Do(ctx, "summary", body)
	var f *Failure
	if !errors.As(err, &f) || f.Coin == "" || !strings.Contains(err.Error(), text) {
		v.t.Errorf("error %v, want a failure with %q", err, text)
		return
	}
	if res.Body != nil {
		v.t.Error("a failed operation has a body")
	}
	if leak := v.leaks(fmt.Sprintf("%v %+v %#v", err, err, err), body); leak != "" {
		v.t.Errorf("the error shows %s", leak)
	}
	v.wantCounts(wallet.Counts{Coins: before.Coins - 1, Bad: before.Bad + 1})
}

// mustWork runs an operation that must not fail.
func (v *world) mustWork() {
	v.t.Helper()
	before := v.w.Counts()
	if _, err := v.c.Do(ctx, "summary", []byte("x")); err != nil {
		v.t.Error(err)
	}
	v.wantCounts(wallet.Counts{Coins: before.Coins - 1, Bad: before.Bad})
}

func TestFlippedBits(t *testing.T) {
	const replyLen = core.PrefixLen + 16 + 32 + core.TagLen // "result of readings, secret ones" is 31 bytes, status 1, padding
	v := newWorld(t, replyLen, 0)
	for i := range replyLen {
		v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
			good, err := v.analyse(r, request)
			if err != nil || len(good) <= i {
				t.Errorf("reply of %d bytes, %v", len(good), err)
				return
			}
			good[i] ^= 1 << (i % 8)
			w.Write(good)
		})
		v.mustFail("not this operation's reply")
	}
}

func TestTruncatedReplies(t *testing.T) {
	v := newWorld(t, 40, 0)
	for cut := 1; cut <= 40; cut++ {
		v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
			good, err := v.analyse(r, request)
			if err != nil {
				t.Error(err)
				return
			}
			w.Write(good[:len(good)-min(cut*3, len(good))])
		})
		v.mustFail("not this operation's reply")
	}
}

func TestOldReplies(t *testing.T) {
	v := newWorld(t, 4, 0)
	var old []byte
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		old, _ = v.analyse(r, request)
		w.Write(old)
	})
	v.mustWork()
	analysed := old
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) { w.Write(analysed) })
	v.mustFail("not this operation's reply") // never reached the analyst
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		if _, err := v.analyse(r, request); err != nil {
			t.Error(err)
		}
		w.Write(analysed)
	})
	v.mustFail("not this operation's reply")
}

func TestSwappedReplies(t *testing.T) {
	v := newWorld(t, 2, 0)
	var mu sync.Mutex
	var waiting chan []byte // where the first operation gets the second one's reply
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		good, err := v.analyse(r, request)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		if waiting == nil {
			waiting = make(chan []byte)
			mu.Unlock()
			other := <-waiting
			waiting <- good
			w.Write(other)
			return
		}
		mu.Unlock()
		waiting <- good
		w.Write(<-waiting)
	})
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			var f *Failure
			if _, err := v.c.Do(ctx, "summary", []byte("x")); !errors.As(err, &f) || !errors.Is(err, ErrReply) || !errors.Is(err, core.ErrOpen) {
				t.Errorf("a swapped reply: %v", err)
			}
		})
	}
	done.Wait()
	v.wantCounts(wallet.Counts{Bad: 2})
}

// A request that is sent to another analysis, twice, or not at all pays once at most,
// and the collector's refund tells what happened.
func TestRefundAfterAttacks(t *testing.T) {
	v := newWorld(t, 3, 0)
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		if _, err := v.analyse(r, request); err != nil {
			t.Error(err)
		}
		if _, err := v.analyse(r, request); err == nil {
			t.Error("a replayed request was served")
		}
		cutOff()
	})
	v.mustFail("no reply")
	v.director(func(http.ResponseWriter, *http.Request, []byte) { cutOff() })
	v.mustFail("no reply")
	got := map[core.Status]int{}
	if err := v.c.Refund(ctx, RefundOptions{}, func(r Refunded) { got[r.Status]++ }); err != nil {
		t.Fatal(err)
	}
	if got[core.StatusOK] != 1 || got[core.StatusRedeemed] != 1 || v.bank.balance != 1 {
		t.Errorf("refunds %v, balance %d: want one live, one redeemed", got, v.bank.balance)
	}
	v.wantCounts(wallet.Counts{Coins: 1, Bad: 1})
}
