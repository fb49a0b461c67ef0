package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"ecoin/bench/daemon"
	"ecoin/bench/harness"
	"ecoin/bench/proc"
	"ecoin/internal/subprocess"
	"ecoin/loadgen/result"
)

const (
	systemOurs    = "ecoin"
	systemObvious = "the obvious bank"
	systemBetter  = "the better bank"
)

// target is a bank that runs, with all that belongs to it.
type target struct {
	api, cert, suite string
	admin            string // its admin socket; "" for none
	pids             []int
	stop             func() error
}

// entrant is a bank that takes part.
type entrant struct {
	name, note string
	start      func(ctx context.Context, dir string) (*target, error)
	rate       float64 // coins/s as last seen, at first a guess, to prepare enough coins
	conns      int     // of the closed loop; 0 for the usual number
	stretch    int     // its loads last so many times as long, for it answers few requests a second
}

// shape is what requests are like.
type shape struct {
	batch, conns int
	fixed        float64 // a rate for all banks that can, coins a second
}

var manyAPost, oneAPost = shape{100, 32, 5000}, shape{1, 256, 3000}

// Rates of our bank to begin with, coins a second: with more it only ends early.
const (
	bankRate    = 130_000
	bankRateOne = 40_000
)

// system asks what whole banks do under one load.
func (b *bench) system(ctx context.Context) (parts []*harness.Question, err error) {
	if err := b.fleet(ctx); err != nil {
		return nil, err
	}
	for _, s := range []shape{manyAPost, oneAPost} {
		title := fmt.Sprintf("Whole system, %d headers a post", s.batch)
		if s.batch == 1 {
			title = "Whole system, 1 header a post"
		}
		q := &harness.Question{
			Name: fmt.Sprintf("system, %d a post", s.batch), Title: title, Headline: "per_cpu",
			Text: fmt.Sprintf("Banks as processes, with their databases, under the same `ecoin loadgen redeem`: mutual TLS 1.3 over loopback, sealed coins, durable answers, of every thousand headers one double spend, one retry and one that does not open, all answers checked and the analysts' pay at the end. "+
				"First a closed loop of %d connections for the highest rate, then open ones for the latencies, at half of each bank's own rate and at a rate that is the same for all that reach it. CPU time is that of bank and database together, memory too (pages that processes share count once).", s.conns),
			Limits: "banks full of coins (each has the load's alone, and an empty database is a fast one), many machines, handshakes. Generator and bank share the processors: rates on machines of their own are higher for all, most for those that use least.",
			Columns: []harness.Column{
				{Key: "rate", Head: "coins/s", MoreIsBetter: true}, {Key: "per_cpu", Head: "coins per CPU second", MoreIsBetter: true}, {Key: "cpu", Head: "CPU us/coin"},
				{Key: "p50", Head: "p50 ms at half"}, {Key: "p99", Head: "p99 ms at half"}, {Key: "p999", Head: "p99.9 ms at half"},
				{Key: "p50_fixed", Head: "p50 ms at " + harness.Number(s.fixed) + " coins/s"}, {Key: "p99_fixed", Head: "p99 ms at " + harness.Number(s.fixed) + " coins/s"}, {Key: "memory", Head: "memory, MB"},
			},
		}
		for _, e := range b.entrants(s) {
			c := harness.Contender{Name: e.name, Note: e.note, Measure: func(ctx context.Context) (harness.Figures, error) { return b.measureBank(ctx, e, s, true) }}
			if e.name != systemOurs {
				c.Against = []string{systemOurs}
			}
			q.Contenders = append(q.Contenders, c)
		}
		if _, err := daemon.FindPostgres(); err != nil {
			q.Skipped = append(q.Skipped, systemObvious+", "+err.Error())
		}
		if _, err := daemon.FindRedis(); err != nil {
			q.Skipped = append(q.Skipped, systemBetter+", "+err.Error())
		}
		parts = append(parts, q)
	}
	return parts, nil
}

