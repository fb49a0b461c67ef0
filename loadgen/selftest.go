package loadgen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ecoin/internal/subprocess"
	"ecoin/loadgen/fleet"
	"ecoin/loadgen/result"
)

// SelfTestOptions configures [SelfTest].
type SelfTestOptions struct {
	Exe      string // the ecoin binary, which is also the server that does nothing
	Schedule string
	Duration time.Duration
	Conns    int
	Command  string
	Visit    func(result.Second)
}

// SelfTest sends requests to a server that does nothing, in another process and through mutual
// TLS: what the run shows is the generator, on this machine.
func SelfTest(ctx context.Context, o SelfTestOptions) (run *result.Run, err error) {
	dir, err := os.MkdirTemp("", "ecoin-null-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := subprocess.Start("null server", nil, o.Exe, "loadgen", "null-server", "--dir", dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Stop(10*time.Second)) }()
	attrs, err := p.WaitFor(ctx, "listening")
	if err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(filepath.Join(dir, NullName+".crt"))
	if err != nil {
		return nil, err
	}
	seed := fleet.NewSeed()
	w, err := newWorker(&Job{
		Bank: fmt.Sprint(attrs["address"]), ServerName: "127.0.0.1", Roots: string(cert),
		Mix: []Weight{{Null, 1}}, Schedule: o.Schedule, Duration: o.Duration, Warmup: time.Second, Patience: time.Second, Timeout: 10 * time.Second, Evidence: time.Hour,
		Conns: o.Conns, Suite: "x25519", Batch: 1, Seed: seed.Reveal(), Analysts: []Account{{Index: 0}, {Index: 1}}, Fleet: 1, Workers: 1, Resume: 1,
	})
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := w.prepare(ctx, nil); err != nil {
		return nil, err
	}
	w.run(ctx, time.Now().Add(1500*time.Millisecond), o.Visit)
	if run, err = w.finish(ctx); err != nil {
		return nil, err
	}
	run.Command, run.Machine, run.Audit = o.Command, machine(), nil
	run.Setup.Target = "a server that does nothing"
	run.Invalid = invalid(run)
	// The server does nothing, so nobody else is to blame.
	if lag := run.Generator.Lag.Quantile(.99); lag > mostLag && len(run.Invalid) == 0 {
		run.Invalid = append(run.Invalid, fmt.Sprintf("the generator sent one in a hundred more than %v late (at most %v)", lag.Round(10*time.Microsecond), mostLag))
	}
	if t := run.Total(); t.Skipped > 0 {
		run.Invalid = append(run.Invalid, fmt.Sprintf("the generator cannot keep this schedule here: %d of %d sends were skipped", t.Skipped, t.Planned))
	}
	return run, ctx.Err()
}

// NullName is the name of the null server's certificate.
const NullName = "null"
