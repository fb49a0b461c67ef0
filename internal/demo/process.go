package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one role running as a process of its own. Its log lines (JSON on
// standard error) are kept for the report of a failure and searched for the
// addresses it chose.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has ended and its log is read
	err  error         // how it ended; valid after done

	mu      sync.Mutex
	lines   [][]byte      // the last maxLogLines lines
	changed chan struct{} // closed and replaced whenever a line arrives
}

const maxLogLines = 400

// start runs exe with args. stdout may be nil. The caller must call stop.
func start(name string, stdout io.Writer, exe string, args ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.Command(exe, args...)
	p.cmd.Stdout = stdout
	p.cmd.Env = append(os.Environ(), "ECOIN_LOG_FORMAT=json")
	// Its own process group: Ctrl-C reaches the demonstration alone, which then
	// stops the roles in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		r := bufio.NewReader(logs)
		for {
			line, err := r.ReadBytes('\n')
			if len(line) > 0 {
				p.keep(line)
			}
			if err != nil {
				break
			}
		}
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) keep(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, bytes.TrimSpace(line))
	if len(p.lines) > maxLogLines {
		p.lines = p.lines[len(p.lines)-maxLogLines:]
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// waitFor returns the attributes of the first log line with message msg.
func (p *process) waitFor(ctx context.Context, msg string) (map[string]any, error) {
	for {
		p.mu.Lock()
		lines, changed := p.lines, p.changed
		p.mu.Unlock()
		for _, line := range lines {
			var attrs map[string]any
			if json.Unmarshal(line, &attrs) == nil && attrs["msg"] == msg {
				return attrs, nil
			}
		}
		select {
		case <-changed:
		case <-p.done:
			return nil, fmt.Errorf("%s ended (%v) before it said %q; its log:\n%s", p.name, p.err, msg, p.log())
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not say %q in time; its log:\n%s", p.name, msg, p.log())
		}
	}
}

// log returns the kept log lines.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(bytes.Join(p.lines, []byte("\n")))
}

// wait blocks until the process ends by itself.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop asks the process to end, and kills it if it has not after grace.
func (p *process) stop(grace time.Duration) error {
	select {
	case <-p.done:
		return fmt.Errorf("%s had ended by itself: %v; its log:\n%s", p.name, p.err, p.log())
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended this instant: done says so
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %v of SIGTERM and was killed; its log:\n%s", p.name, grace, p.log())
	}
	if p.err != nil {
		return fmt.Errorf("%s ended with %v; its log:\n%s", p.name, p.err, p.log())
	}
	return nil
}
