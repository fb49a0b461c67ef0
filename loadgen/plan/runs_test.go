package plan

import (
	"math"
	"strings"
	"testing"
	"time"

	"ecoin/loadgen/result"
)

// run returns a good run of redeem, changed by change.
func run(change func(*result.Run)) NamedRun {
	r := &result.Run{
		Format: result.Format, Command: "ecoin loadgen redeem", Machine: "a test", Started: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), Took: 10,
		Setup:     result.Setup{Workload: "redeem", Model: "closed", Suite: "x25519", Batch: 100, Conns: 16},
		Kinds:     []result.Kind{{Name: "redeem", Planned: 5000, Sent: 5000, OK: 5000, Coins: 500_000}},
		Generator: result.Generator{CoresHave: 8},
		Server:    &result.Server{CPUUs: 10},
		Audit:     &result.Audit{OK: true},
	}
	if change != nil {
		change(r)
	}
	return NamedRun{"dir/run.json", r}
}

func TestUseRuns(t *testing.T) {
	m := Recorded()
	var runs []NamedRun
	u := usl{9000, 0.1, 0.001}
	for i, n := range []int{1, 2, 4, 8, 16} {
		runs = append(runs, run(func(r *result.Run) {
			r.Setup.Conns, r.Kinds[0].Coins, r.Server.CPUUs = n, int64(10*u.at(float64(n))), float64(8+i)
		}))
	}
	for _, us := range []float64{14, 13} { // repetitions of the last
		runs = append(runs, run(func(r *result.Run) { r.Kinds[0].Coins, r.Server.CPUUs = int64(10*u.at(16)), us }))
	}
	runs = append(runs, run(func(r *result.Run) {
		r.Setup.Workload, r.Kinds[0].Name, r.Setup.Model, r.Server.CPUUs = "withdraw", "withdraw", "open", 4
	}))
	if err := m.UseRuns(runs, false); err != nil {
		t.Fatal(err)
	}
	p := make_(t, "nvme-16c", m)
	for key, want := range map[string]float64{"bank_us": 13, "bank_withdraw_us": 4, "withdraw_outside_us": 2.88, "lone_us": at(t, make_(t, "nvme-16c", nil), "lone_us").Value} {
		if got := at(t, p, key).Value; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if c := p.Curve; !near(c.Lambda.Value, 9000, 0.01) || !near(c.Sigma.Value, 0.1, 0.01) || !near(c.Kappa.Value, 0.001, 0.02) || len(c.Points) != 7 {
		t.Errorf("the curve is %+v", c)
	}
	if l := at(t, p, "index_n_cores"); l.Beyond != 2 {
		t.Errorf("16 cores are %v times the 8 of the runs", l.Beyond)
	}
	shown := text(t, p)
	for _, part := range []string{"R: redeem, 100 a request, at the highest rate: server.cpu_us_per_coin, median of 3", "R: withdraw, 100 a request", "R run.json (27 November 2026; ecoin loadgen redeem; a test)", "on 8 processors"} {
		if !strings.Contains(strings.Join(strings.Fields(shown), " "), part) {
			t.Errorf("the plan does not say %q", part)
		}
	}
	if strings.Contains(shown, "dir/run.json") {
		t.Error("the plan shows a folder")
	}

	// What was measured is not guessed for another suite, or for fewer headers.
	m = Recorded()
	if err := m.UseRuns([]NamedRun{run(func(r *result.Run) { r.Setup.Suite, r.Server.CPUUs = "rsa3072", 900 })}, false); err != nil {
		t.Fatal(err)
	}
	if got := at(t, make_(t, "nvme-16c", m, "--suite=rsa3072"), "bank_us").Value; got != 900 {
		t.Errorf("rsa3072 takes %v us", got)
	}
	n, err := FindNode("nvme-16c")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--suite=x25519"}, {"--suite=rsa3072", "--batch=99"}} {
		if _, err := Make(target(t, args...), n, m, Kinds); err == nil || !strings.Contains(err.Error(), "nothing was measured of suite") {
			t.Errorf("%v: %v", args, err)
		}
	}

	// A bank that takes less than the ledger did is not paid for.
	m = Recorded()
	if err := m.UseRuns([]NamedRun{run(func(r *result.Run) { r.Server.CPUUs, r.Setup.Batch = 0.5, 1 })}, false); err != nil {
		t.Fatal(err)
	}
	p = make_(t, "nvme-16c", m)
	if outside, lone := at(t, p, "outside_us").Value, at(t, p, "lone_us").Value; outside != 0 || lone != 0.5 || !strings.Contains(strings.Join(p.Notes, "\n"), "Nothing was measured with 100 headers") {
		t.Errorf("outside of the ledger %v us, alone %v us, notes %q", outside, lone, p.Notes)
	}
	if err := Recorded().UseRuns(nil, false); err != nil {
		t.Errorf("no runs: %v", err)
	}
}

