package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is the ecoin binary too: run with this variable set, it is
// main. So the processes of these tests have the race detector when the tests do.
const asMain = "ECOIN_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		os.Unsetenv("GOCOVERDIR")
		main()
	}
	os.Exit(m.Run())
}

// command returns ecoin with args, to be run as a process.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMain+"=1") // for the processes that it starts, too
	return cmd
}

// proc is a role running as a process.
type proc struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
	out bytes.Buffer
}

// startProc runs ecoin with args until the test ends.
func startProc(t *testing.T, args ...string) *proc {
	t.Helper()
	p := &proc{t: t, cmd: command(context.Background(), args...), done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, "ECOIN_LOG_FORMAT=json")
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	for _, r := range []struct {
		from *bufio.Reader
		to   *bytes.Buffer
	}{{bufio.NewReader(stdout), &p.out}, {bufio.NewReader(stderr), &p.log}} {
		reading.Go(func() {
			for {
				line, err := r.from.ReadBytes('\n')
				p.mu.Lock()
				r.to.Write(line)
				p.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	go func() {
		reading.Wait()
		p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

func (p *proc) logText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *proc) outText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// says waits for the log line msg and returns its attributes.
func (p *proc) says(msg string) map[string]any {
	p.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		for line := range strings.Lines(p.logText()) {
			var attrs map[string]any
			if json.Unmarshal([]byte(line), &attrs) == nil && attrs["msg"] == msg {
				return attrs
			}
		}
		select {
		case <-p.done:
			p.t.Fatalf("%v ended before it said %q:\n%s", p.cmd.Args[1:], msg, p.logText())
		case <-deadline:
			p.t.Fatalf("%v did not say %q:\n%s", p.cmd.Args[1:], msg, p.logText())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ends waits for the process's end and returns its exit code.
func (p *proc) ends() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		p.t.Fatalf("%v does not end:\n%s", p.cmd.Args[1:], p.logText())
	}
	return p.cmd.ProcessState.ExitCode()
}

// terminate sends SIGTERM and expects a clean exit.
func (p *proc) terminate() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.ends(); code != 0 {
		p.t.Fatalf("%v ended with %d after SIGTERM:\n%s", p.cmd.Args[1:], code, p.logText())
	}
}

// ecoin runs a command to its end in this process.
func ecoin(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err lockedBuffer // a log and a progress may write at once
	code = run(context.Background(), args, streams{&out, &err})
	return code, out.buf.String(), err.buf.String()
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// mustEcoin runs a command that must succeed and returns what it printed.
func mustEcoin(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := ecoin(t, args...)
	if code != 0 {
		t.Fatalf("ecoin %v: exit code %d\n%s%s", args, code, out, err)
	}
	return out
}

// testBank is a bank process that can be killed and started again under the
// same address.
type testBank struct {
	t      *testing.T
	dir    string
	listen string
	args   []string
	*proc
}

// newBank starts a bank in a new folder. The folder's path is short, since it
// holds a Unix socket.
func newBank(t *testing.T, args ...string) *testBank {
	t.Helper()
	dir, err := os.MkdirTemp("", "ecoin-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &testBank{t: t, dir: dir, listen: "127.0.0.1:0", args: args}
	b.start()
	return b
}

func (b *testBank) start() {
	b.t.Helper()
	b.proc = startProc(b.t, append([]string{"bank", "--dir", b.dir, "--listen", b.listen, "--health", "127.0.0.1:0", "--min-free", "1", "--ballast", "1048576"}, b.args...)...)
	b.listen = fmt.Sprint(b.says("listening")["api"])
}

func (b *testBank) kill() {
	b.t.Helper()
	b.cmd.Process.Kill()
	b.ends()
}

func (b *testBank) url() string  { return "https://" + b.listen }
func (b *testBank) cert() string { return filepath.Join(b.dir, "keys", "tls.crt") }

// party makes keys for name and an account with role; it returns the files.
func (b *testBank) party(name, role string, credit int) (cert, key string) {
	b.t.Helper()
	dir := b.t.TempDir()
	mustEcoin(b.t, "keys", "client", name, "--dir", dir)
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	mustEcoin(b.t, "trust", "add", name, "--role", role, "--cert", cert, "--credit", fmt.Sprint(credit), "--dir", b.dir)
	return cert, key
}
