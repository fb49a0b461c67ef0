package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ecoin/loadgen/result"
)

// ecoinProcess runs ecoin as a process, whose processes are ecoin, too.
func ecoinProcess(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// load runs a short self-contained load as a process, and returns what it showed. Its exit
// code may say that the generator was too slow, for the machine of a test is.
func load(t *testing.T, args ...string) *result.Run {
	t.Helper()
	file := filepath.Join(t.TempDir(), "run.json")
	code, out, errs := ecoinProcess(t, append([]string{"loadgen"}, append(args, "--self-contained", "--warmup=0s", "--conns=32", "--json", file)...)...)
	if code != 0 && code != int(exitInvalid) {
		t.Fatalf("exit code %d:\n%s%s", code, out, errs)
	}
	r, err := result.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Audit.OK || !strings.HasPrefix(r.Audit.Bank, "ok") {
		t.Errorf("audit: %+v", r.Audit)
	}
	if total := r.Total(); total.OK == 0 {
		t.Errorf("nothing was answered: %+v, %+v", total, r.Errors)
	}
	if r.Server == nil || r.Server.MemoryBytes == 0 || r.Generator.MemoryBytes == 0 {
		t.Errorf("server %+v, generator %+v", r.Server, r.Generator)
	}
	if !strings.Contains(out, "Audit") {
		t.Errorf("it says:\n%s", out)
	}
	return r
}

func TestLoadgenRedeem(t *testing.T) {
	t.Parallel()
	r := load(t, "redeem", "--rate=poisson:50", "--duration=2s", "--batch=10", "--audit=all")
	if a := r.Audit; a.Redeemed == 0 || a.Issued != a.Redeemed+a.Live || len(r.Errors) > 0 {
		t.Errorf("%+v, %+v", a, r.Errors)
	}
}

// TestLoadgenFindsOutWhatABankCanDo is the command that a newcomer tries, cut short.
func TestLoadgenFindsOutWhatABankCanDo(t *testing.T) {
	t.Parallel()
	r := load(t, "redeem", "--duration=1s", "--batch=20")
	if r.Setup.Rate < 1 || !strings.HasPrefix(r.Setup.Schedule, "constant:") {
		t.Errorf("%+v", r.Setup)
	}
}

// TestLoadgenThroughFaults kills the bank, cuts it off and drops its connections, and accounts
// for every coin afterwards.
func TestLoadgenThroughFaults(t *testing.T) {
	t.Parallel()
	faults := filepath.Join(t.TempDir(), "faults")
	if err := os.WriteFile(faults, []byte("t=1s kill for 200ms\nt=3s drop\nt=3.5s cut for 300ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := load(t, "mix", "redeem:3", "withdraw:1", "refund:1", "--rate=60", "--duration=5s", "--batch=10", "--audit=all", "--faults", faults)
	if len(r.Faults) != 3 || !strings.HasPrefix(r.Faults[0].What, "kill") {
		t.Errorf("faults: %+v", r.Faults)
	}
	if total := r.Total(); total.Failed+total.Skipped == 0 {
		t.Errorf("nobody noticed the faults: %+v", total)
	}
}

func TestLoadgenOperationsByTwoWorkers(t *testing.T) {
	t.Parallel()
	r := load(t, "operation", "--rate=20", "--duration=2s", "--workers=1", "--worker", strings.Join([]string{os.Args[0], "loadgen", "worker"}, " "))
	if k := r.Kinds[0]; r.Setup.Workers != 2 || k.Name != "operation" || k.Planned != 40 || r.Audit.Redeemed < k.OK {
		t.Errorf("%+v, %+v, %+v", r.Setup, k, r.Audit)
	}
}

func TestLoadgenFleet(t *testing.T) {
	t.Parallel()
	r := load(t, "withdraw", "--rate=50", "--duration=2s", "--batch=10", "--fleet=300", "--wake=2", "--live=5", "--audit=all")
	if g := r.Generator; g.Connects < 20 || r.Audit.Live != r.Audit.Issued {
		t.Errorf("%+v, %+v", g, r.Audit)
	}
}

func TestLoadgenThresholds(t *testing.T) {
	t.Parallel()
	code, out, errs := ecoinProcess(t, "loadgen", "redeem", "--self-contained", "--rate=20", "--duration=1s", "--warmup=0s", "--batch=5", "--threshold", "rate>999999999", "--threshold", "errors<100%")
	if code != int(exitThreshold) || !strings.Contains(out, "1 of 2 thresholds met") {
		t.Errorf("exit code %d:\n%s%s", code, out, errs)
	}
}

func TestLoadgenRefuses(t *testing.T) {
	dir := t.TempDir()
	faults := filepath.Join(dir, "faults")
	if err := os.WriteFile(faults, []byte("t=1s explode\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, says string
		args       []string
	}{
		{"no bank", "--self-contained", []string{"redeem"}},
		{"two banks", "--self-contained", []string{"redeem", "--self-contained", "--bank=https://localhost"}},
		{"an unknown fault", "explode", []string{"redeem", "--self-contained", "--faults", faults}},
		{"an audit of nothing", "--audit", []string{"redeem", "--self-contained", "--audit=some"}},
		{"an unknown kind", "steal", []string{"mix", "steal:1", "--self-contained"}},
		{"a weight of nothing", "weight", []string{"mix", "redeem:0", "--self-contained"}},
		{"a kind twice", "twice", []string{"mix", "redeem", "redeem", "--self-contained"}},
		{"a search without schedule", "closed", []string{"search", "redeem", "--self-contained", "--closed"}},
		{"an accounts file without seed", "fleet-seed", []string{"accounts"}},
	} {
		code, out, errs := ecoin(t, append([]string{"loadgen"}, c.args...)...)
		if code == 0 || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit code %d, want an error about %q:\n%s%s", c.name, code, c.says, out, errs)
		}
	}
}

// TestLoadgenOnABankThatRuns opens the fleet's accounts through "trust import", as an
// operator does whose bank is elsewhere.
func TestLoadgenOnABankThatRuns(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	dir := t.TempDir()
	seed, list := filepath.Join(dir, "seed"), filepath.Join(dir, "fleet.csv")
	csv := mustEcoin(t, "loadgen", "accounts", "--fleet-seed", seed, "--fleet=3", "--analysts=2", "--credit=10000")
	if err := os.WriteFile(list, []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	mustEcoin(t, "trust", "import", list, "--dir", b.dir)
	file := filepath.Join(dir, "run.json")
	code, out, errs := ecoin(t, "loadgen", "redeem", "--bank", b.url(), "--bank-cert", b.cert(), "--fleet-seed", seed, "--fleet=3", "--analysts=2",
		"--rate=20", "--duration=1s", "--warmup=0s", "--conns=4", "--batch=5", "--audit=all", "--json", file)
	if code != 0 && code != int(exitInvalid) {
		t.Fatalf("exit code %d:\n%s%s", code, out, errs)
	}
	r, err := result.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Audit; !a.OK || a.Redeemed == 0 || a.Bank != "" || r.Server != nil {
		t.Errorf("%+v, %+v", a, r.Server)
	}
}

// TestLoadgenSelfTest: a rate that any machine can send, and one that few can; what was not
// sent must be said.
func TestLoadgenSelfTest(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{"100", "200000"} {
		file := filepath.Join(t.TempDir(), "run.json")
		code, out, errs := ecoinProcess(t, "loadgen", "self-test", "--rate", rate, "--duration=1s", "--json", file)
		if code != 0 && code != int(exitInvalid) || !strings.Contains(out, "Generator") {
			t.Errorf("at %s a second: exit code %d:\n%s%s", rate, code, out, errs)
		}
		r, err := result.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if total := r.Total(); total.Sent+total.Skipped != total.Planned || total.Failed > 0 || r.Audit != nil || (code == 0) != (len(r.Invalid) == 0) || code == 0 && total.Skipped > 0 {
			t.Errorf("%+v, %v", total, r.Invalid)
		}
	}
}
