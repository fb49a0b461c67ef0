package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"ecoin/loadgen/report"
	"ecoin/loadgen/result"
	"ecoin/loadgen/threshold"
)

type loadgenReportCmd struct {
	File      string                `arg:"" name:"run" help:"What a run showed: the file of --json." placeholder:"FILE"`
	HTML      string                `name:"html" help:"Write a report of one file for a browser." placeholder:"FILE"`
	Hgrm      string                `help:"Write the percentiles of the response times, for HdrHistogram's plotter." placeholder:"FILE"`
	Hlog      string                `help:"Write the response times second by second, for HdrHistogram's log tools." placeholder:"FILE"`
	Threshold []threshold.Threshold `help:"Hold the run against this, too: p99<10ms, errors<0.1%, rate>5000, ... (exit code 1 when it is not met)." placeholder:"WHAT" sep:"none"`
}

// Run shows a run that was made before.
func (c *loadgenReportCmd) Run(std streams) error {
	r, err := result.ReadFile(c.File)
	if err != nil {
		return err
	}
	missed := false
	for i := range c.Threshold {
		check := c.Threshold[i].Check(r)
		missed = missed || !check.OK
		r.Checks = append(r.Checks, check)
	}
	if err := c.files(r); err != nil {
		return err
	}
	if err := report.Text(std.out, r, isTerminal(std.out)); err != nil {
		return err
	}
	if missed {
		return exitCode(1)
	}
	return nil
}

func (c *loadgenReportCmd) files(r *result.Run) error {
	all := r.Total()
	return errors.Join(
		writeTo(c.HTML, func(w io.Writer) error { return report.HTML(w, r) }),
		writeTo(c.Hgrm, func(w io.Writer) error { return report.WriteHgrm(w, &all.Response) }),
		writeTo(c.Hlog, func(w io.Writer) error { return report.WriteHlog(w, r) }),
	)
}

// writeTo has a file written; none when path is empty.
func writeTo(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// isTerminal says whether w is one that may be given colours.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
