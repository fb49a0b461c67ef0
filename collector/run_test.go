package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/collector/source"
	"ecoin/collector/wallet"
)

// list is a source of given inputs, and then of err.
type list struct {
	inputs []string
	err    error
}

func (l *list) Next(ctx context.Context) (source.Batch, error) {
	if err := ctx.Err(); err != nil {
		return source.Batch{}, err
	}
	if len(l.inputs) == 0 {
		if l.err == nil {
			return source.Batch{}, io.EOF
		}
		return source.Batch{}, l.err
	}
	b := source.Batch{Name: l.inputs[0], CSV: []byte(l.inputs[0]), Rows: 1}
	l.inputs = l.inputs[1:]
	return b, nil
}

// endless never ends by itself.
type endless struct{}

func (endless) Next(ctx context.Context) (source.Batch, error) {
	return source.Batch{Name: "e", CSV: []byte("e"), Rows: 1}, ctx.Err()
}

// stuck waits for a sample that does not come.
type stuck struct{}

func (stuck) Next(ctx context.Context) (source.Batch, error) {
	<-ctx.Done()
	return source.Batch{}, ctx.Err()
}

func inputs(prefix string, n int) *list {
	l := &list{}
	for i := range n {
		l.inputs = append(l.inputs, fmt.Sprintf("%s%d", prefix, i))
	}
	return l
}

// outcomes collects what Run visits, and checks that visits do not overlap.
type outcomes struct {
	mu  sync.Mutex
	all []Outcome
}

func (o *outcomes) visit(out Outcome) {
	if !o.mu.TryLock() {
		panic("two visits at once")
	}
	defer o.mu.Unlock()
	o.all = append(o.all, out)
}

func TestRunEveryBatchThroughEveryAnalysis(t *testing.T) {
	v := newWorld(t, 30, 0)
	var got outcomes
	err := v.c.Run(ctx, RunOptions{
		Sources:  []Source{inputs("a", 4), inputs("b", 3)},
		Analyses: []string{"summary", "trend"},
		Parallel: 4,
		Visit:    got.visit,
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range got.all {
		if o.Err != nil || string(o.Result.Body) != "result of "+o.Batch || o.Rows != 1 {
			t.Errorf("outcome %+v", o)
		}
		seen[o.Analysis+" "+o.Batch] = true
	}
	if len(seen) != 2*(4+3) || len(got.all) != len(seen) {
		t.Errorf("%d outcomes, %d different ones, want 14", len(got.all), len(seen))
	}
	v.wantCounts(wallet.Counts{Coins: 16})
}

func TestRunCount(t *testing.T) {
	v := newWorld(t, 10, 0)
	for _, sources := range [][]Source{{endless{}}, {endless{}, stuck{}}, {inputs("a", 7), stuck{}}} {
		var got outcomes
		before := v.w.Counts().Coins
		err := v.c.Run(ctx, RunOptions{Sources: sources, Analyses: []string{"summary", "trend"}, Parallel: 3, Count: 3, Visit: got.visit})
		if err != nil || len(got.all) != 3 || v.w.Counts().Coins != before-3 {
			t.Errorf("%d outcomes, %d coins used, %v; want 3", len(got.all), before-v.w.Counts().Coins, err)
		}
	}
}

func TestRunPaceAndParallelism(t *testing.T) {
	v := newWorld(t, 6, 0)
	const interval = 40 * time.Millisecond
	var mu sync.Mutex
	var at []time.Time
	now, most := 0, 0
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		mu.Lock()
		at = append(at, time.Now())
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(3 * interval)
		mu.Lock()
		now--
		mu.Unlock()
		v.honest(w, r, request)
	})
	var got outcomes
	start := time.Now()
	if err := v.c.Run(ctx, RunOptions{Sources: []Source{endless{}}, Analyses: []string{"summary"}, Parallel: 2, Count: 6, Interval: interval, Visit: got.visit}); err != nil {
		t.Fatal(err)
	}
	if most != 2 {
		t.Errorf("up to %d operations at once, want 2", most)
	}
	if d := at[5].Sub(start); d < 5*interval {
		t.Errorf("the sixth operation began after %v, want 5 intervals of %v at least", d, interval)
	}
}

