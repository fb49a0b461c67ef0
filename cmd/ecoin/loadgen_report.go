package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"ecoin/loadgen/result"
)

type loadgenReportCmd struct {
	File string `arg:"" name:"run" help:"What a run showed: the file of --json." placeholder:"FILE"`
	outputFlags
}

// Run shows a run that was made before, and exits as that run did.
func (c *loadgenReportCmd) Run(std streams) error {
	r, err := result.ReadFile(c.File)
	if err != nil {
		return err
	}
	if err := c.write(std, r); err != nil {
		return err
	}
	return exit(r)
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
