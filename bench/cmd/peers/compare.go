package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ecoin/bench/harness"
	"ecoin/bench/proc"
)

// bench is what all questions share.
type bench struct {
	sizes sizes
	dir   string // a temporary folder, for servers
	self  string // this program
	ecoin string // the ecoin binary; "" when no question needs it

	seed, accounts string // files of the load's fleet; "" until it is made

	until time.Time // no measurement is repeated after that
}

// Run asks the questions, prints each answer as soon as it is there, and writes all of them
// once they are, beside the answers to other questions that were written before.
func (c *compareCmd) Run(ctx context.Context) error { return c.compare(ctx, c.sizes()) }

func (c *compareCmd) compare(ctx context.Context, s sizes) (err error) {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	b := &bench{sizes: s, until: time.Now().Add(s.patience)}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(c.Dir, "ecoin-peers-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := os.Chmod(b.dir, 0o711); err != nil { // a database may run as another user
		return err
	}
	if slices.ContainsFunc(c.Only, func(q string) bool { return q == "ledger" || q == "system" }) {
		if err := b.build(ctx, c.Source); err != nil {
			return err
		}
	}
	where := fmt.Sprintf("%s, %s, commit %s, `peers %s`", proc.Machine(), time.Now().UTC().Format(time.DateOnly), commit(ctx, c.Source), strings.Join(os.Args[1:], " "))
	r := &results{}
	for _, q := range questions {
		if !slices.Contains(c.Only, q) {
			continue
		}
		answers, err := b.ask(ctx, q)
		for _, a := range answers {
			a.Where = where
			a.Print(os.Stdout)
		}
		if err != nil {
			return err
		}
		r.Answers = append(r.Answers, answers...)
	}
	harness.Headlines(os.Stdout, r.Answers)
	return r.write(c.Out)
}

// build builds ecoin from source.
func (b *bench) build(ctx context.Context, source string) error {
	b.ecoin = filepath.Join(b.dir, "ecoin")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.ecoin, "./cmd/ecoin")
	cmd.Dir = source
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ecoin: %w\n%s", err, out)
	}
	return nil
}

// ask asks one question, or the parts of it.
func (b *bench) ask(ctx context.Context, name string) (answers []*harness.Answer, err error) {
	parts, err := map[string]func(context.Context) ([]*harness.Question, error){
		"codec": b.codec, "ledger": b.ledger, "system": b.system, "transport": b.transport,
	}[name](ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	runner := &harness.Runner{Rounds: b.sizes.rounds, Limit: 0.1, Repeats: 1, Until: b.until, Look: 200 * time.Millisecond, Meter: proc.Meter{}, Log: os.Stderr}
	for _, q := range parts {
		a, err := runner.Ask(ctx, q)
		if err != nil {
			return answers, err
		}
		noteInvalid(a)
		answers = append(answers, a)
	}
	return answers, nil
}

// commit is the source's, "unknown" when there is none.
func commit(ctx context.Context, dir string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