// Failures are visited and use up one coin each; the run goes on.
func TestRunGoesOnAfterFailures(t *testing.T) {
	v := newWorld(t, 6, 0)
	n := 0
	v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
		if n++; n%2 == 0 {
			cutOff()
		}
		v.honest(w, r, request)
	})
	var got outcomes
	if err := v.c.Run(ctx, RunOptions{Sources: []Source{inputs("a", 6)}, Analyses: []string{"summary"}, Visit: got.visit}); err != nil {
		t.Fatal(err)
	}
	for i, o := range got.all {
		var f *Failure
		if errors.As(o.Err, &f) != (i%2 == 1) || o.Batch != fmt.Sprintf("a%d", i) {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
	v.wantCounts(wallet.Counts{Bad: 3})
}

// An input that is too large costs nothing and does not stop the others.
func TestRunTooLarge(t *testing.T) {
	v := newWorld(t, 2, 0, func(o *Options) { o.MaxRequest = 1000 })
	var got outcomes
	l := &list{inputs: []string{"a", strings.Repeat("x", 1000), "b"}}
	if err := v.c.Run(ctx, RunOptions{Sources: []Source{l}, Analyses: []string{"summary"}, Visit: got.visit}); err != nil {
		t.Fatal(err)
	}
	if len(got.all) != 3 || !errors.Is(got.all[1].Err, ErrTooLarge) || got.all[2].Err != nil {
		t.Errorf("outcomes %+v", got.all)
	}
	v.wantCounts(wallet.Counts{})
}

func TestRunEnds(t *testing.T) {
	torn := errors.New("room.csv:7: torn")
	tests := []struct {
		name    string
		coins   int
		balance int
		refill  int
		source  Source
		visits  int
		want    error
		text    string
	}{
		{"when the wallet is empty", 2, 5, 0, inputs("a", 9), 2, wallet.ErrEmpty, "withdraw some"},
		{"when there is no credit", 0, 3, 3, inputs("a", 9), 3, ErrNoCoin, "402"},
		{"when a source fails", 5, 0, 0, &list{inputs: []string{"a", "b"}, err: torn}, 2, torn, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newWorld(t, tt.coins, tt.balance, func(o *Options) { o.Refill = tt.refill })
			var got outcomes
			err := v.c.Run(ctx, RunOptions{Sources: []Source{tt.source, stuck{}}, Analyses: []string{"summary"}, Visit: got.visit})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v with %q", err, tt.want, tt.text)
			}
			if len(got.all) != tt.visits {
				t.Errorf("%d visits, want %d", len(got.all), tt.visits)
			}
		})
	}
}

// A bank that is away or busy is waited for; no input is dropped meanwhile.
func TestRunWaitsForTheBank(t *testing.T) {
	for name, trouble := range map[string]error{"away": errors.New("connection refused"), "busy": refusal(http.StatusServiceUnavailable)} {
		t.Run(name, func(t *testing.T) {
			v := newWorld(t, 0, 5, func(o *Options) { o.Refill = 5 })
			v.bank.refuse = trouble
			done := make(chan error)
			var got outcomes
			go func() {
				done <- v.c.Run(ctx, RunOptions{Sources: []Source{inputs("a", 3)}, Analyses: []string{"summary"}, MaxPause: 20 * time.Millisecond, Visit: got.visit})
			}()
			for tries := 0; tries < 3; time.Sleep(time.Millisecond) {
				v.bank.set(func() { tries = v.bank.calls["keys"] + v.bank.calls["withdraw"] })
			}
			v.bank.set(func() { v.bank.refuse = nil })
			if err := <-done; err != nil || len(got.all) != 3 {
				t.Errorf("%d outcomes, %v", len(got.all), err)
			}
			for i, o := range got.all {
				if o.Err != nil || o.Batch != fmt.Sprintf("a%d", i) {
					t.Errorf("outcome %+v", o)
				}
			}
		})
	}
}

