package main

import (
	"fmt"
	"io"
	"strings"

	"ecoin/loadgen/compare"
	"ecoin/loadgen/result"
)

type loadgenCompareCmd struct {
	A         string `arg:"" help:"What runs showed: files of --json, with commas between them." placeholder:"A1.json,A2.json"`
	B         string `arg:"" help:"The runs to compare with them." placeholder:"B1.json,B2.json"`
	HTML      string `name:"html" help:"Write the comparison as a page of one file for a browser." placeholder:"FILE"`
	Force     bool   `help:"Compare runs of different workloads, models or batches all the same."`
	FailWorse bool   `help:"Exit with code 4 when a figure of B is worse beyond its interval."`
}

// exitWorse is the exit code of --fail-worse.
const exitWorse exitCode = 4

// Run compares what runs showed.
func (c *loadgenCompareCmd) Run(std streams) error {
	a, err := readRuns(c.A)
	if err != nil {
		return err
	}
	b, err := readRuns(c.B)
	if err != nil {
		return err
	}
	compared, err := compare.Runs(a, b, c.Force)
	if err != nil {
		return err
	}
	if err := writeTo(c.HTML, func(w io.Writer) error { return compared.HTML(w) }); err != nil {
		return err
	}
	if err := compared.Text(std.out, isTerminal(std.out)); err != nil {
		return err
	}
	if c.FailWorse && compared.Worse() {
		return exitWorse
	}
	return nil
}

func readRuns(paths string) ([]compare.Run, error) {
	var runs []compare.Run
	for path := range strings.SplitSeq(paths, ",") {
		if path == "" {
			return nil, fmt.Errorf("%q names an empty file; write A1.json,A2.json", paths)
		}
		r, err := result.ReadFile(path)
		if err != nil {
			return nil, err
		}
		runs = append(runs, compare.Run{Name: path, Run: r})
	}
	return runs, nil
}