// entrants are the banks whose databases are installed, for one shape.
func (b *bench) entrants(s shape) []*entrant {
	list := []*entrant{{name: systemOurs, start: b.startEcoin, rate: bankRate, stretch: 1, note: "`ecoin bank` with its defaults, suite x25519"}}
	if s.batch == 1 {
		list[0].rate = bankRateOne
	}
	if _, err := daemon.FindPostgres(); err == nil {
		e := &entrant{name: systemObvious, start: b.startObvious, rate: 1000, stretch: 2, note: "bench/obvious: net/http, crypto/tls, crypto/rsa (OAEP, 3072 bits), pgx, PostgreSQL; one prepared statement a coin, which is its transaction; a pool of 64 connections"}
		if s.batch > 1 {
			e.conns = 4
			e.note += ". Its closed loop has 4 connections, for more do not raise its rate and a request takes seconds then"
		}
		list = append(list, e)
	}
	if _, err := daemon.FindRedis(); err == nil {
		list = append(list, &entrant{name: systemBetter, start: b.startBetter, rate: 20_000, stretch: 1, note: "bench/better: fasthttp, crypto/hpke with our suite, Redis through rueidis, which pipelines what requests ask for at once; one script call a request, appendfsync always"})
	}
	return list
}

// fleet makes the accounts of the load, once for all banks.
func (b *bench) fleet(ctx context.Context) error {
	if b.accounts != "" {
		return nil
	}
	b.seed = filepath.Join(b.dir, "seed")
	out, err := exec.CommandContext(ctx, b.ecoin, "loadgen", "accounts", "--fleet-seed", b.seed).Output()
	if err != nil {
		return fmt.Errorf("make a fleet: %w", err)
	}
	b.accounts = filepath.Join(b.dir, "accounts.csv")
	return os.WriteFile(b.accounts, out, 0o600)
}

// measureBank starts a bank and puts the loads on it.
func (b *bench) measureBank(ctx context.Context, e *entrant, s shape, half bool) (f harness.Figures, err error) {
	dir, remove := b.folder("system")
	defer remove()
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	t, err := e.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.stop()) }()

	run, cpu, err := b.closed(ctx, t, e, s)
	if err != nil {
		return nil, err
	}
	all := run.Total()
	if all.Failed > 0 || all.Refused > 0 {
		return nil, fmt.Errorf("of %d requests %d failed and %d were refused: %v", all.Sent, all.Failed, all.Refused, run.Errors)
	}
	used := e.rate * run.Took
	f = harness.Figures{"rate": e.rate, "cpu": float64(cpu.Microseconds()) / used, "per_cpu": used / cpu.Seconds()}
	if half {
		if err := b.latencies(ctx, t, e, s, e.rate/2, "", f); err != nil {
			return nil, err
		}
		if e.rate > 1.5*s.fixed {
			if err := b.latencies(ctx, t, e, s, s.fixed, "_fixed", f); err != nil {
				return nil, err
			}
		}
	}
	memory, err := proc.Memory(t.pids...)
	f["memory"] = float64(memory) / 1e6
	return f, err
}

// latencies makes an open load and adds what it showed to f, under keys with an ending.
func (b *bench) latencies(ctx context.Context, t *target, e *entrant, s shape, rate float64, ending string, f harness.Figures) error {
	run, _, err := b.loadgen(ctx, t, s, b.sizes.half*time.Duration(e.stretch), "--rate", fmt.Sprintf("constant:%.2f", max(rate/float64(s.batch), 1)))
	if err != nil {
		return err
	}
	all := run.Total()
	for key, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "p999": 0.999} {
		f[key+ending] = float64(all.Response.Quantile(q).Microseconds()) / 1e3
	}
	f["errors"+ending], f["invalid"+ending] = 100*all.ErrorShare(), min(1, float64(len(run.Invalid)))
	return nil
}

// closed makes a closed load with coins for as long as it lasts.
func (b *bench) closed(ctx context.Context, t *target, e *entrant, s shape) (*result.Run, time.Duration, error) {
	conns := s.conns
	if e.conns > 0 {
		conns = e.conns
	}
	long := b.sizes.load * time.Duration(e.stretch)
	for try := 1; ; try++ {
		coins := max(int(1.3*e.rate*(long+b.sizes.warmup).Seconds()), 20*s.batch*conns/e.stretch)
		run, cpu, err := b.loadgen(ctx, t, s, long, "--closed", "--conns", strconv.Itoa(conns), "--max-coins", strconv.Itoa(coins))
		early := errors.Is(err, errEarly)
		switch {
		case err != nil && !early:
			return nil, 0, err
		case !early:
			e.rate = run.GoodRate()
			if run.Took > long.Seconds()/2 || try == 4 {
				return run, cpu, nil
			}
		case try == 4:
			return nil, 0, err
		default:
			e.rate *= 4
		}
	}
}

// errEarly is wrapped when all coins were redeemed before the load counted.
var errEarly = errors.New("the coins were used up in the warm-up")

// exitInvalid is loadgen's code for a run whose generator was the limit.
const exitInvalid = 5