// When ctx ends, an operation that is under way may finish; one that takes too long
// is cut off. Run returns nil either way.
func TestRunStops(t *testing.T) {
	for name, quick := range map[string]bool{"finishes": true, "cut off": false} {
		t.Run(name, func(t *testing.T) {
			v := newWorld(t, 3, 0)
			arrived := make(chan struct{})
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			v.director(func(w http.ResponseWriter, r *http.Request, request []byte) {
				close(arrived)
				if quick {
					<-ctx.Done()
					v.honest(w, r, request)
				} else {
					<-r.Context().Done()
				}
			})
			o := RunOptions{Sources: []Source{endless{}}, Analyses: []string{"summary"}}
			if !quick {
				o.Grace = 20 * time.Millisecond
			}
			var got outcomes
			o.Visit = got.visit
			done := make(chan error)
			go func() { done <- v.c.Run(ctx, o) }()
			<-arrived
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if len(got.all) != 1 || (got.all[0].Err == nil) != quick {
				t.Fatalf("outcomes %+v", got.all)
			}
			if quick {
				v.wantCounts(wallet.Counts{Coins: 2})
			} else {
				v.wantCounts(wallet.Counts{Coins: 2, Bad: 1})
			}
		})
	}
}

func TestRunCompletesWithdrawals(t *testing.T) {
	v := newWorld(t, 1, 5)
	v.bank.lose = 1
	if _, err := v.c.Withdraw(ctx, 2); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	var got outcomes
	if err := v.c.Run(ctx, RunOptions{Sources: []Source{inputs("a", 1)}, Analyses: []string{"summary"}, Visit: got.visit}); err != nil {
		t.Fatal(err)
	}
	v.wantCounts(wallet.Counts{Coins: 2})
}

func TestBrake(t *testing.T) {
	b := brake{max: time.Second}
	want := []time.Duration{0, 0, 0, 100, 200, 400, 800, 1000, 1000}
	for i, w := range want {
		if got := b.pause(); got != w*time.Millisecond {
			t.Errorf("after %d failures a pause of %v, want %v", i, got, w*time.Millisecond)
		}
		b.report(false)
	}
	for range 100 {
		b.report(false)
	}
	if got := b.pause(); got != time.Second {
		t.Errorf("after many failures a pause of %v", got)
	}
	b.report(true)
	if got := b.pause(); got != 0 {
		t.Errorf("after a success a pause of %v", got)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := sleep(ctx, time.Hour); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v, %v", time.Since(start), err)
		}
		short, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := sleep(short, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := sleep(short, 0); err == nil {
			t.Error("an ended context is not noticed without a wait")
		}
	})
}

func TestRunOptionsChecked(t *testing.T) {
	v := newWorld(t, 0, 0)
	for text, o := range map[string]RunOptions{
		"are required":         {Sources: []Source{endless{}}, Analyses: []string{"x"}},
		"a visitor":            {Sources: []Source{endless{}}, Visit: func(Outcome) {}},
		`analysis "A"`:         {Sources: []Source{endless{}}, Visit: func(Outcome) {}, Analyses: []string{"A"}},
		"parallel is 0 to 102": {Sources: []Source{endless{}}, Visit: func(Outcome) {}, Analyses: []string{"x"}, Parallel: -1},
		"may be negative":      {Sources: []Source{endless{}}, Visit: func(Outcome) {}, Analyses: []string{"x"}, Count: -1},
	} {
		if err := v.c.Run(ctx, o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
}

// A real file, from the disk to the analyst.
func TestRunWithCSV(t *testing.T) {
	v := newWorld(t, 5, 0)
	path := filepath.Join(t.TempDir(), "room.csv")
	if err := os.WriteFile(path, []byte("t,v\r\n1,\r\n2,\"x\"\r\n3,4\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	csv, err := source.OpenCSV(path, source.CSVOptions{Rows: 2, MaxBytes: v.c.MaxBody()})
	if err != nil {
		t.Fatal(err)
	}
	defer csv.Close()
	var got outcomes
	if err := v.c.Run(ctx, RunOptions{Sources: []Source{csv}, Analyses: []string{"summary"}, Visit: got.visit}); err != nil {
		t.Fatal(err)
	}
	if len(got.all) != 2 || string(got.all[0].Result.Body) != "result of t,v\n1,\n2,\"x\"\n" || string(got.all[1].Result.Body) != "result of t,v\n3,4\n" {
		t.Errorf("outcomes %+v", got.all)
	}
}
