package analysis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// exitRefused is the exit status by which a program refuses its input: EX_DATAERR
// of BSD's sysexits.h.
const exitRefused = 65

// ExecOptions configures Exec. The zero value is safe.
type ExecOptions struct {
	Timeout   time.Duration // how long one run may take; 0 means 10 s
	MaxOutput int           // most bytes of standard output; 0 means 512 KiB
}

func (o *ExecOptions) setDefaults() error {
	if o.Timeout < 0 || o.MaxOutput < 0 {
		return errors.New("analysis: exec: time-out and output limit must not be negative; 0 is the default")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxOutput == 0 {
		o.MaxOutput = 512 << 10
	}
	return nil
}

var (
	errExecTimeout = errors.New("the time limit passed")
	errExecOutput  = errors.New("it wrote more than the output limit")
)

// Exec returns an analysis that pipes its input through "sh -c command" and answers
// with what the command writes to standard output. Exit status 65 (EX_DATAERR)
// refuses the input, with the first 512 bytes of standard error as the text; every
// other status but 0 is a failure, and so is a run beyond the limits of o.
//
// The command runs in the working directory of this process, with PATH, HOME and
// LANG as its whole environment and no open files but the three standard ones. It
// leads a process group of its own, which is killed when the command has ended, when
// a limit is passed and when the context ends: what the command starts does not
// outlive it, unless it leaves that group (setsid). It runs with the rights of this
// process; who must confine it further names a sandbox in the command.
//
// Exec works on Linux; elsewhere it returns an error.
func Exec(command string, o ExecOptions) (Func, error) {
	if command == "" {
		return nil, errors.New("analysis: exec: the command is empty")
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	if err := groupsSupported(); err != nil {
		return nil, err
	}
	hideFiles()
	return func(ctx context.Context, body []byte) ([]byte, error) {
		return run(ctx, command, o, body)
	}, nil
}

func run(parent context.Context, command string, o ExecOptions, body []byte) ([]byte, error) {
	ctx, stop := context.WithTimeoutCause(parent, o.Timeout, errExecTimeout)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	stdout := &limitedOutput{max: o.MaxOutput, over: func() { cancel(errExecOutput) }}
	stderr := &limitedOutput{max: maxText} // the rest is read and dropped
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(body), stdout, stderr
	cmd.Env = environment()
	// Copying ends when the group is dead. Only what left the group can hold the
	// pipes longer than that.
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("analysis: exec: %w", err)
	}

	// The group is killed while its leader is still a zombie: afterwards its id
	// could be another group's.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		awaitExit(cmd.Process.Pid)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	killGroup(cmd.Process.Pid)
	<-ended
	err := cmd.Wait()

	if cause := context.Cause(ctx); cause != nil {
		return nil, fmt.Errorf("analysis: exec: stopped: %w", cause)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == exitRefused {
		text := tidy(string(stderr.buf))
		if text == "" {
			text = "the analysis refuses this input and does not say why"
		}
		return nil, &InputError{Text: text}
	}
	if err != nil {
		return nil, fmt.Errorf("analysis: exec: %w", err)
	}
	return stdout.buf, nil
}

// environment is all that a command learns of this process's environment.
func environment() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	return []string{"PATH=" + path, "HOME=/", "LANG=C.UTF-8"}
}

// limitedOutput keeps the first max bytes written to it, accepts all the others and
// calls over, unless nil, when there are any. One goroutine writes; buf may be read
// after the command was waited for.
type limitedOutput struct {
	max  int
	over func()
	buf  []byte
}

func (w *limitedOutput) Write(p []byte) (int, error) {
	n := len(p)
	if room := w.max - len(w.buf); n > room {
		p = p[:room]
		if w.over != nil {
			w.over()
		}
	}
	w.buf = append(w.buf, p...)
	return n, nil
}
