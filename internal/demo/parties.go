package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ecoin/client"
	"ecoin/internal/identity"
	"ecoin/internal/subprocess"
	"ecoin/internal/wire"
)

// parties are the processes of one demonstration, their keys and their folders,
// all below one temporary folder.
type parties struct {
	exe string
	dir string

	processes []*subprocess.Process // in the order they were started
	admin     *client.Admin
	bankURL   string
	director  string // URL of the honest director
	analysts  []string
	collector string // account name
}

// files of the parties, below dir.
func (p *parties) path(name ...string) string {
	return filepath.Join(append([]string{p.dir}, name...)...)
}
func (p *parties) bankCert() string { return p.path("bank", "keys", "tls.crt") }

// launch starts a role and waits until it says msg.
func (p *parties) launch(ctx context.Context, msg, name string, args ...string) (map[string]any, error) {
	proc, err := subprocess.Start(name, nil, p.exe, args...)
	if err != nil {
		return nil, err
	}
	p.processes = append(p.processes, proc)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return proc.WaitFor(ctx, msg)
}

// identity makes the key and certificate of one party.
func (p *parties) identity(name string) (*identity.Identity, error) {
	dir := p.path(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return identity.Create(dir, name, []string{"127.0.0.1", "localhost"})
}

// identityArgs are the flags with which the party shows its certificate.
func (p *parties) identityArgs(name string) []string {
	return []string{"--cert", p.path(name, name+".crt"), "--key", p.path(name, name+".key")}
}

// trust gives the party an account at the bank.
func (p *parties) trust(ctx context.Context, name, role string, id *identity.Identity, credit int64) error {
	_, err := p.admin.AddAccount(ctx, wire.AddAccount{Name: name, Role: role, Pin: fmt.Sprintf("%x", id.Pin), Credit: credit})
	return err
}

// startAll starts bank, director and analysts, and opens the accounts. suite are
// further flags of the bank.
func (p *parties) startAll(ctx context.Context, suite []string, analysts int, credit int64) error {
	attrs, err := p.launch(ctx, "listening", "bank", append([]string{"bank",
		"--dir", p.path("bank"), "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--ballast=-1"}, suite...)...)
	if err != nil {
		return err
	}
	p.bankURL = fmt.Sprintf("https://%v", attrs["api"])
	p.admin = client.NewAdmin(p.path("bank", "admin.sock"))

	if _, err := p.identity("director"); err != nil {
		return err
	}
	attrs, err = p.launch(ctx, "listening", "director", append([]string{"director",
		"--listen", "127.0.0.1:0"}, p.identityArgs("director")...)...)
	if err != nil {
		return err
	}
	p.director = fmt.Sprint(attrs["url"])

	for i := range analysts {
		name := "analyst-" + strconv.Itoa(i+1)
		id, err := p.identity(name)
		if err != nil {
			return err
		}
		if err := p.trust(ctx, name, "analyst", id, 0); err != nil {
			return err
		}
		p.analysts = append(p.analysts, name)
		if _, err := p.launch(ctx, "registered", name, append([]string{"analyst",
			"--id", name, "--listen", "127.0.0.1:0",
			"--bank", p.bankURL, "--bank-cert", p.bankCert(),
			"--director", p.director, "--director-cert", p.path("director", "director.crt")},
			p.identityArgs(name)...)...); err != nil {
			return err
		}
	}

	p.collector = "collector-1"
	id, err := p.identity(p.collector)
	if err != nil {
		return err
	}
	return p.trust(ctx, p.collector, "collector", id, credit)
}

// stopAll stops the processes, the youngest first.
func (p *parties) stopAll() error {
	var errs []error
	for i := len(p.processes) - 1; i >= 0; i-- {
		errs = append(errs, p.processes[i].Stop(15*time.Second))
	}
	p.processes = nil
	return errors.Join(errs...)
}

// outcome is one line of "ecoin collector run --json".
type outcome struct {
	Operation int             `json:"operation"`
	Analysis  string          `json:"analysis"`
	Batch     string          `json:"batch"`
	OK        bool            `json:"ok"`
	Error     string          `json:"error"`
	Ms        float64         `json:"ms"`
	Result    json.RawMessage `json:"result"`
}

// collect runs the collector as a process against the director at url and calls
// visit for each operation as it ends.
func (p *parties) collect(ctx context.Context, url, cert string, visit func(outcome), args ...string) error {
	args = append([]string{"collector", "run", "--json",
		"--wallet", p.path("wallet"), "--bank", p.bankURL, "--bank-cert", p.bankCert(),
		"--director", url, "--director-cert", cert}, append(p.identityArgs(p.collector), args...)...)
	out := &lines{visit: func(line []byte) error {
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			return fmt.Errorf("the collector printed a line that is not JSON: %w", err)
		}
		visit(o)
		return nil
	}}
	proc, err := subprocess.Start("collector", out, p.exe, args...)
	if err != nil {
		return err
	}
	p.processes = append(p.processes, proc)
	err = proc.Wait(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // stopAll ends the process
	}
	p.processes = p.processes[:len(p.processes)-1]
	if out.err != nil {
		return out.err
	}
	if err != nil && !exited(err, exitOperationsFailed) {
		return fmt.Errorf("collector: %w; its log:\n%s", err, proc.Log())
	}
	return nil
}

// exitOperationsFailed is the collector's exit code when it ran to the end and
// some operations failed (docs/OPERATIONS.md, "Exit codes").
const exitOperationsFailed = 3

// exited reports whether a process ended by itself with a code.
func exited(err error, code int) bool {
	var e *exec.ExitError
	return errors.As(err, &e) && e.ExitCode() == code
}

// lines cuts what is written to it into lines.
type lines struct {
	visit func([]byte) error
	rest  string
	err   error
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest += string(b)
	for {
		line, rest, found := strings.Cut(l.rest, "\n")
		if !found {
			return len(b), nil
		}
		l.rest = rest
		if err := l.visit([]byte(line)); err != nil && l.err == nil {
			l.err = err
		}
	}
}

// totals are sums over the bank's accounts.
type totals struct {
	redeemed int64 // credits analysts keep: redeemed less returned
	issued   int64
	refunded int64
}

func (p *parties) totals(ctx context.Context) (totals, error) {
	var t totals
	err := p.admin.Accounts(ctx, func(a wire.AdminAccount) error {
		t.redeemed += a.Redeemed - a.Returned
		t.issued += a.Issued
		t.refunded += a.Refunded
		return nil
	})
	return t, err
}
