package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ecoin/loadgen/result"
)

// fakeServer notes what is done to it and when.
type fakeServer struct {
	begin  time.Time
	kills  time.Duration // that it takes
	starts time.Duration
	fails  string // the call that fails
	calls  []string
}

func (s *fakeServer) call(name string) error {
	s.calls = append(s.calls, fmt.Sprintf("%v %s", time.Since(s.begin), name))
	if name == s.fails {
		return errors.New("it does not")
	}
	return nil
}

func (s *fakeServer) Kill() error {
	time.Sleep(s.kills)
	return s.call("kill")
}
func (s *fakeServer) Pause() error  { return s.call("pause") }
func (s *fakeServer) Resume() error { return s.call("resume") }
func (s *fakeServer) Start(ctx context.Context) error {
	if !sleep(ctx, s.starts) {
		return ctx.Err()
	}
	return s.call("start")
}

const night = `
t=10s kill for 5s
t=16s pause for 1s
t=20s kill
t=20s delay 200ms for 10s
t=25s cut for 3s
t=26s drop
t=26s throttle 1kB/s for 1s
`

func mustParse(t *testing.T, text string) []Fault {
	t.Helper()
	faults, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return faults
}

func describe(at time.Duration, n network) string {
	text := at.String()
	if n.delay > 0 {
		text += fmt.Sprintf(" delay %v", n.delay)
	}
	if n.cut {
		text += " cut"
	}
	if n.rate > 0 {
		text += fmt.Sprintf(" rate %d", n.rate)
	}
	return text
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name    string
		starts  time.Duration
		ends    time.Duration // of the context
		calls   []string
		network []string
		done    []result.Fault
		took    time.Duration
	}{
		{
			"all of it", 500 * time.Millisecond, time.Hour,
			[]string{"10s kill", "15.5s start", "16s pause", "17s resume", "20s kill", "20.5s start"},
			[]string{"20s delay 200ms", "25s delay 200ms cut", "26s delay 200ms cut rate 1000", "27s delay 200ms cut", "28s delay 200ms", "30s"},
			[]result.Fault{{At: 10, What: "kill for 5s"}, {At: 16, What: "pause for 1s"}, {At: 20, What: "kill"}, {At: 20, What: "delay 200ms for 10s"},
				{At: 25, What: "cut for 3s"}, {At: 26, What: "drop"}, {At: 26, What: "throttle 1kB/s for 1s"}},
			30 * time.Second,
		},
		{
			"a start that takes long", 3 * time.Second, 21 * time.Second,
			// The pause is late and as long as it should be; the last start is not given up when the context ends.
			[]string{"10s kill", "18s start", "18s pause", "19s resume", "20s kill", "23s start"},
			[]string{"20s delay 200ms", "21s"},
			[]result.Fault{{At: 10, What: "kill for 5s"}, {At: 18, What: "pause for 1s"}, {At: 20, What: "kill"}, {At: 20, What: "delay 200ms for 10s"}},
			23 * time.Second,
		},
		{
			"an end in a kill", time.Second, 12 * time.Second,
			[]string{"10s kill", "13s start"}, nil, []result.Fault{{At: 10, What: "kill for 5s"}}, 13 * time.Second,
		},
		{
			"an end in a pause", 500 * time.Millisecond, 16200 * time.Millisecond,
			[]string{"10s kill", "15.5s start", "16s pause", "16.2s resume"}, nil,
			[]result.Fault{{At: 10, What: "kill for 5s"}, {At: 16, What: "pause for 1s"}}, 16200 * time.Millisecond,
		},
		{"an end before all", 0, time.Second, nil, nil, nil, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), c.ends)
			defer cancel()
			server := &fakeServer{begin: begin, starts: c.starts}
			proxy := newProxy()
			watched, watch := context.WithCancel(t.Context())
			var network []string
			go func() {
				for n := proxy.now(); ; n = proxy.now() {
					select {
					case <-watched.Done():
						return
					case <-n.changed:
						network = append(network, describe(time.Since(begin), proxy.now()))
					}
				}
			}()
			lines := 0
			done, err := Run(ctx, mustParse(t, night), begin, server, proxy, func(string) { lines++ })
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			watch()
			synctest.Wait()
			if took != c.took {
				t.Errorf("%s: it took %v, want %v", c.name, took, c.took)
			}
			if !slices.Equal(server.calls, c.calls) {
				t.Errorf("%s: the server\n%q, want\n%q", c.name, server.calls, c.calls)
			}
			if !slices.Equal(network, c.network) {
				t.Errorf("%s: the network\n%q, want\n%q", c.name, network, c.network)
			}
			sortTies := func(a, b result.Fault) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
			slices.SortFunc(done, sortTies)
			slices.SortFunc(c.done, sortTies)
			if !slices.Equal(done, c.done) {
				t.Errorf("%s: done\n%v, want\n%v", c.name, done, c.done)
			}
			if drops := slices.ContainsFunc(done, func(f result.Fault) bool { return f.What == "drop" }); drops && lines != 2*len(done)-1 || !drops && lines != 2*len(done) {
				t.Errorf("%s: %d lines of log for %d faults", c.name, lines, len(done))
			}
		})
	}
}

func TestRunFails(t *testing.T) {
	for fails, want := range map[string][]string{
		"kill":   {"10s kill"},
		"start":  {"10s kill", "15s start"},
		"pause":  {"10s kill", "15s start", "16s pause"},
		"resume": {"10s kill", "15s start", "16s pause", "17s resume"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := &fakeServer{begin: time.Now(), fails: fails}
			proxy := newProxy()
			done, err := Run(t.Context(), mustParse(t, "t=1s delay 1ms for 1h\n"+night[:strings.Index(night, "t=20s delay")]), server.begin, server, proxy, func(string) {})
			if err == nil || !strings.Contains(err.Error(), "it does not") || !strings.Contains(err.Error(), "t=1") {
				t.Errorf("%s fails: %v", fails, err)
			}
			if !slices.Equal(server.calls, want) {
				t.Errorf("%s fails: %q, want %q", fails, server.calls, want)
			}
			if took := time.Since(server.begin); took > 17*time.Second {
				t.Errorf("%s fails: it ends after %v", fails, took)
			}
			if n := proxy.now(); !n.fine() || len(done) == 0 || done[0].What != "delay 1ms for 1h0m0s" {
				t.Errorf("%s fails: the network is %+v, done %v", fails, n, done)
			}
		})
	}
}

// TestRunTellsByTime has a fault that begins before another and is there after it.
func TestRunTellsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{begin: time.Now(), kills: 2 * time.Second}
		done, err := Run(t.Context(), mustParse(t, "t=1s kill\nt=2s drop"), server.begin, server, newProxy(), func(string) {})
		if err != nil || !slices.Equal(done, []result.Fault{{At: 1, What: "kill"}, {At: 2, What: "drop"}}) {
			t.Errorf("%v, %v", done, err)
		}
	})
}

// TestRunGivesUp has a server that never serves again.
func TestRunGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{begin: time.Now(), starts: time.Hour}
		_, err := Run(t.Context(), mustParse(t, "t=1s kill"), server.begin, server, nil, func(string) {})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(server.begin) != time.Second+startWithin {
			t.Errorf("%v after %v", err, time.Since(server.begin))
		}
	})
}
