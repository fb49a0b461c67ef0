package loadgen

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"ecoin/loadgen/result"
)

// order is one line from the coordinator to a worker.
type order struct {
	Job    *Job          `json:"job,omitempty"`    // the first: prepare this
	Start  time.Duration `json:"start,omitempty"`  // run; the first counted send is so long after this line
	Finish bool          `json:"finish,omitempty"` // settle, audit, and say what the run showed
}

// news is one line from a worker to the coordinator.
type news struct {
	Done   int            `json:"done,omitempty"` // of All coins are prepared
	All    int            `json:"all,omitempty"`
	Ready  bool           `json:"ready,omitempty"`
	Second *result.Second `json:"second,omitempty"`
	Ended  bool           `json:"ended,omitempty"` // the run
	Run    *result.Run    `json:"run,omitempty"`   // the last
	Error  string         `json:"error,omitempty"` // the last
}

// maxLine bounds a line of either, in bytes; a run of a day is the longest.
const maxLine = 256 << 20

// Serve makes a worker's share of a load as a coordinator tells it through in, and answers
// through out: one JSON object a line. It returns when in ends or the load is over.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	e := json.NewEncoder(out)
	say := func(n news) {
		mu.Lock()
		defer mu.Unlock()
		_ = e.Encode(n) // a coordinator that is gone closes in as well
	}
	err := serve(ctx, in, say)
	if err != nil {
		say(news{Error: err.Error()})
	}
	return err
}

func serve(ctx context.Context, in io.Reader, say func(news)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := make(chan order)
	broken := make(chan error, 1)
	go func() {
		defer close(orders)
		defer cancel() // a coordinator that is gone ends the load
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			var o order
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				broken <- errors.New("loadgen: an order that is not JSON: a coordinator writes to a worker, not a person")
				return
			}
			select {
			case orders <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	next := func() (order, error) {
		o, ok := <-orders
		if ok {
			return o, nil
		}
		select {
		case err := <-broken:
			return o, err
		default:
			return o, errors.New("loadgen: the coordinator is gone")
		}
	}
	o, err := next()
	if err != nil {
		return err
	}
	if o.Job == nil {
		return errors.New("loadgen: the first order is not a job")
	}
	w, err := newWorker(o.Job)
	if err != nil {
		return err
	}
	defer w.close()
	last := time.Now()
	if err := w.prepare(ctx, func(done, all int) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond || done == all {
			last = now
			say(news{Done: done, All: all})
		}
	}); err != nil {
		return err
	}
	say(news{Ready: true})
	if o, err = next(); err != nil || o.Start <= 0 {
		return errors.Join(err, errors.New("loadgen: no order to start"))
	}
	w.run(ctx, time.Now().Add(o.Start), func(s result.Second) { say(news{Second: &s}) })
	say(news{Ended: true})
	if o, err = next(); err != nil || !o.Finish {
		return errors.Join(err, errors.New("loadgen: no order to finish"))
	}
	run, err := w.finish(ctx)
	if err == nil {
		say(news{Run: run})
	}
	return err
}

// there is a worker in another process.
type there struct {
	name  string
	cmd   *exec.Cmd
	in    *json.Encoder
	pipe  io.Closer
	lines *bufio.Scanner
	job   *Job
	err   error // of run
}

// hire starts a worker by a shell command.
func hire(name, command string, job *Job) (*there, error) {
	return hireCommand(name, exec.Command("sh", "-c", command), job)
}

func hireCommand(name string, cmd *exec.Cmd, job *Job) (*there, error) {
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt reaches the coordinator, which ends the worker
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("loadgen: start worker %s: %w", name, err)
	}
	t := &there{name: name, cmd: cmd, in: json.NewEncoder(in), pipe: in, lines: bufio.NewScanner(out), job: job}
	t.lines.Buffer(nil, maxLine)
	return t, nil
}

// hear returns the worker's next line.
func (t *there) hear() (n news, err error) {
	if !t.lines.Scan() {
		return n, fmt.Errorf("loadgen: worker %s ended without a word", t.name)
	}
	if err := json.Unmarshal(t.lines.Bytes(), &n); err != nil {
		return n, fmt.Errorf("loadgen: worker %s says %.80q: is it ecoin loadgen worker?", t.name, t.lines.Text())
	}
	if n.Error != "" {
		return n, fmt.Errorf("loadgen: worker %s: %s", t.name, strings.TrimPrefix(n.Error, "loadgen: "))
	}
	return n, nil
}

func (t *there) prepare(ctx context.Context, tell progress) error {
	defer context.AfterFunc(ctx, t.kill)()
	if err := t.in.Encode(order{Job: t.job}); err != nil {
		return fmt.Errorf("loadgen: worker %s is gone: %w", t.name, err)
	}
	for {
		n, err := t.hear()
		if err != nil || n.Ready {
			return err
		}
		if tell != nil && n.All > 0 {
			tell(n.Done, n.All)
		}
	}
}

// run leaves its error to finish.
func (t *there) run(ctx context.Context, start time.Time, visit func(result.Second)) {
	defer context.AfterFunc(ctx, t.kill)()
	if t.err = t.in.Encode(order{Start: time.Until(start)}); t.err != nil {
		return
	}
	for {
		n, err := t.hear()
		if t.err = err; err != nil || n.Ended {
			return
		}
		if n.Second != nil && visit != nil {
			visit(*n.Second)
		}
	}
}

func (t *there) finish(ctx context.Context) (*result.Run, error) {
	if t.err != nil {
		return nil, t.err
	}
	defer context.AfterFunc(ctx, t.kill)()
	if err := t.in.Encode(order{Finish: true}); err != nil {
		return nil, fmt.Errorf("loadgen: worker %s is gone: %w", t.name, err)
	}
	n, err := t.hear()
	if err != nil {
		return nil, err
	}
	if n.Run == nil {
		return nil, fmt.Errorf("loadgen: worker %s does not say what its run showed", t.name)
	}
	return n.Run, nil
}

// kill ends the worker's process and its children.
func (t *there) kill() { _ = syscall.Kill(-t.cmd.Process.Pid, syscall.SIGKILL) }

func (t *there) close() {
	_ = t.pipe.Close() // it ends by that
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for t.lines.Scan() { // whatever it still says
		}
		_ = t.cmd.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.kill()
		<-ended
	}
}

// team starts the workers of a load.
func (s *Stage) team(ctx context.Context, l *Load, jobs []*Job) (team []member, err error) {
	if l.Local == 0 && len(l.Commands) == 0 {
		w, err := newWorker(jobs[0])
		if err != nil {
			return nil, err
		}
		return []member{w}, nil
	}
	defer func() {
		if err != nil {
			for _, m := range team {
				m.close()
			}
		}
	}()
	for i, j := range jobs {
		var t *there
		if i < l.Local {
			t, err = hireCommand(fmt.Sprint(i+1), exec.Command(s.o.Exe, "loadgen", "worker"), j)
		} else {
			t, err = hire(fmt.Sprint(i+1), l.Commands[i-l.Local], j)
		}
		if err != nil {
			return team, err
		}
		team = append(team, t)
	}
	return team, ctx.Err()
}
