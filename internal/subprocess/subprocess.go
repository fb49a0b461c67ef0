// Package subprocess runs the roles as processes of their own, for what drives several of
// them: the demonstration and the load generator. Start with [Start].
package subprocess

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

// Process is one role running as a process of its own. Its log lines (JSON on
// standard error) are kept for the report of a failure and searched for the
// addresses it chose. It is safe for concurrent use.
type Process struct {
	Name string
	PID  int

	cmd  *exec.Cmd
	done chan struct{} // closed once the process has ended and its log is read
	err  error         // how it ended; valid after done

	mu      sync.Mutex
	lines   [][]byte      // the last maxLogLines lines
	changed chan struct{} // closed and replaced whenever a line arrives
}

const maxLogLines = 400

// Start runs exe with args. stdout may be nil. The caller must call Stop or Kill.
func Start(name string, stdout io.Writer, exe string, args ...string) (*Process, error) {
	p := &Process{Name: name, done: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.Command(exe, args...)
	p.cmd.Stdout = stdout
	p.cmd.Env = append(os.Environ(), "ECOIN_LOG_FORMAT=json")
	// Its own process group: Ctrl-C reaches the caller alone, which then stops the roles
	// in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	logs, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.PID = p.cmd.Process.Pid
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

func (p *Process) keep(line []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, bytes.TrimSpace(line))
	if len(p.lines) > maxLogLines {
		p.lines = p.lines[len(p.lines)-maxLogLines:]
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// WaitFor returns the attributes of the first log line with message msg.
func (p *Process) WaitFor(ctx context.Context, msg string) (map[string]any, error) {
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
			return nil, fmt.Errorf("%s ended (%v) before it said %q; its log:\n%s", p.Name, p.err, msg, p.Log())
		case <-ctx.Done():
			return nil, fmt.Errorf("%s did not say %q in time; its log:\n%s", p.Name, msg, p.Log())
		}
	}
}

// Log returns the last lines of the process's log.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(bytes.Join(p.lines, []byte("\n")))
}

// Wait blocks until the process ends by itself, and returns how: an *exec.ExitError
// for a code that is not 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop asks the process to end, and kills it if it has not after grace.
func (p *Process) Stop(grace time.Duration) error {
	select {
	case <-p.done:
		return fmt.Errorf("%s had ended by itself: %v; its log:\n%s", p.Name, p.err, p.Log())
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended this instant: done says so
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM and was killed; its log:\n%s", p.Name, grace, p.Log())
	}
	if p.err != nil {
		return fmt.Errorf("%s ended with %v; its log:\n%s", p.Name, p.err, p.Log())
	}
	return nil
}

// Signal sends a signal to the process, if it still runs.
func (p *Process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
		return p.cmd.Process.Signal(s)
	}
}

// Kill ends the process at once, and waits until it is gone.
func (p *Process) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	<-p.done
	return err
}
