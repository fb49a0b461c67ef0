package analyst

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ecoin/analyst/analysis"
	"ecoin/core"
	"ecoin/director"
	"ecoin/internal/identity"
)

func TestOptions(t *testing.T) {
	good := testOptions(t, newFakeBank(t))
	for name, change := range map[string]func(*Options){
		"no identity":     func(o *Options) { o.Identity = nil },
		"no bank":         func(o *Options) { o.Bank = nil },
		"bank and banks":  func(o *Options) { o.Banks = &severalBanks{} },
		"no pin":          func(o *Options) { o.DirectorPin = [32]byte{} },
		"no analyses":     func(o *Options) { o.Analyses = nil },
		"bad name":        func(o *Options) { o.Analyses["Upper"] = o.Analyses["upper"] },
		"nil analysis":    func(o *Options) { o.Analyses["x"] = nil },
		"bad director":    func(o *Options) { o.Director = "http://127.0.0.1:1" },
		"director's path": func(o *Options) { o.Director = "https://127.0.0.1:1/v1" },
		"bad id":          func(o *Options) { o.ID = "../x" },
		"negative":        func(o *Options) { o.Capacity = -1 },
		"many calls":      func(o *Options) { o.RedeemCalls = 9 },
		"bad address":     func(o *Options) { o.Address = "nowhere" },
		"every address":   func(o *Options) { o.Address = "0.0.0.0:0" },
		"too many to name": func(o *Options) {
			for i := range 40 {
				o.Analyses[fmt.Sprint("a", i)] = o.Analyses["upper"]
			}
		},
	} {
		o := good
		o.Analyses = testAnalyses()
		change(&o)
		if a, err := New(o); err == nil {
			a.Close()
			t.Errorf("%s was accepted", name)
		}
	}
	o := good
	o.Address, o.URL = "0.0.0.0:0", "https://analyst.example:8443"
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// logLines waits for lines of a log.
type logLines struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (l *logLines) Write(p []byte) (int, error) {
	var m map[string]any
	if err := json.Unmarshal(p, &m); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, m)
	return len(p), nil
}

func (l *logLines) find(msg string) map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.lines {
		if m["msg"] == msg {
			return m
		}
	}
	return nil
}

// system is a real director and a real analyst, and the fake bank.
type system struct {
	t        *testing.T
	bank     *fakeBank
	director *director.Director
	pin      [32]byte
	log      *logLines
	stop     func() // ends the analyst
}

func startSystem(t *testing.T, change func(*Options)) *system {
	t.Helper()
	id := newIdentity(t, "director")
	quiet := slog.New(slog.DiscardHandler)
	d, err := director.New(director.Options{Identity: id, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	run := func(f func(context.Context) error) func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- f(ctx) }()
		stop := sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
		t.Cleanup(stop)
		return stop
	}
	run(d.Run)
	s := &system{t: t, bank: newFakeBank(t), director: d, pin: id.Pin, log: &logLines{}}
	o := testOptions(t, s.bank)
	o.Director, o.DirectorPin, o.Analyses = d.URL(), id.Pin, analysis.Builtin()
	o.ID = "analyst-1"
	o.Logger = slog.New(slog.NewJSONHandler(s.log, nil))
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.stop = run(a.Run)
	for deadline := time.Now().Add(20 * time.Second); s.log.find("registered") == nil; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never registered")
		}
	}
	if line := s.log.find("listening"); line == nil || line["url"] != a.URL() {
		t.Errorf("listening line: %v", line)
	}
	return s
}

