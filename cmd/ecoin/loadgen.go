package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"ecoin/loadgen"
	"ecoin/loadgen/fault"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/result"
)

type loadgenCmd struct {
	Redeem     loadRedeemCmd     `cmd:"" help:"Analysts redeem headers that a fleet sealed beforehand."`
	Withdraw   loadWithdrawCmd   `cmd:"" help:"Collectors withdraw coins."`
	Refund     loadRefundCmd     `cmd:"" help:"Collectors give coins back."`
	Operation  loadOperationCmd  `cmd:"" help:"Whole operations: collector, director, analyst, bank, and back."`
	Mix        loadMixCmd        `cmd:"" help:"Several kinds of request by weight."`
	Compare    loadgenCompareCmd `cmd:"" help:"Hold runs against each other, with intervals."`
	Search     loadSearchCmd     `cmd:"" help:"Find the highest rate that keeps an objective."`
	Report     loadgenReportCmd  `cmd:"" help:"Show a run again: as text, as a page, for HdrHistogram's tools."`
	SelfTest   loadSelfTestCmd   `cmd:"" help:"Send to a server that does nothing: what this generator can do on this machine."`
	NullServer loadNullServerCmd `cmd:"" hidden:""`
	Worker     loadWorkerCmd     `cmd:"" help:"A worker of a distributed load; a coordinator speaks to it through its standard input."`
	Accounts   loadAccountsCmd   `cmd:"" help:"Print a fleet's accounts for \"ecoin trust import\", for banks whose admin socket is out of reach."`
}

// stageFlags say where a load takes place.
type stageFlags struct {
	SelfContained bool     `group:"Where" help:"Start a bank (and what else the load needs) on loopback, and remove it again."`
	Bank          string   `group:"Where" help:"The bank: https://HOST:PORT." placeholder:"URL"`
	BankCert      string   `group:"Where" help:"Its certificate." type:"existingfile" placeholder:"FILE"`
	AdminSocket   string   `group:"Where" help:"Its admin socket, to open the fleet's accounts and for its own audit; without it they must be open, see \"ecoin loadgen accounts\"." placeholder:"FILE"`
	Director      string   `group:"Where" help:"The director, for operations." placeholder:"URL"`
	DirectorCert  string   `group:"Where" help:"Its certificate." type:"existingfile" placeholder:"FILE"`
	BankArgs      []string `group:"Where" help:"More flags for the bank of a self-contained load, several separated by spaces." sep:" " placeholder:"FLAGS"`
	TempDir       string   `group:"Where" help:"Folder on the disk where its ledger is to be. Default: the system's for temporary files." type:"existingdir" placeholder:"DIR"`

	Suite     string `group:"Fleet" help:"Suite of the headers: ${enum}." enum:"x25519,xwing,rsa3072" default:"x25519"`
	Fleet     int    `group:"Fleet" help:"Collectors, each with a key of its own." default:"16"`
	Analysts  int    `group:"Fleet" help:"Analysts that redeem." default:"4"`
	FleetSeed string `group:"Fleet" help:"File with the seed of the fleet's keys; made if it is not there. Default: a new fleet each time." placeholder:"FILE"`
	Credit    int64  `group:"Fleet" help:"Credit granted to each collector whose account is opened." default:"1000000000"`
}

// loadFlags say what a load is like.
type loadFlags struct {
	Rate     string        `group:"Load" help:"Requests a second by a schedule: 5000, poisson:5000, ramp:100..5000, step:1000,2000, sine:5000+-2000/60s or trace:FILE.csv. Default: half of what a closed loop of some seconds reaches." placeholder:"SCHEDULE"`
	Closed   bool          `group:"Load" help:"Closed model instead: each connection sends when its last answer is there. Latency is then that of the service alone."`
	Duration time.Duration `group:"Load" help:"How long." default:"20s"`
	Warmup   time.Duration `group:"Load" help:"Before that, at the schedule's first rate; not counted." default:"2s"`
	Conns    int           `group:"Load" help:"Requests under way at once, at most." default:"256"`
	Batch    int           `group:"Load" help:"Coins a request." default:"100"`
	Patience time.Duration `group:"Load" help:"How late a request may leave when no connection is free; then it is skipped, and counts as an error." default:"5s"`
	Timeout  time.Duration `group:"Load" help:"Of a request." default:"10s"`
	MaxCoins int           `group:"Load" help:"Coins to prepare at most; of a closed load: to prepare." default:"4000000"`

	DoubleSpends float64 `group:"Redeem" help:"Share of headers whose coin another analyst redeemed." default:"0.001"`
	Retries      float64 `group:"Redeem" help:"Share of headers that this analyst redeemed before." default:"0.001"`
	BadHeaders   float64 `group:"Redeem" help:"Share of headers that do not open." default:"0.001"`

	Random bool      `group:"Fleet" help:"Collectors come at random, and not in turn."`
	Wake   int       `group:"Fleet" help:"Requests of a connection, before its client goes back to sleep; 0: as many as there are."`
	Resume float64   `group:"Fleet" help:"Share of connects that resume the client's last session." default:"1"`
	Live   int       `group:"Fleet" help:"Connections of collectors that are kept open between requests, at most." default:"1000"`
	Storm  []float64 `group:"Fleet" help:"Seconds at which all of them are dropped and made again at once." placeholder:"S"`

	Faults   string        `group:"More" help:"File of faults: lines like \"t=5s kill\", \"t=9s delay 100ms for 2s\", \"t=12s drop\"." type:"existingfile" placeholder:"FILE"`
	Audit    string        `group:"More" help:"Coins that the bank is asked about at the end: all, none, or how many." default:"200000"`
	Evidence time.Duration `group:"More" help:"How long the bank surely keeps spent records (its --spent-window); what a longer load redeemed at its begin may be forgotten." default:"1h"`
	Workers  int           `group:"More" help:"Make the load in so many processes."`
	Worker   []string      `group:"More" help:"Command that starts a worker elsewhere, such as \"ssh gen2 ecoin loadgen worker\"; repeatable." sep:"none" placeholder:"COMMAND"`
}

