package analyst

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/internal/problem"
)

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func respond(status int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}
}

// A lease is renewed in time, asked for again when it was lost, and ended.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t, newFakeBank(t))
		o.URL = "https://127.0.0.1:9"
		var lines []string
		o.Logger = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			lines = append(lines, string(p))
			return len(p), nil
		}), nil))
		if err := o.setDefaults(); err != nil {
			t.Fatal(err)
		}
		l, err := newLease(&o)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var at []time.Duration
		var calls []string
		var mu sync.Mutex // guards what the calls share with the test
		answer := func() (*http.Response, error) { return respond(200, "application/json", "{}"), nil }
		then := func(status int, contentType, body string, err error) {
			mu.Lock()
			defer mu.Unlock()
			answer = func() (*http.Response, error) {
				if err != nil {
					return nil, err
				}
				return respond(status, contentType, body), nil
			}
		}
		l.http.Transport = tripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(begin))
			calls = append(calls, r.Method+" "+r.URL.String())
			if r.Method == "PUT" {
				var reg struct {
					URL      string
					Analyses []string
					Capacity int
				}
				if err := json.NewDecoder(r.Body).Decode(&reg); err != nil || reg.URL != o.URL || len(reg.Analyses) != len(o.Analyses) || reg.Capacity != 64 {
					t.Errorf("registration %+v, %v", reg, err)
				}
				if r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("header %v", r.Header)
				}
			}
			return answer()
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { l.keep(ctx) })

		calledUntil := func(d time.Duration) int {
			time.Sleep(d - time.Since(begin))
			mu.Lock()
			defer mu.Unlock()
			return len(at)
		}
		if n := calledUntil(61 * time.Second); n != 13 { // at 0, 5, ... 60 s
			t.Errorf("%d calls: %v", n, at)
		}
		then(0, "", "", errors.New("no route"))
		if n := calledUntil(80*time.Second + 500*time.Millisecond); n != 13+16 { // at 65 s and then every second
			t.Errorf("%d calls: %v", n, at)
		}
		then(409, problem.ContentType, string(problem.Marshal(problem.New(409, "this id belongs to another key"))), nil)
		calledUntil(85 * time.Second)
		then(204, "", "", nil)
		calledUntil(95 * time.Second)
		cancel()
		wg.Wait()
		if last := calls[len(calls)-1]; last != "DELETE https://127.0.0.1:1/v1/analysts/"+o.ID || calls[0] != "PUT https://127.0.0.1:1/v1/analysts/"+o.ID {
			t.Errorf("calls %v", calls)
		}
		log := strings.Join(lines, "")
		if strings.Count(log, "msg=registered") != 2 || strings.Count(log, "no route") != 1 || strings.Count(log, "another key") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}