// client is a collector's way to the director.
func (s *system) client() *http.Client {
	tr := &http.Transport{TLSClientConfig: identity.PinnedClientConfig(newIdentity(s.t, "collector"), s.pin)}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func (s *system) post(c *http.Client, name string, msg []byte) (int, []byte) {
	s.t.Helper()
	resp, err := c.Post(s.director.URL()+"/v1/operations/"+name, "application/octet-stream", bytes.NewReader(msg))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, b
}

// Real readings, through a real director, over real TLS.
func TestEndToEnd(t *testing.T) {
	s := startSystem(t, nil)
	readings, err := os.ReadFile(filepath.Join("..", "testdata", "occupancy-datatest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	c := s.client()
	o := s.bank.newOp(t, "summary", string(readings))
	status, reply := s.post(c, "summary", o.msg)
	if status != 200 {
		t.Fatalf("%d %s", status, reply)
	}
	st, body, err := o.open(reply)
	if err != nil || st != core.ReplyOK {
		t.Fatalf("%d %v", st, err)
	}
	var got struct {
		Rows    int
		Columns []struct {
			Name     string
			Mean, SD float64
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rows != 2665 || got.Columns[2].Name != "Temperature" ||
		math.Abs(got.Columns[2].Mean-21.4338762887519) > 1e-9 || math.Abs(got.Columns[2].SD-1.028024175891) > 1e-9 {
		t.Errorf("got %+v", got)
	}
	o.mustBe(t, redeemed)

	// An input that the analysis refuses: told to the collector alone.
	o = s.bank.newOp(t, "summary", "a,b\n1\n")
	status, reply = s.post(c, "summary", o.msg)
	if st, text, err := o.open(reply); status != 200 || st != core.ReplyRefused || text != "line 2 has 1 fields, want 2 as in the lines above" || err != nil {
		t.Errorf("%d %d %q %v", status, st, text, err)
	}
	if bytes.Contains(reply, []byte("line 2")) {
		t.Error("the text is readable on the way")
	}

	// A failure comes through the director as it is.
	if status, body := s.post(c, "trend", s.bank.newOp(t, "summary", "a\n1\n").msg); status != 422 || !bytes.Equal(body, failure) {
		t.Errorf("%d %s", status, body)
	}

	offered := func() string {
		resp, err := c.Get(s.director.URL() + "/v1/analyses")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	if got := offered(); strings.Count(got, `"analysts":1`) != 3 {
		t.Errorf("offered: %s", got)
	}
	s.stop()
	if got := offered(); got != `{"analyses":[]}` {
		t.Errorf("offered after the analyst ended: %s", got)
	}
}

func TestManyCollectors(t *testing.T) {
	s := startSystem(t, func(o *Options) { o.Analyses["upper"] = testAnalyses()["upper"] })
	s.bank.fault = func(context.Context, string, int) (bool, error) {
		time.Sleep(50 * time.Millisecond) // others come meanwhile, on busy processors too
		return true, nil
	}
	var wg sync.WaitGroup
	const collectors, each = 16, 8
	for i := range collectors {
		c := s.client()
		wg.Go(func() {
			for k := range each {
				body := fmt.Sprintf("reading %d of %d", k, i)
				o := s.bank.newOp(t, "upper", body)
				status, reply := s.post(c, "upper", o.msg)
				if status != 200 {
					t.Errorf("%d %s", status, reply)
					continue
				}
				o.mustOpen(t, reply, strings.ToUpper(body))
			}
		})
	}
	wg.Wait()
	if got := s.bank.credit(); got != collectors*each {
		t.Errorf("credit %d", got)
	}
	if redeems, _ := s.bank.calls(); len(redeems) > collectors*each/2 {
		t.Errorf("%d operations took %d redeem calls", collectors*each, len(redeems))
	}
}

// The director's key is checked on the way in and on the way out.
func TestWrongDirector(t *testing.T) {
	id := newIdentity(t, "director")
	d, err := director.New(director.Options{Identity: id, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	o := testOptions(t, newFakeBank(t))
	o.Director, o.DirectorPin = d.URL(), newIdentity(t, "another").Pin
	log := &logLines{}
	o.Logger = slog.New(slog.NewJSONHandler(log, nil))
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() { _ = a.Run(ctx) })
	for deadline := time.Now().Add(20 * time.Second); log.find("cannot register with the director; trying again") == nil; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no word about a director with another key")
		}
	}
	if log.find("registered") != nil {
		t.Error("registered with a director of another key")
	}
	// And that director cannot call.
	c, err := tls.Dial("tcp", strings.TrimPrefix(a.URL(), "https://"), identity.PinnedClientConfig(id, o.Identity.Pin))
	if err == nil {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(rawPost("/v1/operations/upper", nil))
		if b, _ := io.ReadAll(c); len(b) != 0 {
			t.Errorf("got %q", b)
		}
		c.Close()
	}
}