// seed reads or makes the fleet's seed.
func (f *stageFlags) seed() (fleet.Seed, error) {
	if f.FleetSeed == "" {
		return fleet.NewSeed(), nil
	}
	b, err := os.ReadFile(f.FleetSeed)
	if errors.Is(err, os.ErrNotExist) {
		s := fleet.NewSeed()
		return s, os.WriteFile(f.FleetSeed, []byte(s.Reveal()+"\n"), 0o600)
	}
	if err != nil {
		return fleet.Seed{}, err
	}
	return fleet.ParseSeed(strings.TrimSpace(string(b)))
}

func (f *stageFlags) options(market int, tell func(string, int, int)) (loadgen.StageOptions, error) {
	if f.SelfContained == (f.Bank != "") {
		return loadgen.StageOptions{}, errors.New("name a bank (--bank, --bank-cert), or have the load start one (--self-contained)")
	}
	exe, err := os.Executable()
	if err != nil {
		return loadgen.StageOptions{}, err
	}
	seed, err := f.seed()
	if err != nil {
		return loadgen.StageOptions{}, err
	}
	return loadgen.StageOptions{
		SelfContained: f.SelfContained, Exe: exe, Dir: f.TempDir, BankArgs: f.BankArgs, Market: market,
		URL: f.Bank, Certificate: f.BankCert, AdminSocket: f.AdminSocket,
		DirectorURL: f.Director, DirectorCertificate: f.DirectorCert,
		Suite: f.Suite, Seed: seed, Fleet: f.Fleet, Analysts: f.Analysts, Credit: f.Credit, Tell: tell,
	}, nil
}

// load returns the load that the flags describe, and how many analysts it wants behind a
// director. op is nil for loads without operations.
func (f *loadFlags) load(mix []loadgen.Weight, op *operationFlags) (l loadgen.Load, market int, err error) {
	audit, err := parseAudit(f.Audit)
	if err != nil {
		return l, 0, err
	}
	l = loadgen.Load{
		Job: loadgen.Job{
			Mix: mix, Closed: f.Closed, Schedule: f.Rate, Duration: f.Duration, Warmup: f.Warmup, Patience: f.Patience, Timeout: f.Timeout,
			Conns: f.Conns, Batch: f.Batch, DoubleSpend: f.DoubleSpends, Retry: f.Retries, Bad: f.BadHeaders,
			Random: f.Random, Wake: f.Wake, Resume: f.Resume, Idle: f.Live, Storm: f.Storm, Audit: audit, Evidence: f.Evidence, MostCoins: f.MaxCoins,
		},
		Local: f.Workers, Commands: f.Worker, Command: "ecoin " + strings.Join(os.Args[1:], " "),
	}
	if f.Faults != "" {
		file, err := os.Open(f.Faults)
		if err != nil {
			return l, 0, err
		}
		defer file.Close()
		if l.Faults, err = fault.Parse(file); err != nil {
			return l, 0, fmt.Errorf("%s: %w", f.Faults, err)
		}
	}
	for _, w := range mix {
		if w.Kind == loadgen.Operation {
			l.Job.Analysis, l.Job.Payload, market = op.Analysis, op.Payload, op.MarketAnalysts
		}
	}
	return l, market, nil
}

func parseAudit(s string) (int, error) {
	switch s {
	case "all":
		return -1, nil
	case "none":
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("--audit %q: want all, none, or a number of coins", s)
	}
	return n, nil
}

// runLoad runs one load on a new stage. op is nil for loads without operations.
func runLoad(ctx context.Context, std streams, sf *stageFlags, lf *loadFlags, mix []loadgen.Weight, op *operationFlags) (*result.Run, error) {
	l, market, err := lf.load(mix, op)
	if err != nil {
		return nil, err
	}
	steps := newSteps(std.err)
	defer steps.end()
	o, err := sf.options(market, steps.tell)
	if err != nil {
		return nil, err
	}
	s, err := loadgen.NewStage(ctx, o)
	if err != nil {
		return nil, err
	}
	run, err := loadOn(ctx, std, s, &l)
	return run, errors.Join(err, s.Close())
}

// steps shows what a load tells of its preparations as the steps of a progress.
type steps struct {
	progress progress

	mu    sync.Mutex
	under string // way
	done  int
}

func newSteps(w io.Writer) *steps { return &steps{progress: newProgress(w)} }

// end ends the last step.
func (s *steps) end() { s.tell("", 0, 0) }

// tell begins another step when the text is another; "" ends the last.
func (s *steps) tell(text string, done, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text != s.under {
		if s.under != "" {
			s.progress.end()
		}
		if s.under, s.done = text, 0; text != "" {
			s.progress.begin(text, int64(all), "coins")
		}
	}
	if done > s.done {
		s.progress.add(int64(done - s.done))
		s.done = done
	}
}