func TestUseRunsRefuses(t *testing.T) {
	good := run(nil)
	for name, c := range map[string]struct {
		change func(*result.Run)
		says   string
	}{
		"another workload": {func(r *result.Run) { r.Setup.Workload, r.Kinds[0].Name = "refund", "refund" }, `"refund": a plan is made from runs of redeem`},
		"a mix":            {func(r *result.Run) { r.Setup.Workload, r.Kinds = "mix", append(r.Kinds, r.Kinds[0]) }, `"mix"`},
		"faults":           {func(r *result.Run) { r.Faults = []result.Fault{{What: "kill -9"}} }, "kill -9"},
		"no batch":         {func(r *result.Run) { r.Setup.Batch = 0 }, "0 coins a request"},
		"no coins":         {func(r *result.Run) { r.Kinds[0].Coins = 0 }, "moved no coins"},
		"no time":          {func(r *result.Run) { r.Took = 0 }, "moved no coins"},
		"another model":    {func(r *result.Run) { r.Setup.Model = "ajar" }, `"ajar"`},
		"no connections":   {func(r *result.Run) { r.Setup.Conns = 0 }, "0 connections"},
		"an open run without the bank's CPU time": {func(r *result.Run) { r.Server, r.Setup.Model = nil, "open" }, "--self-contained"},
		"a withdrawal without it":                 {func(r *result.Run) { r.Server, r.Kinds[0].Name = nil, "withdraw" }, "--self-contained"},
		"no CPU time":                             {func(r *result.Run) { r.Server.CPUUs = 0 }, "0 us of CPU time"},
		"CPU time that is none":                   {func(r *result.Run) { r.Server.CPUUs = math.NaN() }, "NaN"},
		"another number of headers":               {func(r *result.Run) { r.Setup.Batch = 10 }, "do not make one curve"},
		"another suite":                           {func(r *result.Run) { r.Setup.Suite = "xwing" }, "of one suite"},
	} {
		err := Recorded().UseRuns([]NamedRun{good, run(c.change)}, true)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for name, change := range map[string]func(*result.Run){
		"the run is INVALID (too late)":           func(r *result.Run) { r.Invalid = []string{"too late"} },
		"the run's audit failed (a coin is lost)": func(r *result.Run) { r.Audit = &result.Audit{Problems: []string{"a coin is lost"}} },
	} {
		if err := Recorded().UseRuns([]NamedRun{run(change)}, false); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "--allow-invalid") {
			t.Errorf("%s: %v", name, err)
		}
		if err := Recorded().UseRuns([]NamedRun{run(change)}, true); err != nil {
			t.Errorf("allowed: %v", err)
		}
	}
	bell := func(r *result.Run) { r.Command, r.Invalid = "\x1b[2Jboo", []string{"\x1b]0;boo"} }
	if err := Recorded().UseRuns([]NamedRun{run(bell)}, false); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("an error for a terminal: %q", err)
	}
	m := Recorded()
	if err := m.UseRuns([]NamedRun{run(bell)}, true); err != nil || strings.Contains(text(t, make_(t, "nvme-16c", m)), "\x1b") {
		t.Errorf("a plan has what a terminal obeys (%v)", err)
	}
	other := run(func(r *result.Run) { r.Kinds[0].Name, r.Setup.Batch = "withdraw", 7 })
	if err := Recorded().UseRuns([]NamedRun{run(func(r *result.Run) { r.Kinds[0].Name = "withdraw" }), other}, false); err == nil || !strings.Contains(err.Error(), "of one number") {
		t.Errorf("withdrawals of two sizes: %v", err)
	}
}
