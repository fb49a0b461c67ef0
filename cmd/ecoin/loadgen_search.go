package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"ecoin/loadgen"
	"ecoin/loadgen/result"
	"ecoin/loadgen/threshold"
)

type loadSearchCmd struct {
	Mix []string `arg:"" help:"Kind of load: redeem, withdraw, refund or operation; or several with weights, as in redeem:8 withdraw:1."`
	stageFlags
	loadFlags
	operationFlags
	P99       time.Duration         `group:"Objective" name:"p99" help:"Response time that 99 % of the requests must keep." default:"10ms"`
	Errors    string                `group:"Objective" help:"Share of requests that may fail, be refused or be skipped." default:"0.1%"`
	And       []threshold.Threshold `group:"Objective" help:"Another threshold that must be kept: p99.9<50ms, lag.p99<1ms, ...; repeatable." placeholder:"WHAT" sep:"none"`
	Repeats   int                   `group:"Search" help:"Runs of each rate, an odd number; most of them must keep the objective." default:"3"`
	Precision float64               `group:"Search" help:"Stop when the bounds are so near, as a share." default:"0.05"`
	Beyond    []float64             `group:"Search" help:"Rates to look at afterwards, as multiples of the highest that keeps the objective." default:"1.25,1.5,2"`
	JSON      string                `group:"Output" name:"json" help:"Write what was found, with each step." placeholder:"FILE"`
}

// objective returns all thresholds of the search.
func (c *loadSearchCmd) objective() ([]threshold.Threshold, error) {
	var all []threshold.Threshold
	for _, text := range []string{fmt.Sprintf("p99<=%v", c.P99), "errors<=" + c.Errors} {
		t, err := threshold.Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, *t)
	}
	return append(all, c.And...), nil
}

func (c *loadSearchCmd) Run(ctx context.Context, std streams) error {
	mix, err := parseMix(c.Mix)
	if err != nil {
		return err
	}
	objective, err := c.objective()
	if err != nil {
		return err
	}
	if c.Closed {
		return errors.New("a search takes a schedule: in a closed model the server sets the rate")
	}
	l, market, err := c.loadFlags.load(mix, &c.operationFlags)
	if err != nil {
		return err
	}
	steps := newSteps(std.err)
	defer steps.end()
	o, err := c.stageFlags.options(market, steps.tell)
	if err != nil {
		return err
	}
	s, err := loadgen.NewStage(ctx, o)
	if err != nil {
		return err
	}
	found, err := c.search(ctx, std, s, l, objective)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	steps.end()
	if err := writeTo(c.JSON, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(found)
	}); err != nil {
		return err
	}
	c.print(std.out, found)
	switch {
	case found.Generator:
		return exitInvalid
	case found.Highest == 0:
		return exitThreshold
	}
	return nil
}

func (c *loadSearchCmd) search(ctx context.Context, std streams, s *loadgen.Stage, l loadgen.Load, objective []threshold.Threshold) (*loadgen.Search, error) {
	if l.Job.Schedule == "" {
		rate, err := s.Calibrate(ctx, l)
		if err != nil {
			return nil, err
		}
		l.Job.Schedule = fmt.Sprintf("constant:%.0f", max(rate/2, 1))
	}
	var what []string
	for i := range objective {
		what = append(what, objective[i].String())
	}
	return s.Search(ctx, loadgen.SearchOptions{
		Load: l, Step: c.Duration, Repeats: c.Repeats, Precision: c.Precision, Beyond: c.Beyond,
		What: strings.Join(what, ", "),
		Holds: func(r *result.Run) bool {
			for i := range objective {
				if !objective[i].Check(r).OK {
					return false
				}
			}
			return true
		},
		Visit: func(step loadgen.SearchStep) {
			fmt.Fprintf(std.err, "%8.0f requests/s: %.0f coins/s, p99 %.2f ms, errors %.2f %%: %s\n", step.Rate, step.Good, step.P99Ms, 100*step.Errors, verdictOf(step))
		},
	})
}

func verdictOf(s loadgen.SearchStep) string {
	switch {
	case len(s.Invalid) > 0:
		return "the generator was the limit"
	case s.Holds:
		return "holds"
	}
	return "fails"
}

// print writes the steps by rate, and what they mean.
func (c *loadSearchCmd) print(w io.Writer, f *loadgen.Search) {
	fmt.Fprintf(w, "Objective: %s. Each rate was held for %v.\n\n", f.Objective, c.Duration)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "requests/s\tcoins/s offered\tgood coins/s\tof offered\terrors\tp50 ms\tp99 ms\tserver us/coin\t\t")
	for _, s := range f.Steps {
		fmt.Fprintf(t, "%.0f\t%.0f\t%.0f\t%.0f %%\t%.2f %%\t%.2f\t%.2f\t%.2f\t%s\t\n", s.Rate, s.Offered, s.Good, 100*s.Good/max(s.Offered, 1), 100*s.Errors, s.P50Ms, s.P99Ms, s.ServerUs, verdictOf(s))
	}
	_ = t.Flush()
	switch {
	case f.Highest == 0:
		fmt.Fprintln(w, "\nNo rate keeps the objective.")
	case f.Generator:
		fmt.Fprintf(w, "\nAt least %.0f requests a second keep the objective. Beyond that the generator was the limit: give it more processors, or workers on other machines.\n", f.Highest)
	case f.Ended != "":
		fmt.Fprintf(w, "\nAt least %.0f requests a second keep the objective; the search ended there: %s.\n", f.Highest, f.Ended)
	case f.Failing == 0:
		fmt.Fprintf(w, "\nAt least %.0f requests a second keep the objective; none that was tried failed.\n", f.Highest)
	default:
		fmt.Fprintf(w, "\nThe knee: %.0f requests a second keep the objective, %.0f do not.\n", f.Highest, f.Failing)
	}
}