// loadgen makes one load, and returns what it showed and the CPU time that the bank took
// meanwhile.
func (b *bench) loadgen(ctx context.Context, t *target, s shape, d time.Duration, more ...string) (*result.Run, time.Duration, error) {
	file := filepath.Join(b.dir, "run.json")
	args := append([]string{"loadgen", "redeem", "--bank", "https://" + t.api, "--bank-cert", t.cert, "--suite", t.suite, "--fleet-seed", b.seed,
		"--batch", strconv.Itoa(s.batch), "--duration", d.String(), "--warmup", b.sizes.warmup.String(), "--timeout", "30s", "--audit", "none", "--json", file}, more...)
	if t.admin != "" {
		args = append(args, "--admin-socket", t.admin)
	}
	sampler := proc.Sample(200*time.Millisecond, t.pids...)
	out, err := exec.CommandContext(ctx, b.ecoin, args...).CombinedOutput()
	sampler.Stop()
	var code *exec.ExitError
	if err != nil && (!errors.As(err, &code) || code.ExitCode() != exitInvalid) {
		return nil, 0, fmt.Errorf("ecoin loadgen: %w\n%s", err, out)
	}
	run, err := result.ReadFile(file)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errEarly, err)
	}
	cpu, err := sampler.Between(run.Started, run.Started.Add(time.Duration(run.Took*1e9)))
	return run, cpu, err
}

// noteInvalid says of how many open loads the generator itself was the limit, and how many
// requests at most were not answered as they should be.
func noteInvalid(a *harness.Answer) {
	invalid, all, errors := 0, 0, 0.0
	for _, r := range a.Rows {
		for _, m := range r.Rounds {
			for _, ending := range []string{"", "_fixed"} {
				if v, ok := m.Figures["invalid"+ending]; ok {
					all++
					invalid += int(v)
					errors = max(errors, m.Figures["errors"+ending])
				}
			}
		}
	}
	if all > 0 {
		a.Limits += fmt.Sprintf(" In %d of the %d open loads the generator was late itself for want of a processor (INVALID by its own rule): their latencies are too high, if anything. At most %s %% of the requests of one were skipped or not answered.",
			invalid, all, harness.Number(errors))
	}
}

// startEcoin starts our bank; the load opens its accounts.
func (b *bench) startEcoin(ctx context.Context, dir string) (*target, error) {
	bank := filepath.Join(dir, "bank")
	t := &target{cert: filepath.Join(bank, "keys", "tls.crt"), suite: "x25519", admin: filepath.Join(bank, "admin.sock")}
	return t, b.startBank(ctx, t, func() error { return nil }, b.ecoin, "bank", "--dir", bank, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--suite", t.suite,
		"--ballast=-1", "--max-conns", "10000", "--max-conns-per-address", "10000")
}

func (b *bench) startObvious(ctx context.Context, dir string) (*target, error) {
	db, err := daemon.Postgres(ctx, filepath.Join(dir, "postgres"))
	if err != nil {
		return nil, err
	}
	return b.startPeer(ctx, dir, "rsa3072", "obvious-bank", db)
}

func (b *bench) startBetter(ctx context.Context, dir string) (*target, error) {
	db, err := daemon.Redis(ctx, filepath.Join(dir, "redis"), "yes")
	if err != nil {
		return nil, err
	}
	return b.startPeer(ctx, dir, "x25519", "better-bank", db)
}

// startPeer starts a peer's bank before its database, and stops both with it.
func (b *bench) startPeer(ctx context.Context, dir, suite, command string, db *daemon.Server) (*target, error) {
	t := &target{suite: suite, pids: []int{db.PID}, cert: filepath.Join(dir, "bank.crt")}
	return t, b.startBank(ctx, t, db.Stop, b.self, command, dir, b.accounts, db.Address)
}

// startBank starts a bank that says where it listens. after is called once it has ended.
func (b *bench) startBank(ctx context.Context, t *target, after func() error, exe string, args ...string) error {
	p, err := subprocess.Start("bank", nil, exe, args...)
	if err != nil {
		return errors.Join(err, after())
	}
	attrs, err := p.WaitFor(ctx, "listening")
	if err != nil {
		_ = p.Kill() // if it has not ended by itself
		return errors.Join(err, after())
	}
	t.api = fmt.Sprint(attrs["api"])
	t.pids = append(t.pids, p.PID)
	t.stop = func() error { return errors.Join(p.Stop(time.Minute), after()) }
	return nil
}
