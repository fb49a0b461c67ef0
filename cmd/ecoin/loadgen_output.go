package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"ecoin/loadgen"
	"ecoin/loadgen/report"
	"ecoin/loadgen/result"
	"ecoin/loadgen/schedule"
	"ecoin/loadgen/threshold"
)

// Exit codes of a load that ran to its end (docs/OPERATIONS.md, "Exit codes").
const (
	exitBreach    exitCode = 3 // the audit found a coin or credit that is not accounted for
	exitThreshold exitCode = 4 // a threshold was missed
	exitInvalid   exitCode = 5 // the generator was the limit
)

// outputFlags say what becomes of a result.
type outputFlags struct {
	JSON      string                `group:"Output" name:"json" help:"Write the whole result, which \"report\", \"compare\" and \"ecoin plan\" read." placeholder:"FILE"`
	HTML      string                `group:"Output" name:"html" help:"Write a report of one file for a browser." placeholder:"FILE"`
	Hgrm      string                `group:"Output" help:"Write the percentiles of the response times, for HdrHistogram's plotter." placeholder:"FILE"`
	Hlog      string                `group:"Output" help:"Write the response times second by second, for HdrHistogram's log tools." placeholder:"FILE"`
	Threshold []threshold.Threshold `group:"Output" help:"What the run must show: p99<10ms, errors<0.1%, rate>5000, ...; repeatable (exit code 4 when it does not)." placeholder:"WHAT" sep:"none"`
}

// write holds a result against its thresholds, prints it, and writes its files.
func (f *outputFlags) write(std streams, run *result.Run) error {
	for i := range f.Threshold {
		run.Checks = append(run.Checks, f.Threshold[i].Check(run))
	}
	all := run.Total()
	if err := errors.Join(
		writeTo(f.JSON, run.Write),
		writeTo(f.HTML, func(w io.Writer) error { return report.HTML(w, run) }),
		writeTo(f.Hgrm, func(w io.Writer) error { return report.WriteHgrm(w, &all.Response) }),
		writeTo(f.Hlog, func(w io.Writer) error { return report.WriteHlog(w, run) }),
	); err != nil {
		return err
	}
	return report.Text(std.out, run, isTerminal(std.out))
}

// exit returns the exit code of a result, the gravest first.
func exit(run *result.Run) error {
	if run.Audit != nil && !run.Audit.OK {
		return exitBreach
	}
	for _, c := range run.Checks {
		if !c.OK {
			return exitThreshold
		}
	}
	if len(run.Invalid) > 0 {
		return exitInvalid
	}
	return nil
}

// loadOn makes a load on a stage, at half of the highest rate when none is given.
func loadOn(ctx context.Context, std streams, s *loadgen.Stage, l *loadgen.Load) (*result.Run, error) {
	if !l.Job.Closed && l.Job.Schedule == "" {
		rate, err := s.Calibrate(ctx, *l)
		if err != nil {
			return nil, err
		}
		l.Job.Schedule = fmt.Sprintf("constant:%.0f", max(rate/2, 1))
	}
	live := newLive(std, l.Job.Mix[0].Kind.String(), l.Job.Schedule, l.Job.Duration)
	defer live.Close()
	l.Visit = func(sec result.Second) { live.Second(&sec) }
	return s.Run(ctx, *l)
}

// newLive shows a load while it runs. text is its schedule, "" for none.
func newLive(std streams, name, text string, duration time.Duration) *report.Live {
	o := report.LiveOptions{Name: name, Seconds: duration.Seconds()}
	if spec, err := schedule.Parse(text); err == nil {
		o.Planned = spec.Total(duration)
	}
	if f, ok := std.err.(*os.File); ok {
		o = o.TerminalOptions(f, os.Getenv)
	}
	return report.NewLive(std.err, o)
}
